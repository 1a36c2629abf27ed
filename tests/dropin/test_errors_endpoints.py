"""What create_connection() and its kin, transports and servers say to mistakes: the same as stock asyncio's do."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest

from support.sides import KINDS, LO, Program, Trial, collector, on_kernel, on_network, settle

PROGRAMS: dict[str, Program] = {}
collect = collector(PROGRAMS)

pytestmark = pytest.mark.kernel

loop = asyncio.get_running_loop
protocol = asyncio.Protocol
datagrams = asyncio.DatagramProtocol


def opened(mode: str) -> Any:
    """A file."""
    return Path(__file__).open(mode)



@collect
async def arguments_of_create_connection(trial: Trial) -> None:
    create = loop().create_connection
    near, _ = await trial.pair()
    for args, kwargs in (
        ((), {}), ((LO,), {}), ((LO, 80), {"sock": near}), ((), {"sock": trial.sock(socket.SOCK_DGRAM)}),
        ((LO, 80), {"server_hostname": "x"}), ((LO, 80), {"ssl_handshake_timeout": 1}),
        ((LO, 80), {"ssl_shutdown_timeout": 1}), ((None, 80), {"ssl": True}), ((), {"sock": near, "ssl": True}),
        ((LO, 80), {"ssl": "no context"}), ((LO, "no such service"), {}), ((LO, 70000), {}), ((LO, -1), {}),
        ((LO, 1.5), {}), ((5, 80), {}), ((LO, 80), {"family": 99}), ((LO, 80), {"proto": 17}),
        ((LO, 80), {"local_addr": "127.0.0.1"}), ((LO, 80), {"local_addr": (LO,)}),
        ((LO, 80), {"local_addr": (LO, 0, 0)}), ((LO, 80), {"local_addr": (LO, -1)}),
        ((LO, 80), {"ssl": True, "ssl_handshake_timeout": 0}), ((LO, 80), {"ssl": True, "ssl_shutdown_timeout": -1}),
    ):  # fmt: skip
        await trial.wait(create(protocol, *args, **kwargs))
    trial.say("still open", near.fileno() >= 0)


@collect
async def arguments_of_create_server(trial: Trial) -> None:
    create = loop().create_server
    for args, kwargs in (
        ((), {}), ((LO, 80), {"sock": trial.bound()}), ((), {"sock": trial.sock(socket.SOCK_DGRAM)}),
        ((LO, 0), {"ssl": True}), ((LO, 0), {"ssl_handshake_timeout": 1}),
        ((LO, 0), {"ssl_shutdown_timeout": 1}), ((LO, "no such service"), {}), ((LO, 70000), {}), ((5, 80), {}),
        (([LO, 5], 0), {}), (("",), {"family": 99}),
    ):  # fmt: skip
        await trial.wait(create(protocol, *args, **kwargs))


@collect
async def arguments_of_create_datagram_endpoint(trial: Trial) -> None:
    create = loop().create_datagram_endpoint
    sock = trial.bound(socket.SOCK_DGRAM)
    for kwargs in (
        {}, {"sock": sock, "local_addr": (LO, 0)}, {"sock": sock, "reuse_port": True}, {"sock": trial.sock()},
        {"sock": "no socket"}, {"local_addr": LO}, {"local_addr": (LO,)}, {"remote_addr": LO},
        {"remote_addr": (LO, 0, 0)}, {"local_addr": (LO, 70000)}, {"local_addr": (LO, "x")}, {"local_addr": (5, 0)},
        {"remote_addr": (None, None)}, {"local_addr": ("::1", 0), "remote_addr": (LO, 9)},
        {"local_addr": (LO, 0), "family": socket.AF_INET6},
        {"remote_addr": ("255.255.255.255", 9)}, {"family": 99}, {"sock": sock, "flags": 1, "proto": 17},
    ):  # fmt: skip
        await trial.wait(create(datagrams, **kwargs))


@collect
async def arguments_of_connect_accepted_socket(trial: Trial) -> None:
    connect = loop().connect_accepted_socket
    near, _ = await trial.pair()
    await trial.wait(connect(protocol, trial.sock(socket.SOCK_DGRAM)))
    await trial.wait(connect(protocol, near, ssl_handshake_timeout=1))
    await trial.wait(connect(protocol, near, ssl_shutdown_timeout=1))
    await trial.wait(connect(protocol, near, ssl="no context"))  # type: ignore[arg-type]
    await trial.wait(connect(protocol, "no socket"))  # type: ignore[arg-type]


@collect
async def arguments_of_sock_calls(trial: Trial) -> None:
    near, far = await trial.pair()
    address = trial.listener().getsockname()
    for target in ("127.0.0.1", 80, None, (), (LO,), (LO, "x"), (LO, 70000), (LO, -1), (LO, 1.5), (5, 80), (LO, None)):
        await trial.wait(loop().sock_connect(trial.sock(), target))  # type: ignore[arg-type]
    await trial.wait(loop().sock_recv(near, -1))
    await trial.wait(loop().sock_recv(near, "1"))  # type: ignore[arg-type]
    await trial.wait(loop().sock_recv_into(near, b"constant"))
    await trial.wait(loop().sock_sendall(near, "text"))  # type: ignore[arg-type]
    await trial.wait(loop().sock_sendall(near, 5))  # type: ignore[arg-type]
    await trial.wait(loop().sock_recvfrom_into(near, bytearray(2), 3))
    sender = trial.bound(socket.SOCK_DGRAM)
    await trial.wait(loop().sock_sendto(sender, "text", address))  # type: ignore[arg-type]
    await trial.wait(loop().sock_sendto(sender, b"x", "127.0.0.1"))
    await trial.wait(loop().sock_recvfrom(sender, -1))
    far.close()
    near.close()
    for call in (
        loop().sock_recv(near, 1), loop().sock_recv_into(near, bytearray(1)), loop().sock_sendall(near, b"x"),
        loop().sock_accept(near), loop().sock_connect(near, address), loop().sock_recvfrom(near, 1),
        loop().sock_sendto(near, b"x", address),
    ):  # fmt: skip
        await trial.wait(call)


@collect
async def blocking_sockets_in_debug_mode(trial: Trial) -> None:
    loop().set_debug(True)
    trial.left.callback(loop().set_debug, False)
    sock = trial.sock()
    sock.setblocking(True)
    datagram = trial.sock(socket.SOCK_DGRAM)
    datagram.setblocking(True)
    for call in (
        loop().sock_recv(sock, 1), loop().sock_recv_into(sock, bytearray(1)), loop().sock_sendall(sock, b"x"),
        loop().sock_accept(sock), loop().sock_connect(sock, (LO, 80)), loop().sock_recvfrom(datagram, 1),
        loop().sock_recvfrom_into(datagram, bytearray(1)), loop().sock_sendto(datagram, b"x", (LO, 9)),
    ):  # fmt: skip
        await trial.wait(call)


# ---- transports


@collect
async def writing_what_cannot_be(trial: Trial) -> None:
    near, _ = await trial.connection()
    for data in ("text", None, 5, ["x"]):
        trial.call(near.write, data)
    trial.call(near.writelines, ["text"])
    trial.call(near.writelines, 5)
    trial.call(near.set_write_buffer_limits, 1, 2)
    trial.call(near.set_write_buffer_limits, -1)
    trial.call(near.set_write_buffer_limits, low=-1)
    trial.call(near.set_write_buffer_limits, "1")
    trial.call(near.get_write_buffer_limits)


@collect
async def writing_after_the_end(trial: Trial) -> None:
    near, _ = await trial.connection()
    trial.call(near.write_eof)
    trial.call(near.write_eof)
    trial.call(near.write, b"x")
    trial.call(near.write, b"")
    trial.call(near.writelines, [b"x"])
    trial.call(near.close)
    trial.call(near.close)
    trial.call(near.write_eof)
    trial.call(near.abort)
    trial.call(near.pause_reading)
    trial.call(near.resume_reading)
    await settle()
    trial.call(near.close)
    trial.call(near.abort)
    trial.call(near.is_reading)
    trial.call(near.get_write_buffer_size)
    trial.call(near.get_extra_info, "socket")
    other, _ = await trial.connection()
    other.close()
    trial.call(other.write, b"after close")
    await settle()
    for _ in range(6):
        trial.call(other.write, b"long after")


@collect
async def a_descriptor_that_a_transport_uses(trial: Trial) -> None:
    near, _ = await trial.connection()
    descriptor = near.get_extra_info("socket").fileno()
    trial.call(loop().add_reader, descriptor, print)
    trial.call(loop().add_writer, descriptor, print)
    trial.call(loop().remove_reader, descriptor)
    trial.call(loop().remove_writer, descriptor)
    trial.call(loop().add_reader, -1, print)
    trial.call(loop().add_reader, "no descriptor", print)
    trial.call(loop().remove_reader, -1)


@collect
async def the_socket_of_a_transport(trial: Trial) -> None:
    near, _ = await trial.connection()
    inner = near.get_extra_info("socket")
    for name in ("recv", "send", "close", "connect", "bind", "listen", "accept", "sendto", "makefile"):
        trial.say(name, hasattr(inner, name))
    trial.call(inner.settimeout, 1)
    trial.call(inner.settimeout, 0)
    trial.call(inner.setblocking, True)
    trial.call(inner.setblocking, False)
    trial.call(inner.gettimeout)
    trial.call(inner.shutdown, 5)
    trial.call(inner.setsockopt, socket.SOL_SOCKET, 9999, 1)
    near.close()
    await settle()
    trial.call(inner.getsockname)
    trial.call(inner.getpeername)
    trial.call(inner.fileno)
    trial.say("known", (near.get_extra_info("sockname"), near.get_extra_info("peername")))


@collect
async def start_tls_where_it_cannot_be(trial: Trial) -> None:
    near, _ = await trial.connection()
    context = ssl.create_default_context()
    plain = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    endpoint = await trial.endpoint()
    await trial.wait(loop().start_tls(near, protocol(), "no context"))  # type: ignore[arg-type]
    await trial.wait(loop().start_tls(endpoint, protocol(), context))
    await trial.wait(loop().start_tls(near, protocol(), context, ssl_handshake_timeout=0))
    await trial.wait(loop().start_tls(near, protocol(), plain, server_side=True, ssl_handshake_timeout=0.01))
    near.close()


@collect
async def sendfile_where_it_cannot_be(trial: Trial) -> None:
    near, _ = await trial.connection()
    endpoint = await trial.endpoint()
    with opened("rb") as file, opened("r") as text:
        await trial.wait(loop().sendfile(endpoint, file))
        await trial.wait(loop().sendfile(near, text))
        await trial.wait(loop().sendfile(near, file, -1))
        await trial.wait(loop().sendfile(near, file, "1"))  # type: ignore[arg-type]
        await trial.wait(loop().sendfile(near, file, 0, 0))
        await trial.wait(loop().sendfile(near, file, 0, -1))
        await trial.wait(loop().sendfile(near, file, 0, "1"))  # type: ignore[arg-type]
        near.close()
        await trial.wait(loop().sendfile(near, file))
        mine, _ = await trial.pair()
        await trial.wait(loop().sock_sendfile(mine, text))
        await trial.wait(loop().sock_sendfile(mine, file, -1))
        await trial.wait(loop().sock_sendfile(mine, file, 0, 0))
        await trial.wait(loop().sock_sendfile(trial.sock(socket.SOCK_DGRAM), file))


@collect
async def sendfile_in_progress(trial: Trial) -> None:
    near, far = await trial.connection()
    far.pause_reading()
    with opened("rb") as file:
        near.write(bytes(8_000_000))
        sending = asyncio.ensure_future(loop().sendfile(near, file, fallback=True))
        await settle()
        trial.call(near.write, b"x")
        trial.call(near.writelines, [b"x"])
        trial.call(near.set_protocol, protocol())
        near.abort()
        await trial.wait(sending)


@collect
async def servers_after_their_end(trial: Trial) -> None:
    server = await loop().create_server(protocol, LO, 0, start_serving=False)
    trial.call(server.is_serving)
    await trial.wait(server.start_serving())
    await trial.wait(server.start_serving())
    trial.call(server.is_serving)
    forever = asyncio.ensure_future(server.serve_forever())
    await asyncio.sleep(0)
    await trial.wait(server.serve_forever())
    trial.say("sockets", len(server.sockets))
    trial.call(server.close)
    trial.call(server.close)
    (ended,) = await asyncio.gather(forever, return_exceptions=True)
    trial.say("serve_forever", type(ended).__name__)
    trial.say("sockets", server.sockets)
    await trial.wait(server.start_serving())
    await trial.wait(server.serve_forever())
    await trial.wait(server.wait_closed())
    trial.call(server.is_serving)


@collect
async def reset_by_linger_seen_by_the_peer(trial: Trial) -> None:
    lost: asyncio.Future[str] = loop().create_future()

    class Peer(protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            if not lost.done():
                lost.set_result(repr(exc))

    near, far = await trial.connection(Peer)
    far.set_protocol(protocol())
    far.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.abort()
    trial.say("lost", await lost)
    trial.call(near.is_closing)


# ---- datagrams


@collect
async def datagram_transports(trial: Trial) -> None:
    endpoint = await trial.endpoint()
    address = endpoint.get_extra_info("sockname")
    connected = await trial.endpoint(local_addr=None, remote_addr=address)
    trial.call(connected.sendto, b"x", (LO, 9))
    trial.call(connected.sendto, b"x", address)
    trial.call(connected.sendto, "text")
    trial.call(endpoint.sendto, "text", address)
    trial.call(endpoint.sendto, None, address)
    trial.call(endpoint.set_write_buffer_limits, 1, 2)
    trial.say("extra", (endpoint.get_extra_info("peername"), connected.get_extra_info("peername")))
    for call in ("close", "abort", "is_closing", "close"):
        trial.call(getattr(connected, call))
    trial.call(connected.sendto, b"x")
    trial.call(hasattr, endpoint, "pause_reading")


@collect
async def errors_of_datagrams(trial: Trial) -> None:
    told: list[str] = []
    trial.listen_to_handler()

    class Listening(datagrams):
        def error_received(self, exc: Exception) -> None:
            told.append(repr(exc))

    nobody = trial.bound(socket.SOCK_STREAM).getsockname()
    transports = []
    for kwargs in ({"local_addr": (LO, 0)}, {"remote_addr": nobody}):
        transport, _ = await loop().create_datagram_endpoint(Listening, **kwargs)
        trial.left.callback(transport.abort)
        transports.append(transport)
    unconnected, connected = transports
    unconnected.sendto(b"nobody reads", nobody)
    connected.sendto(b"nobody reads")
    await settle()
    trial.say("closed port", told)
    connected.sendto(b"nobody reads")
    connected.sendto(b"nor this")
    await settle()
    trial.say("again", told)
    for data, address in (
        (b"", (LO, 9)), (bytes(70_000), (LO, 9)), (b"x", (LO, 0)), (b"x", ("::1", 9)),
        (b"x", (LO, 70000)), (b"x", "127.0.0.1"), (b"x", (LO,)), (b"x", (LO, 1.5)),
    ):  # fmt: skip
        told.clear()
        trial.call(unconnected.sendto, data, address)
        await asyncio.sleep(0)
        trial.say("told", told)
        trial.call(unconnected.is_closing)
        if unconnected.is_closing():
            unconnected, _ = await loop().create_datagram_endpoint(Listening, local_addr=(LO, 0))
            trial.left.callback(unconnected.abort)
    for context in trial.told:
        trial.say(context["message"], repr(context["exception"]))


@collect
async def datagram_sockets(trial: Trial) -> None:
    sock = trial.sock(socket.SOCK_DGRAM)
    trial.call(sock.send, b"x")
    trial.call(sock.sendto, b"x", (LO, 0))
    trial.call(sock.sendto, bytes(65508), (LO, 9))
    trial.call(sock.sendto, b"x", ("255.255.255.255", 9))
    trial.call(sock.getpeername)
    trial.call(sock.shutdown, socket.SHUT_WR)
    trial.call(sock.recv, 1)
    trial.call(sock.connect, ("::1", 9))
    nobody = trial.bound(socket.SOCK_STREAM).getsockname()
    connected = trial.sock(socket.SOCK_DGRAM)
    trial.call(connected.connect, nobody)
    trial.call(connected.send, b"x")
    await settle()
    trial.call(connected.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
    trial.call(connected.send, b"x")
    await settle()
    trial.call(connected.recv, 1)
    trial.call(connected.recv, 1)
    trial.call(connected.sendto, b"x", nobody)
    await trial.wait(loop().sock_recv(connected, 1))
    await trial.wait(loop().sock_sendto(connected, b"x", nobody))
    await trial.wait(loop().sock_recvfrom(connected, 10))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mistake_with_endpoints_ends_as_in_stock_asyncio(name: str, kind: str) -> None:
    assert on_network(PROGRAMS[name], kind) == on_kernel(PROGRAMS[name])
