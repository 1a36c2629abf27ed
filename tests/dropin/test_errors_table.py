"""Mistakes of programs, made on Linux with stock asyncio and on a virtual network: the errors are the same.

Their class, errno and text; only what ports and descriptors there are differs from run to run. The two that Linux takes
minutes or another machine for are compared with what it is documented to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from aionetflow import Network, patch
from support.loops import everywhere, in_virtual_time, on
from support.sides import KINDS, LO, Address, Program, Trial, collector, on_kernel, on_network, settle

PROGRAMS: dict[str, Program] = {}
collect = collector(PROGRAMS)
loop = asyncio.get_running_loop
NOBODY = "x" * 64  # no label of the DNS: the C library knows without asking anybody


# ---- getting a connection


@collect
async def closed_port(trial: Trial) -> None:
    address = trial.bound().getsockname()  # bound, but nobody listens
    await trial.wait(asyncio.open_connection(*address))
    await trial.wait(asyncio.open_connection(address[0], address[1], local_addr=(LO, 0)))
    await trial.wait(loop().sock_connect(trial.sock(), address))
    sock = trial.sock()
    trial.call(sock.connect, address)
    await settle()
    trial.call(sock.getsockopt, socket.SOL_SOCKET, socket.SO_ERROR)
    trial.call(sock.getpeername)


@collect
async def closed_port_of_several_addresses(trial: Trial) -> None:
    port = trial.bound().getsockname()[1]

    async def two_addresses(*args: Any, **kwargs: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (LO, port))] * 2

    setattr(loop(), "getaddrinfo", two_addresses)  # noqa: B010
    trial.left.callback(delattr, loop(), "getaddrinfo")
    await trial.wait(asyncio.open_connection("some.name", port))
    await trial.wait(asyncio.open_connection("some.name", port, happy_eyeballs_delay=0.01))


@collect
async def unknown_host(trial: Trial) -> None:
    sock = trial.sock()
    trial.call(sock.connect, (NOBODY, 80))
    trial.call(sock.bind, (NOBODY, 80))
    trial.call(socket.getaddrinfo, "1.2.3.4.5", 80, flags=socket.AI_NUMERICHOST)
    await trial.wait(loop().getaddrinfo("nobody", 80, flags=socket.AI_NUMERICHOST))
    await trial.wait(loop().getaddrinfo(NOBODY, 80))
    await trial.wait(loop().getaddrinfo(LO, "no such service"))
    await trial.wait(loop().getaddrinfo(LO, 80, family=socket.AF_INET6))
    await trial.wait(loop().getaddrinfo(LO, 80, family=socket.AF_INET, type=socket.SOCK_STREAM, proto=17))
    await trial.wait(loop().getaddrinfo(LO, 80, family=99))
    await trial.wait(loop().getaddrinfo(None, None))
    await trial.wait(loop().getaddrinfo("a\0b", 80))
    await trial.wait(loop().getaddrinfo(5, 80))  # type: ignore[arg-type]
    await trial.wait(loop().getaddrinfo(LO, 1.5))  # type: ignore[arg-type]
    await trial.wait(loop().getnameinfo((LO,)))  # type: ignore[arg-type]
    await trial.wait(loop().getnameinfo(("localhost.", 80), 0))
    await trial.wait(loop().getnameinfo((LO, 70000), socket.NI_NUMERICSERV | socket.NI_NUMERICHOST))


@collect
async def no_route(trial: Trial) -> None:
    group = ("224.0.0.1", 80)  # where no TCP goes, whatever the routes
    await trial.wait(asyncio.open_connection(*group))
    await trial.wait(loop().sock_connect(trial.sock(), group))
    trial.call(trial.sock().connect, group)


@collect
async def full_backlog(trial: Trial) -> None:
    listener = trial.listener(backlog=0)
    address = listener.getsockname()
    await loop().sock_connect(trial.sock(), address)
    waiting = trial.sock()
    trial.call(waiting.connect, address)
    trial.call(waiting.connect, address)
    trial.call(waiting.send, b"x")
    trial.call(waiting.recv, 1)
    trial.call(waiting.getpeername)
    await trial.wait(asyncio.wait_for(asyncio.open_connection(*address), 0.05))
    await trial.wait(asyncio.wait_for(loop().sock_connect(trial.sock(), address), 0.05))


@collect
async def connect_to_a_listener_of_the_wrong_family(trial: Trial) -> None:
    await trial.wait(loop().create_connection(asyncio.Protocol, LO, 80, family=socket.AF_INET6))
    await trial.wait(loop().create_connection(asyncio.Protocol, LO, 80, local_addr=("::1", 0)))
    await trial.wait(loop().create_connection(asyncio.Protocol, LO, 80, local_addr=("192.0.2.1", 0)))
    await trial.wait(loop().sock_connect(trial.sock(), ("::1", 80)))
    await trial.wait(loop().sock_connect(trial.sock(family=socket.AF_INET6), (LO, 80)))


@collect
async def connect_where_it_makes_no_sense(trial: Trial) -> None:
    listener = trial.listener()
    address = listener.getsockname()
    trial.call(listener.connect, address)
    near, _ = await trial.pair()
    trial.call(near.connect, address)
    await trial.wait(loop().sock_connect(near, address))
    fresh = trial.sock()
    trial.call(fresh.connect_ex, address)
    accepted, _ = await loop().sock_accept(listener)
    trial.left.callback(accepted.close)
    await settle()
    trial.call(fresh.connect_ex, address)
    trial.call(fresh.connect_ex, address)
    bound = trial.bound()
    trial.call(bound.connect_ex, bound.getsockname())  # to itself: a simultaneous open


# ---- addresses of one's own


@collect
async def bind_twice(trial: Trial) -> None:
    address = trial.listener().getsockname()
    await trial.wait(asyncio.start_server(print, *address))
    await trial.wait(loop().create_server(asyncio.Protocol, [LO, "127.0.0.2"], address[1]))
    await trial.wait(loop().create_connection(asyncio.Protocol, *address, local_addr=address))
    trial.call(trial.sock().bind, address)
    bound = trial.bound()
    trial.call(bound.bind, bound.getsockname())
    trial.call(bound.bind, (LO, 0))
    datagrams = trial.bound(socket.SOCK_DGRAM).getsockname()
    await trial.wait(loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=datagrams))
    trial.call(trial.sock(socket.SOCK_DGRAM).bind, datagrams)


@collect
async def bind_to_what_is_not_ours(trial: Trial) -> None:
    await trial.wait(asyncio.start_server(print, "192.0.2.1", 80))
    await trial.wait(loop().create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("192.0.2.1", 80)))
    trial.call(trial.sock().bind, ("192.0.2.1", 0))
    trial.call(trial.sock(family=socket.AF_INET6).bind, ("2001:db8::1", 0))


@collect
async def listen_on_what_does_not(trial: Trial) -> None:
    near, _ = await trial.pair()
    trial.call(near.listen)
    trial.call(trial.sock().accept)
    trial.call(trial.bound().accept)
    trial.call(near.accept)
    trial.call(trial.bound(socket.SOCK_DGRAM).listen)
    trial.call(trial.bound(socket.SOCK_DGRAM).accept)
    await trial.wait(loop().sock_accept(trial.bound()))
    await trial.wait(loop().sock_accept(near))


# ---- connections


@collect
async def calls_without_a_connection(trial: Trial) -> None:
    for sock in (trial.sock(), trial.bound(), trial.listener()):
        trial.call(sock.getpeername)
        trial.call(sock.recv, 1)
        trial.call(sock.send, b"x")
        trial.call(sock.shutdown, socket.SHUT_WR)
        await trial.wait(loop().sock_recv(sock, 1))
        await trial.wait(loop().sock_recv_into(sock, bytearray(1)))
        await trial.wait(loop().sock_sendall(sock, b"x"))


@collect
async def read_and_write_after_a_reset(trial: Trial) -> None:
    near, far = await trial.pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    await settle()
    await trial.wait(loop().sock_recv(near, 10))
    await trial.wait(loop().sock_recv(near, 10))
    await trial.wait(loop().sock_sendall(near, b"x"))
    trial.call(near.getpeername)
    trial.call(near.shutdown, socket.SHUT_WR)


@collect
async def write_first_after_a_reset(trial: Trial) -> None:
    near, far = await trial.pair()
    far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    far.close()
    await settle()
    await trial.wait(loop().sock_sendall(near, b"x"))
    await trial.wait(loop().sock_sendall(near, b"x"))
    await trial.wait(loop().sock_recv(near, 10))


@collect
async def write_to_an_end_that_is_closed(trial: Trial) -> None:
    near, far = await trial.pair()
    far.close()
    await trial.wait(loop().sock_recv(near, 10))
    await trial.wait(loop().sock_sendall(near, b"x"))
    await settle()
    await trial.wait(loop().sock_sendall(near, b"x"))
    await trial.wait(loop().sock_recv(near, 10))


@collect
async def close_with_data_unread(trial: Trial) -> None:
    near, far = await trial.pair()
    await loop().sock_sendall(near, b"never read")
    await settle()
    far.close()
    await settle()
    await trial.wait(loop().sock_recv(near, 10))
    await trial.wait(loop().sock_sendall(near, b"x"))


@collect
async def half_closed(trial: Trial) -> None:
    near, far = await trial.pair()
    trial.call(near.shutdown, socket.SHUT_WR)
    trial.call(near.shutdown, socket.SHUT_WR)
    await trial.wait(loop().sock_sendall(near, b"x"))
    await trial.wait(loop().sock_recv(far, 10))
    await trial.wait(loop().sock_sendall(far, b"still open"))
    await trial.wait(loop().sock_recv(near, 10))
    trial.call(near.shutdown, socket.SHUT_RD)
    await trial.wait(loop().sock_recv(near, 10))
    trial.call(near.shutdown, 7)


@collect
async def streams_after_a_reset(trial: Trial) -> None:
    done: asyncio.Future[None] = loop().create_future()

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        done.set_result(None)

    server = await asyncio.start_server(reset, LO, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await done
    await trial.wait(reader.read())
    await trial.wait(reader.read())
    trial.call(writer.write, b"x")
    await trial.wait(writer.drain())
    trial.call(writer.can_write_eof)
    trial.call(writer.is_closing)
    writer.close()
    await trial.wait(writer.wait_closed())
    trial.call(writer.write, b"x")
    await trial.wait(writer.drain())
    server.close()


@collect
async def streams_that_end_too_early(trial: Trial) -> None:
    async def short(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"ab")
        writer.close()

    server = await asyncio.start_server(short, LO, 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), limit=8)
    await trial.wait(reader.readexactly(5))
    await trial.wait(reader.readuntil(b"\n"))
    await trial.wait(reader.readexactly(-1))
    await trial.wait(reader.readuntil(b""))
    writer.close()
    await trial.wait(writer.wait_closed())
    await trial.wait(writer.drain())
    server.close()


@collect
async def two_readers_of_one_stream(trial: Trial) -> None:
    address = await trial.server()
    reader, writer = await asyncio.open_connection(*address)
    waiting = asyncio.ensure_future(reader.read(1))
    await asyncio.sleep(0)
    await trial.wait(reader.read(1))
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    writer.close()
    await writer.wait_closed()


@pytest.mark.kernel
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_mistake_ends_as_on_the_kernel(name: str, kind: str) -> None:
    assert on_network(PROGRAMS[name], kind) == on_kernel(PROGRAMS[name])


# ---- what cannot be tried on Linux in a moment, on loopback


@everywhere
async def test_no_route_is_network_unreachable() -> None:
    """Linux's errno for a destination that no route leads to."""
    async with Network(seed=1):
        with pytest.raises(OSError, match=r"^\[Errno 101\] Network is unreachable$"):
            await asyncio.open_connection("203.0.113.1", 80)


@in_virtual_time
async def test_a_port_that_does_not_answer_times_out_after_eleven_attempts() -> None:
    """tcp(7): tcp_syn_retries is 6, and tcp_syn_linear_timeouts 4: 1, 1, 1, 1, 1, 2, 4, ... s, 131 in all."""
    async with Network(seed=1), Trial() as trial:
        with patch():
            address = trial.listener(backlog=0).getsockname()
            await loop().sock_connect(trial.sock(), address)  # which fills the backlog: further SYNs are dropped
        begun = loop().time()
        with pytest.raises(TimeoutError, match=r"^\[Errno 110\] Connect call failed \('127\.0\.0\.1', \d+\)$"):
            await asyncio.open_connection(*address)
        assert loop().time() - begun == pytest.approx(131, abs=1)


@in_virtual_time
async def test_a_host_that_is_not_there_is_no_route_to_host() -> None:
    """Linux's errno when nobody answers ARP, after three questions a second apart."""
    async with Network(seed=1) as network:
        server, client = network.host("server"), network.host("client")
        network.link(server, client, loss=1.0)
        async with client:
            begun = loop().time()
            with pytest.raises(OSError, match=r"^\[Errno 113\] Connect call failed \('10\.\S+', 80\)$"):
                await asyncio.open_connection("server", 80, family=socket.AF_INET)
            assert loop().time() - begun == pytest.approx(3, abs=0.2)
            both = r"^Multiple exceptions: \[Errno 113\] .*\('10\.\S+', 80\), \[Errno 113\] .*\('fd\S+', 80, 0, 0\)$"
            with pytest.raises(OSError, match=both):
                await asyncio.open_connection("server", 80)
            assert loop().time() - begun == pytest.approx(9, abs=0.2)


def errors_of_a_full_range(make: Callable[[], socket.socket], target: Address) -> list[OSError]:
    """What bind() and connect() say when there is no port left."""
    errors = []
    for call, address in (("bind", (LO, 0)), ("connect", target)):
        with make() as sock:
            sock.setblocking(False)
            with pytest.raises(OSError) as failure:
                getattr(sock, call)(address)
            errors.append(failure.value)
    return errors


def kernels_errors_of_a_full_range() -> list[OSError]:
    """On Linux, with a range of one port (ip(7) IP_LOCAL_PORT_RANGE)."""
    only = struct.pack("I", 40404 << 16 | 40404)

    def make() -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.IPPROTO_IP, 51, only)
        return sock

    with socket.create_server((LO, 0)) as listener, make() as holder:
        holder.bind((LO, 0))
        return errors_of_a_full_range(make, listener.getsockname())


@pytest.mark.kernel
@on("asyncio")
async def test_when_all_ports_are_taken_the_error_says_so() -> None:
    """The kernel's errors, and why."""
    kernels = kernels_errors_of_a_full_range()
    async with Network(seed=1) as network:
        low, high = 40_000, 40_099
        network.localhost.sysctl["net.ipv4.ip_local_port_range"] = low, high
        taken = [network.localhost.socket() for _ in range(low, high + 1)]
        for sock in taken:
            sock.bind((LO, 0))
        with patch():
            listener = socket.create_server((LO, 80))
            ours = errors_of_a_full_range(socket.socket, (LO, 80))
            listener.close()
    assert [type(error) for error in ours] == [type(error) for error in kernels]
    assert [error.errno for error in ours] == [error.errno for error in kernels]
    reasons = ["", " to this destination"]
    for error, kernels_error, reason in zip(ours, kernels, reasons, strict=True):
        assert str(error) == f"{kernels_error}: all ports from {low} to {high} are in use{reason}"
