"""The calls that move data beyond send and recv: run on the kernel's sockets and on a stack's, they say the same."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from aionetflow.ip.address import AF_INET, AF_INET6
from aionetflow.socket.options import (
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_TCP,
    MSG_DONTWAIT,
    MSG_ERRQUEUE,
    MSG_MORE,
    MSG_NOSIGNAL,
    MSG_OOB,
    MSG_PEEK,
    MSG_TRUNC,
    MSG_WAITALL,
    SHUT_RD,
    SHUT_WR,
    SOL_SOCKET,
    TCP_NODELAY,
)
from support.parity import IN, OUT, Endpoint, Script, StackWorld, World, collector, differences, pair

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)
HARMLESS = (0, MSG_DONTWAIT, MSG_WAITALL, MSG_NOSIGNAL, MSG_DONTWAIT | MSG_NOSIGNAL)


def into(endpoint: Endpoint, call: str, size: int, *args: Any) -> None:
    """Calls something that fills one buffer, and logs what is in it then."""
    buffer = bytearray(size)
    getattr(endpoint, call)(buffer, *args)
    endpoint.world.log.append(("buffer", bytes(buffer)))


def into_many(endpoint: Endpoint, sizes: tuple[int, ...], *args: Any) -> None:
    """recvmsg_into several buffers, and what is in them then."""
    buffers = [bytearray(size) for size in sizes]
    endpoint.recvmsg_into(buffers, *args)
    endpoint.world.log.append(("buffers", [bytes(buffer) for buffer in buffers]))


def datagrams(world: World, family: int = AF_INET) -> tuple[Endpoint, Endpoint]:
    """A socket, and one that is connected to it."""
    receiver, sender = world.udp(family), world.udp(family)
    receiver.bind(("127.0.0.1" if family == AF_INET else "::1", 0))
    sender.connect(receiver.address)
    return receiver, sender


@script
def reading_a_stream_into_buffers(world: World) -> None:
    client, server = pair(world)
    client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    into(server, "recv_into", 8)
    for data in (b"one", b"two", b"three"):
        client.send(data)
    server.wait(IN)
    into(server, "recv_into", 4)
    into(server, "recv_into", 4, 2)
    into(server, "recvfrom_into", 4, 1)
    into(server, "recv_into", 0)
    into(server, "recv_into", 100, 0)
    into(server, "recvfrom_into", 3)
    client.shutdown(SHUT_WR)
    server.wait(IN)
    into(server, "recv_into", 3)
    into(server, "recvfrom_into", 3)


@script
def messages_over_a_stream(world: World) -> None:
    client, server = pair(world)
    client.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    server.recvmsg(10)
    client.sendmsg([b"one", bytearray(b"two"), memoryview(b"three")])
    client.sendmsg([])
    client.sendmsg([b"", b"4"], [], 0, ("192.0.2.1", 5))
    client.sendto(b"5", ("192.0.2.1", 5))
    for level, kind in ((SOL_SOCKET, 1), (SOL_SOCKET, 99), (IPPROTO_IP, 999), (IPPROTO_TCP, 1)):
        client.sendmsg([b"6"], [(level, kind, b"data")], MSG_NOSIGNAL)
    server.wait(IN).recvmsg(4)
    server.recvfrom(2)
    server.recvmsg(3, 100, MSG_PEEK)
    into_many(server, (1, 0, 3))
    into_many(server, (100,))
    into_many(server, ())
    into_many(server, (2, 2))
    client.close()
    server.wait(IN).recvmsg(10)
    into_many(server, (2,))


@script
def flags_on_a_stream(world: World) -> None:
    client, server = pair(world)
    for flag in (*HARMLESS, MSG_PEEK, MSG_ERRQUEUE, MSG_OOB, MSG_TRUNC):
        server.recv(10, flag)
    for flag in HARMLESS:
        client.send(b"data", flag)
        server.wait(IN).recv(10, flag)
    client.send(b"abcdefgh")
    server.wait(IN)
    into(server, "recv_into", 4, 0, MSG_PEEK)
    into(server, "recv_into", 3, 2, MSG_TRUNC)
    into(server, "recv_into", 3, 0, MSG_PEEK | MSG_TRUNC)
    into(server, "recv_into", 8, 0, MSG_WAITALL)
    into(server, "recv_into", 8, 0, MSG_OOB)
    into(server, "recv_into", 8, 0, MSG_ERRQUEUE)


@script
def calls_on_a_stream_without_a_connection(world: World) -> None:
    sock = world.tcp()
    sock.sendmsg([b"x"])
    sock.sendto(b"x", ("127.0.0.1", 9))
    sock.recvmsg(1)
    sock.recvfrom(1)
    into(sock, "recv_into", 1)
    into_many(sock, (1,))
    sock.shutdown(SHUT_RD)
    into(sock, "recv_into", 1)
    sock.close()
    sock.sendmsg([b"x"])
    sock.recvmsg(1)
    into(sock, "recv_into", 1)


@script
def a_full_buffer_takes_no_message(world: World) -> None:
    client, _ = pair(world)
    client.fill()
    client.sendmsg([b"x", b"y"])
    client.sendmsg([])
    client.sendmsg([b"", b""])


@script
def reading_datagrams_into_buffers(world: World) -> None:
    for family in (AF_INET, AF_INET6):
        receiver, sender = datagrams(world, family)
        into(receiver, "recv_into", 8)
        for data in (b"first", b"second", b"third", b"", b"fifth", b"sixth", b"seventh"):
            sender.send(data)
        receiver.wait(IN)
        into(receiver, "recv_into", 8)
        into(receiver, "recv_into", 8, 3)
        into(receiver, "recvfrom_into", 3)
        into(receiver, "recvfrom_into", 3)
        into(receiver, "recv_into", 0)
        into(receiver, "recv_into", 3, 0, MSG_PEEK)
        into(receiver, "recv_into", 3, 0, MSG_PEEK | MSG_TRUNC)
        into(receiver, "recv_into", 3, 0, MSG_TRUNC)
        into(receiver, "recvfrom_into", 0)
        into(receiver, "recvfrom_into", 9, 2, MSG_TRUNC)
        into(receiver, "recvfrom_into", 9)


@script
def messages_as_datagrams(world: World) -> None:
    for family in (AF_INET, AF_INET6):
        receiver, sender = datagrams(world, family)
        other = world.udp(family)
        receiver.recvmsg(10)
        sender.sendmsg([b"one", bytearray(b"two")])
        sender.sendmsg([])
        for level, kind in ((SOL_SOCKET, 1), (SOL_SOCKET, 99), (IPPROTO_IP, 999), (IPPROTO_IPV6, 999), (99, 1)):
            sender.sendmsg([b"x"], [(level, kind, b"data")])
        other.sendmsg([b"x"])
        other.sendmsg([b"to ", b"you"], [], 0, receiver.address)
        other.sendto(b"and", receiver.address)
        other.sendmsg([b"x"], [], 0, ("::1" if family == AF_INET6 else "127.0.0.1", 0))
        receiver.wait(IN).recvmsg(4)
        for _ in range(4):
            receiver.recvmsg(4, 10)
        receiver.recvmsg(10, 0, MSG_PEEK)
        receiver.recvmsg(2, 0, MSG_PEEK | MSG_TRUNC)
        into_many(receiver, (2, 1))
        into_many(receiver, (2, 10))
        into_many(receiver, (2, 10))


@script
def flags_on_datagrams(world: World) -> None:
    receiver, sender = datagrams(world)
    for flag in (*HARMLESS, MSG_PEEK, MSG_ERRQUEUE, MSG_OOB, MSG_TRUNC):
        receiver.recv(10, flag)
        if flag not in (MSG_OOB, MSG_TRUNC):
            sender.send(b"data", flag)
            receiver.wait(IN).recvfrom(10, flag & ~MSG_ERRQUEUE & ~MSG_PEEK)
    sender.send(b"data", MSG_OOB)
    sender.sendto(b"data", receiver.address)
    receiver.wait(IN).recv(2, MSG_OOB)


@script
def what_is_no_buffer(world: World) -> None:
    client, server = pair(world)
    client.send(b"data")
    server.wait(IN)
    for endpoint in (server, world.udp()):
        for arguments in ((bytearray(4), 5), (bytearray(4), -1), (b"data",), (memoryview(b"data"),)):
            endpoint.recv_into(*arguments)
            endpoint.recvfrom_into(*arguments)
        endpoint.recvmsg(-1)
        endpoint.recvmsg(1, -1)
        endpoint.recvmsg_into([bytearray(4)], -1)
        endpoint.recvmsg_into([b"data"])
        endpoint.sendmsg(["text"])


@pytest.mark.kernel
@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)


def test_views_of_wider_items_count_in_octets() -> None:
    world = StackWorld()
    client, server = pair(world)
    words = memoryview(b"12345678").cast("I")
    assert client.sock.sendmsg([words, words[1:]]) == 12
    room = memoryview(bytearray(16)).cast("I")
    assert server.wait(IN).sock.recv_into(room) == 12
    assert room.tobytes() == b"1234567856780000"[:12] + bytes(4)


def test_a_message_longer_than_the_room_is_taken_in_part() -> None:
    world = StackWorld()
    client, server = pair(world)
    data = [bytes([k]) * 100_000 for k in range(20)]
    sent = client.sock.sendmsg(data)
    assert 0 < sent < 2_000_000
    received = bytearray()
    while len(received) < sent:
        received += server.wait(IN).sock.recv(1 << 20)
    assert received == b"".join(data)[:sent]


def test_what_was_sent_does_not_change_with_the_buffer_it_came_from() -> None:
    world = StackWorld()
    client, server = pair(world)
    buffer = bytearray(b"before")
    client.sock.sendmsg([buffer, memoryview(buffer)])
    buffer[:] = b"after!"
    assert server.wait(IN).sock.recv(100) == b"beforebefore"


def test_reading_into_a_buffer_opens_the_window() -> None:
    world = StackWorld()
    client, server = pair(world)
    room = bytearray(100_000)
    data = bytes(k * 13 & 255 for k in range(2_000_003))  # several windows
    sent, received = 0, b""
    while len(received) < len(data):
        if client.sock.events() & OUT and sent < len(data):
            sent += client.sock.send(data[sent:])
        world.wait(server.sock, IN)
        received += room[: server.sock.recv_into(room)]
    assert received == data


@pytest.mark.parametrize("flag", [MSG_OOB, MSG_MORE])
def test_urgent_datagrams_and_datagrams_in_parts_are_refused(flag: int) -> None:
    # the kernel has UDP_CORK
    sender = datagrams(StackWorld())[1]
    for call, arguments in ((sender.sock.send, (b"x", flag)), (sender.sock.sendmsg, ([b"x"], [], flag))):
        with pytest.raises(OSError, match="not supported") as failure:
            call(*arguments)
        assert failure.value.errno == errno.EOPNOTSUPP
