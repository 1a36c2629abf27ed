"""Datagram endpoints on the kernel and on a virtual network."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from typing import Any

from support.loops import until
from support.sides import LO, Trial, on_both

loop = asyncio.get_running_loop


class Recorder(asyncio.DatagramProtocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[Exception] = []
        self.lost: asyncio.Future[Exception | None] = loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.calls.append("made")
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


async def endpoint(trial: Trial, **kwargs: Any) -> Recorder:
    """The protocol of an endpoint, on loopback unless it is told otherwise."""
    if not kwargs:
        kwargs = {"local_addr": (LO, 0)}
    transport, protocol = await loop().create_datagram_endpoint(Recorder, **kwargs)
    assert protocol.calls == ["made"]
    assert protocol.transport is transport
    trial.left.callback(transport.abort)
    return protocol


async def hears(protocol: Recorder, datagrams: list[Any]) -> None:
    """Waits until these have come, and no others."""
    await until(lambda: len(protocol.received) >= len(datagrams))
    assert protocol.received == datagrams


def name(protocol: Recorder) -> Any:
    """Its own address."""
    return protocol.transport.get_extra_info("sockname")


@on_both
async def test_datagrams_arrive_whole_with_the_address_of_the_sender(trial: Trial) -> None:
    near, far = await endpoint(trial), await endpoint(trial)
    for data in (b"one", b"two", bytearray(b"three"), memoryview(b"four"), bytes(20_000)):
        near.transport.sendto(data, name(far))
    await until(lambda: len(far.received) == 5)
    assert [data for data, _ in far.received] == [b"one", b"two", b"three", b"four", bytes(20_000)]
    assert {sender for _, sender in far.received} == {name(near)}


@on_both
async def test_an_empty_datagram_is_sent_by_those_pythons_that_do(trial: Trial) -> None:
    near, far = await endpoint(trial), await endpoint(trial)
    near.transport.sendto(b"", name(far))
    near.transport.sendto(b"x", name(far))
    await until(lambda: (b"x", name(near)) in far.received)
    assert len(far.received) == (2 if sys.version_info >= (3, 13) else 1)


@on_both
async def test_a_connected_endpoint_hears_its_peer_only(trial: Trial) -> None:
    far, stranger = await endpoint(trial), await endpoint(trial)
    near = await endpoint(trial, remote_addr=name(far))
    assert near.transport.get_extra_info("peername") == name(far)
    near.transport.sendto(b"question")
    near.transport.sendto(b"and another", name(far))
    await until(lambda: len(far.received) == 2)
    stranger.transport.sendto(b"spam", name(near))
    far.transport.sendto(b"answer", far.received[0][1])
    await until(lambda: near.received)
    assert near.received == [(b"answer", name(far))]


@on_both
async def test_a_connected_endpoint_hears_that_nobody_listens(trial: Trial) -> None:
    address = trial.bound(socket.SOCK_STREAM).getsockname()
    near = await endpoint(trial, remote_addr=address)
    near.transport.sendto(b"anybody?")
    await until(lambda: near.errors)
    assert [type(error) for error in near.errors] == [ConnectionRefusedError]
    assert not near.transport.is_closing()


@on_both
async def test_an_endpoint_that_is_not_connected_hears_no_such_thing(trial: Trial) -> None:
    address = trial.bound(socket.SOCK_STREAM).getsockname()
    near, far = await endpoint(trial), await endpoint(trial)
    near.transport.sendto(b"anybody?", address)
    near.transport.sendto(b"you?", name(far))
    await until(lambda: far.received)
    assert near.errors == []


@on_both
async def test_closing_an_endpoint_calls_connection_lost_in_a_later_turn(trial: Trial) -> None:
    for end in ("close", "abort"):
        near = await endpoint(trial)
        getattr(near.transport, end)()
        assert near.transport.is_closing()
        assert near.calls == ["made"]
        assert await near.lost is None
        assert near.calls == ["made", "lost"]
        near.transport.close()
        near.transport.abort()


@on_both
async def test_an_endpoint_says_what_it_is(trial: Trial) -> None:
    near = await endpoint(trial)
    sock = near.transport.get_extra_info("socket")
    assert (sock.family, sock.type, sock.proto) == (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_UDP)
    assert sock.getsockname() == name(near)
    assert near.transport.get_extra_info("peername") is None
    assert near.transport.get_write_buffer_size() == 0
    assert near.transport.get_write_buffer_limits() == (16384, 65536)
    assert isinstance(near.transport, asyncio.BaseTransport)
    assert re.match(r"<\w*DatagramTransport fd=\d+ read=polling write=<idle, bufsize=0>>", repr(near.transport))


@on_both
async def test_endpoints_of_both_families(trial: Trial) -> None:
    for family, host in ((socket.AF_INET, LO), (socket.AF_INET6, "::1")):
        far = await endpoint(trial, local_addr=(host, 0))
        near = await endpoint(trial, remote_addr=name(far)[:2], family=family)
        near.transport.sendto(b"hello")
        await hears(far, [(b"hello", name(near))])


@on_both
async def test_a_family_alone_makes_an_endpoint_without_an_address(trial: Trial) -> None:
    near = await endpoint(trial, family=socket.AF_INET)
    far = await endpoint(trial)
    near.transport.sendto(b"hello", name(far))
    await until(lambda: far.received)
    assert far.received[0][1][0] == LO


@on_both
async def test_a_socket_becomes_an_endpoint(trial: Trial) -> None:
    sock = trial.bound(socket.SOCK_DGRAM)
    near, far = await endpoint(trial, sock=sock), await endpoint(trial)
    assert name(near) == sock.getsockname()
    far.transport.sendto(b"hello", name(near))
    await until(lambda: near.received)
    near.transport.close()
    await near.lost
    assert sock.fileno() == -1


@on_both
async def test_several_endpoints_share_a_port_if_they_all_wish_to(trial: Trial) -> None:
    first = await endpoint(trial, local_addr=(LO, 0), reuse_port=True)
    second = await endpoint(trial, local_addr=name(first), reuse_port=True)
    assert name(first) == name(second)
    sender = await endpoint(trial)
    sender.transport.sendto(b"to one of them", name(first))
    await until(lambda: first.received or second.received)
    assert len(first.received + second.received) == 1


@on_both
async def test_allow_broadcast_sets_the_option(trial: Trial) -> None:
    for allowed in (None, True):
        near = await endpoint(trial, local_addr=(LO, 0), allow_broadcast=allowed)
        sock = near.transport.get_extra_info("socket")
        assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST)) == bool(allowed)


@on_both
async def test_datagrams_of_sock_calls(trial: Trial) -> None:
    near, far = trial.bound(socket.SOCK_DGRAM), trial.bound(socket.SOCK_DGRAM)
    assert await loop().sock_sendto(near, b"hello", far.getsockname()) == 5
    assert await loop().sock_recvfrom(far, 100) == (b"hello", near.getsockname())
    waiting = asyncio.ensure_future(loop().sock_recvfrom(far, 3))
    await asyncio.sleep(0)
    await loop().sock_sendto(near, b"longer", far.getsockname())
    assert await waiting == (b"lon", near.getsockname())
    await loop().sock_sendto(near, b"again", far.getsockname())
    buffer = bytearray(10)
    assert await loop().sock_recvfrom_into(far, buffer) == (5, near.getsockname())
    assert buffer.startswith(b"again")
    await loop().sock_connect(near, far.getsockname())
    await loop().sock_sendall(near, b"connected")
    assert await loop().sock_recv(far, 100) == b"connected"


@on_both
async def test_a_burst_is_read_without_starving_others(trial: Trial) -> None:
    near, far = await endpoint(trial), await endpoint(trial)
    for number in range(150):
        near.transport.sendto(b"%d" % number, name(far))
    await until(lambda: len(far.received) == 150)
    assert [int(data) for data, _ in far.received] == list(range(150))


@on_both
async def test_an_endpoint_that_is_being_closed_sends_until_it_is_unless_it_has_a_peer(trial: Trial) -> None:
    far, near = await endpoint(trial), await endpoint(trial)
    near.transport.close()
    near.transport.sendto(b"last", name(far))
    await near.lost
    tied = await endpoint(trial, remote_addr=name(far))
    tied.transport.close()
    tied.transport.sendto(b"never")
    await tied.lost
    await hears(far, [(b"last", name(near))])
