"""recvmsg, sendmsg and the error queue: scripts of calls, run on the kernel's sockets and on a stack's."""

from __future__ import annotations

import struct

import pytest

from aionetflow.ip.address import AF_INET6
from aionetflow.socket.ancillary import (
    IP_PKTINFO,
    IP_RECVORIGDSTADDR,
    IP_RECVTOS,
    IP_RECVTTL,
    IPV6_HOPLIMIT,
    IPV6_PKTINFO,
    IPV6_RECVHOPLIMIT,
    IPV6_RECVPKTINFO,
    IPV6_RECVTCLASS,
    SO_RXQ_OVFL,
    SO_TIMESTAMP,
    SO_TIMESTAMPNS,
    UDP_SEGMENT,
)
from aionetflow.socket.ip_options import IP_MTU, IPV6_MTU
from aionetflow.socket.options import (
    IP_MTU_DISCOVER,
    IP_RECVERR,
    IP_TOS,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPPROTO_UDP,
    IPV6_MTU_DISCOVER,
    IPV6_RECVERR,
    IPV6_TCLASS,
    MSG_ERRQUEUE,
    MSG_PEEK,
    MSG_TRUNC,
    SO_ERROR,
    SOL_SOCKET,
)
from support.parity import ERR, IN, LO, LO6, Endpoint, Script, World, collector, differences

pytestmark = pytest.mark.kernel

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)
FOUR = [(IPPROTO_IP, option) for option in (IP_PKTINFO, IP_RECVTTL, IP_RECVTOS)]
SIX = [(IPPROTO_IPV6, option) for option in (IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT, IPV6_RECVTCLASS)]


def bound(world: World, host: str = LO) -> Endpoint:
    sock = world.udp(AF_INET6 if ":" in host else 2)
    sock.bind((host, 0))
    return sock


def asking(world: World, options: list[tuple[int, int]], host: str = LO) -> Endpoint:
    sock = bound(world, host)
    for level, option in options:
        sock.setsockopt(level, option, 1)
    return sock


def told(world: World, sock: Endpoint, *args: int) -> None:
    """recvmsg's result, without what differs by nature: ports inside ancillary data."""
    data, items, flags, address = sock.wait(IN).sock.recvmsg(*args)
    plain = [(level, kind, bytes(octets)) for level, kind, octets in items]
    world.log.append(("told", (data, plain, flags, world.plain(address))))


@script
def what_is_asked_for_is_told_in_order(world: World) -> None:
    receiver, sender = asking(world, FOUR), bound(world)
    sender.setsockopt(IPPROTO_IP, IP_TTL, 7)
    sender.setsockopt(IPPROTO_IP, IP_TOS, 0x28)
    sender.sendto(b"one", receiver.address)
    told(world, receiver, 10, 1000)
    for _, option in FOUR:
        receiver.setsockopt(IPPROTO_IP, option, 0)
        receiver.getsockopt(IPPROTO_IP, option)
        sender.sendto(b"next", receiver.address)
        told(world, receiver, 10, 1000)


@script
def what_is_told_is_decided_when_it_is_read(world: World) -> None:
    receiver, sender = bound(world), bound(world)
    sender.sendto(b"one", receiver.address)
    receiver.wait(IN)
    receiver.setsockopt(IPPROTO_IP, IP_RECVTTL, 1)
    told(world, receiver, 10, 100)


@script
def ancillary_data_that_does_not_fit_is_cut(world: World) -> None:
    receiver, sender = asking(world, FOUR), bound(world)
    for room in (0, 8, 15, 16, 20, 27, 28, 31, 32, 40, 48, 52, 56, 68, 72, 73, 200):
        sender.sendto(b"data", receiver.address)
        told(world, receiver, 10, room)
    sender.sendto(b"datagram", receiver.address)
    told(world, receiver, 3, 20)


@script
def a_peek_tells_all_and_takes_nothing(world: World) -> None:
    receiver, sender = asking(world, FOUR), bound(world)
    sender.sendto(b"datagram", receiver.address)
    told(world, receiver, 3, 200, MSG_PEEK)
    told(world, receiver, 3, 200, MSG_PEEK | MSG_TRUNC)
    told(world, receiver, 30, 200)


@script
def where_it_was_sent_to(world: World) -> None:
    receiver = bound(world, "0.0.0.0")
    receiver.setsockopt(IPPROTO_IP, IP_PKTINFO, 1)
    sender = bound(world)
    sender.sendto(b"x", ("127.0.0.9", receiver.port))
    told(world, receiver, 10, 100)
    receiver.setsockopt(IPPROTO_IP, IP_RECVORIGDSTADDR, 1)
    sender.sendto(b"x", ("127.0.0.9", receiver.port))
    _, items, _, _ = receiver.wait(IN).sock.recvmsg(10, 200)
    world.log.append(("items", [(level, kind, bytes(data[:2]) + bytes(data[4:])) for level, kind, data in items]))


@script
def times_are_told(world: World) -> None:
    receiver, sender = bound(world), bound(world)
    for option in (SO_TIMESTAMP, SO_TIMESTAMPNS):
        receiver.setsockopt(SOL_SOCKET, option, 1)
        sender.sendto(b"x", receiver.address)
        _, items, _, _ = receiver.wait(IN).sock.recvmsg(10, 200)
        world.log.append(("items", [(level, kind, len(data)) for level, kind, data in items]))
        receiver.setsockopt(SOL_SOCKET, option, 0)


@script
def of_ipv6(world: World) -> None:
    receiver, sender = asking(world, SIX, LO6), bound(world, LO6)
    sender.setsockopt(IPPROTO_IPV6, 16, 9)
    sender.setsockopt(IPPROTO_IPV6, IPV6_TCLASS, 0x55)
    sender.sendto(b"six", receiver.address)
    told(world, receiver, 10, 1000)
    sender.sendto(b"six", receiver.address)
    told(world, receiver, 10, 50)


@script
def of_ipv4_on_a_dual_socket(world: World) -> None:
    receiver = asking(world, [*SIX, *FOUR[1:]], "::")
    sender = bound(world)
    sender.sendto(b"mapped", (LO, receiver.port))
    told(world, receiver, 10, 1000)


@script
def what_sendmsg_asks_for_is_in_the_header(world: World) -> None:
    receiver, sender = asking(world, FOUR), world.udp()
    ttl, tos = struct.pack("i", 3), struct.pack("i", 0x20)
    info = struct.pack("i4s4s", 0, bytes((127, 0, 0, 5)), bytes(4))
    sender.sendmsg([b"a", b"b"], [(IPPROTO_IP, IP_TTL, ttl)], 0, receiver.address)
    told(world, receiver, 10, 1000)
    sender.sendmsg([b"c"], [(IPPROTO_IP, IP_TOS, tos), (IPPROTO_IP, IP_TTL, ttl)], 0, receiver.address)
    told(world, receiver, 10, 1000)
    sender.sendmsg([b"c"], [(IPPROTO_IP, IP_TOS, b"\x24")], 0, receiver.address)
    told(world, receiver, 10, 1000)
    sender.sendmsg([b"from elsewhere"], [(IPPROTO_IP, IP_PKTINFO, info)], 0, receiver.address)
    told(world, receiver, 20, 1000)
    sender.sendto(b"as before", receiver.address)
    told(world, receiver, 20, 1000)


@script
def what_cannot_be_asked_for_is_refused(world: World) -> None:
    receiver, sender = bound(world), world.udp()
    wrong = [
        (IPPROTO_IP, IP_TTL, struct.pack("i", 0)), (IPPROTO_IP, IP_TTL, struct.pack("i", 256)),
        (IPPROTO_IP, IP_TTL, b"\5"),
        (IPPROTO_IP, IP_TOS, struct.pack("i", 256)), (IPPROTO_IP, IP_TOS, b"ab"), (IPPROTO_IP, IP_PKTINFO, bytes(8)),
        (IPPROTO_IP, 99, bytes(4)), (SOL_SOCKET, 99, bytes(4)),
    ]  # fmt: skip
    for item in wrong:
        sender.sendmsg([b"x"], [item], 0, receiver.address)
    for item in [(IPPROTO_IPV6, IPV6_HOPLIMIT, b""), (77, 1, b"?"), (SOL_SOCKET, 2, bytes(12))]:
        sender.sendmsg([b"y"], [item], 0, receiver.address)


@script
def what_sendmsg_asks_for_on_ipv6(world: World) -> None:
    receiver, sender = asking(world, SIX, LO6), world.udp(AF_INET6)
    for item in (
        (IPPROTO_IPV6, IPV6_HOPLIMIT, struct.pack("i", 5)),
        (IPPROTO_IPV6, IPV6_TCLASS, struct.pack("i", 0x30)),
        (IPPROTO_IPV6, IPV6_PKTINFO, bytes(15) + b"\1" + struct.pack("i", 0)),
        (IPPROTO_IPV6, IPV6_HOPLIMIT, struct.pack("i", -1)),
    ):
        sender.sendmsg([b"x"], [item], 0, receiver.address)
        told(world, receiver, 10, 1000)
    for item in (
        (IPPROTO_IPV6, IPV6_HOPLIMIT, struct.pack("i", 256)),
        (IPPROTO_IPV6, IPV6_TCLASS, struct.pack("i", 256)),
        (IPPROTO_IPV6, IPV6_PKTINFO, bytes(8)),
        (IPPROTO_IPV6, 99, bytes(4)),
    ):
        sender.sendmsg([b"x"], [item], 0, receiver.address)


@script
def one_call_sends_several_datagrams(world: World) -> None:
    receiver, sender = bound(world), world.udp()
    sender.sendmsg([b"abcdefgh"], [(IPPROTO_UDP, UDP_SEGMENT, struct.pack("H", 3))], 0, receiver.address)
    for _ in range(3):
        receiver.wait(IN).recv(10)
    sender.setsockopt(IPPROTO_UDP, UDP_SEGMENT, 4)
    sender.getsockopt(IPPROTO_UDP, UDP_SEGMENT)
    sender.sendto(b"0123456789", receiver.address)
    for _ in range(3):
        receiver.wait(IN).recv(10)
    sender.sendto(bytes(600), receiver.address)
    sender.sendmsg([b"x"], [(IPPROTO_UDP, UDP_SEGMENT, b"\1")], 0, receiver.address)
    sender.setsockopt(IPPROTO_UDP, UDP_SEGMENT, -1)
    sender.setsockopt(IPPROTO_UDP, UDP_SEGMENT, 65536)


def errors(world: World, sock: Endpoint, *args: int) -> None:
    sock.wait(ERR).events()
    data, items, flags, address = sock.sock.recvmsg(*args, MSG_ERRQUEUE)
    world.log.append(("told", (data, [(a, b, bytes(c)) for a, b, c in items], flags, world.plain(address))))


def unreachable(world: World, host: str = LO, other: str = "127.0.0.9") -> tuple[Endpoint, tuple[str, int]]:
    holder = world.udp(AF_INET6 if ":" in host else 2)
    holder.bind((other, 0))
    sock = world.udp(AF_INET6 if ":" in host else 2)
    sock.bind((host, 0))
    return sock, (host, holder.port)


@script
def the_error_queue_of_an_unconnected_socket(world: World) -> None:
    sock, nowhere = unreachable(world)
    sock.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    sock.recvmsg(10, 100, MSG_ERRQUEUE)
    sock.sendto(b"lost", nowhere)
    errors(world, sock, 100, 200)
    sock.events()
    sock.recv(10)
    sock.sendto(b"lost", nowhere)
    sock.wait(ERR).recv(10)
    sock.events()
    errors(world, sock, 2, 200)
    sock.getsockopt(SOL_SOCKET, SO_ERROR)


@script
def the_error_queue_holds_several(world: World) -> None:
    sock, nowhere = unreachable(world)
    sock.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    sock.sendto(b"one", nowhere)
    sock.wait(ERR).getsockopt(SOL_SOCKET, SO_ERROR)
    sock.sendto(b"two", nowhere)
    sock.wait(ERR).getsockopt(SOL_SOCKET, SO_ERROR)
    sock.events()
    errors(world, sock, 100, 200)
    sock.getsockopt(SOL_SOCKET, SO_ERROR)
    errors(world, sock, 100, 20)
    sock.recvfrom(10, MSG_ERRQUEUE)


@script
def the_error_queue_of_a_connected_socket(world: World) -> None:
    sock, nowhere = unreachable(world)
    sock.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    sock.setsockopt(IPPROTO_IP, IP_RECVTTL, 1)
    sock.connect(nowhere)
    sock.send(b"lost")
    errors(world, sock, 100, 400)
    sock.send(b"again")
    sock.wait(ERR).send(b"refused")
    sock.recv(10, MSG_ERRQUEUE)
    sock.recv(10, MSG_ERRQUEUE)


@script
def the_error_queue_of_ipv6(world: World) -> None:
    sock, sender = bound(world, LO6), bound(world, LO6)
    port = sock.port
    sock.close()
    sender.setsockopt(IPPROTO_IPV6, IPV6_RECVERR, 1)
    sender.getsockopt(IPPROTO_IPV6, IPV6_RECVERR)
    sender.sendto(b"lost", (LO6, port))
    errors(world, sender, 100, 200)


@script
def an_error_about_ipv4_on_a_dual_socket(world: World) -> None:
    _, nowhere = unreachable(world)
    sender = world.udp(AF_INET6)
    sender.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    sender.setsockopt(IPPROTO_IPV6, IPV6_RECVERR, 1)
    sender.sendto(b"lost", ("::ffff:127.0.0.1", nowhere[1]))
    errors(world, sender, 100, 200)


@script
def what_may_not_be_cut_is_refused_and_the_queue_says_what_would_fit(world: World) -> None:
    receiver, sock = bound(world), world.udp()
    sock.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
    sock.sendto(bytes(65508), receiver.address)
    sock.recvmsg(10, 100, MSG_ERRQUEUE)
    for mode in range(-1, 7):
        sock.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, mode)
        sock.getsockopt(IPPROTO_IP, IP_MTU_DISCOVER)
        sock.sendto(bytes(65507), receiver.address)


@script
def the_mtu_of_the_way(world: World) -> None:
    receiver, sock = bound(world), world.udp()
    sock.getsockopt(IPPROTO_IP, IP_MTU)
    sock.connect(receiver.address)
    sock.getsockopt(IPPROTO_IP, IP_MTU)
    sock.setsockopt(IPPROTO_IP, IP_MTU, 1500)
    six, there = world.udp(AF_INET6), bound(world, LO6)
    six.getsockopt(IPPROTO_IPV6, IPV6_MTU)
    six.connect(there.address)
    six.getsockopt(IPPROTO_IPV6, IPV6_MTU)
    six.setsockopt(IPPROTO_IPV6, IPV6_MTU_DISCOVER, 6)
    six.setsockopt(IPPROTO_IPV6, IPV6_MTU_DISCOVER, 2)
    six.getsockopt(IPPROTO_IPV6, IPV6_MTU_DISCOVER)
    stream = world.tcp()
    stream.getsockopt(IPPROTO_IP, IP_MTU)
    for option in (IP_RECVERR, IP_RECVTTL, IP_PKTINFO, IP_MTU_DISCOVER, SO_RXQ_OVFL):
        stream.getsockopt(IPPROTO_IP, option)


@script
def long_datagrams_of_both_families(world: World) -> None:
    for host, most in ((LO, 65507), (LO6, 65527)):
        receiver = bound(world, host)
        sock = world.udp(AF_INET6 if ":" in host else 2)
        for size in (most - 1, most, most + 1):
            sock.sendto(bytes(size), receiver.address)
        receiver.wait(IN).recv(70000)


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)
