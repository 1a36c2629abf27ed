"""Urgent data, marks in the stream and how much is queued: the kernel's sockets and a stack's say the same."""

from __future__ import annotations

import fcntl
import struct
from typing import Any

import pytest

from aionetflow.socket.options import (
    IPPROTO_TCP,
    MSG_DONTWAIT,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    SHUT_WR,
    SIOCATMARK,
    SIOCINQ,
    SIOCOUTQ,
    SIOCOUTQNSD,
    SO_OOBINLINE,
    SO_RCVLOWAT,
    SOL_SOCKET,
    TCP_CORK,
    TCP_NODELAY,
)
from support.parity import IN, PRI, Endpoint, KernelWorld, Script, World, collector, differences, pair, server

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)


def ioctl(endpoint: Endpoint, *requests: int) -> None:
    """Logs what ioctl(2) tells."""
    sock: Any = endpoint.sock
    for request in requests:
        if isinstance(endpoint.world, KernelWorld):
            call = lambda number: struct.unpack("i", fcntl.ioctl(sock, number, bytes(4)))[0]  # noqa: E731
        else:
            call = sock.ioctl
        endpoint.world.record(f"{endpoint.name}.ioctl({request:#x})", call, (request,))


def look(endpoint: Endpoint) -> None:
    endpoint.events()
    ioctl(endpoint, SIOCATMARK, SIOCINQ)


@script
def an_octet_beside_the_stream(world: World) -> None:
    client, peer = pair(world)
    peer.recv(1, MSG_OOB)
    client.send(b"before")
    client.send(b"!", MSG_OOB)
    client.send(b"after")
    peer.wait(PRI)
    look(peer)
    peer.recv(100, MSG_PEEK)
    peer.recv(1, MSG_OOB | MSG_PEEK)
    peer.recv(10, MSG_OOB)
    peer.recv(10, MSG_OOB)
    look(peer)
    peer.recv(3)
    look(peer)
    peer.recv(100)
    look(peer)
    peer.recv(2, MSG_PEEK)
    peer.recv(2)
    look(peer)
    peer.recv(100)
    look(peer)
    peer.recv(1)
    peer.recv(1, MSG_OOB)


@script
def an_octet_in_the_stream(world: World) -> None:
    client, peer = pair(world)
    peer.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)
    client.send(b"before!", MSG_OOB)
    client.send(b"after")
    peer.wait(PRI)
    look(peer)
    peer.recv(1, MSG_OOB)
    peer.recv(100)
    look(peer)
    peer.recv(100, MSG_PEEK)
    peer.recv(100)
    look(peer)


@script
def nothing_but_urgent_data(world: World) -> None:
    client, peer = pair(world)
    client.send(b"", MSG_OOB)
    client.send(b"!", MSG_OOB)
    peer.wait(PRI)
    look(peer)
    peer.recv(0, MSG_OOB)
    peer.recv(10)
    look(peer)
    peer.recv(1, MSG_OOB)
    client.send(b"?", MSG_OOB)
    peer.wait(PRI).recv(1, MSG_OOB)
    look(peer)
    peer.recv(10)
    client.shutdown(SHUT_WR)
    peer.wait(IN).recv(1)
    look(peer)


@script
def an_urgent_octet_that_is_read_past_is_lost(world: World) -> None:
    client, peer = pair(world)
    client.send(b"ab", MSG_OOB)
    client.send(b"cd")
    peer.wait(PRI)
    peer.recv(10)
    peer.recv(10)
    peer.recv(1, MSG_OOB)
    look(peer)


@script
def urgent_data_into_buffers(world: World) -> None:
    client, peer = pair(world)
    client.sendmsg([b"ab", b"c"], [], MSG_OOB)
    peer.wait(PRI)
    buffer = bytearray(5)
    peer.recv_into(buffer)
    world.log.append(("buffer", bytes(buffer)))
    peer.recv_into(buffer, 0, MSG_OOB)
    world.log.append(("buffer", bytes(buffer)))
    peer.recv_into(buffer, 0, MSG_OOB | MSG_TRUNC)


@script
def urgent_data_of_sockets_without_a_connection(world: World) -> None:
    sock = world.tcp()
    sock.send(b"x", MSG_OOB)
    sock.recv(1, MSG_OOB)
    ioctl(sock, SIOCATMARK, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, 0x1234)
    listener = server(world)
    listener.recv(1, MSG_OOB)
    ioctl(listener, SIOCATMARK, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD)


@script
def what_is_queued(world: World) -> None:
    client, peer = pair(world)
    ioctl(client, SIOCINQ, SIOCOUTQ, SIOCOUTQNSD)
    client.setsockopt(IPPROTO_TCP, TCP_CORK, 1)
    client.send(b"corked")
    ioctl(client, SIOCOUTQ, SIOCOUTQNSD)
    client.setsockopt(IPPROTO_TCP, TCP_CORK, 0)
    peer.wait(IN)
    ioctl(client, SIOCOUTQ, SIOCOUTQNSD)
    ioctl(peer, SIOCINQ)
    peer.recv(2)
    ioctl(peer, SIOCINQ)
    client.shutdown(SHUT_WR)
    peer.recv(10)
    peer.recv(10)
    ioctl(peer, SIOCINQ)


@script
def less_than_the_low_water_mark(world: World) -> None:
    client, peer = pair(world)
    peer.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 5)
    client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    client.send(b"abc")
    world.pending(peer.sock, client.sock)
    peer.events()
    peer.recv(2, MSG_DONTWAIT)
    client.send(b"defg")
    peer.wait(IN).events()
    peer.recv(1)
    peer.events()
    client.shutdown(SHUT_WR)
    peer.wait(IN).events()


@pytest.mark.kernel
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)
