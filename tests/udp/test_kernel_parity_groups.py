"""Multicast options and datagrams to groups on lo: scripts of calls, run on the kernel's sockets and on a stack's."""

from __future__ import annotations

import socket
import struct

import pytest

from aionetflow.ip.address import AF_INET6
from aionetflow.socket import membership as m
from aionetflow.socket.options import IPPROTO_IP, IPPROTO_IPV6, SO_REUSEADDR, SOL_SOCKET
from support.parity import IN, LO, Endpoint, Script, World, collector, differences

pytestmark = pytest.mark.kernel

SCRIPTS: dict[str, Script] = {}
script = collector(SCRIPTS)
GROUP, OTHER = "239.77.1.2", "239.77.1.3"
LO_INDEX = 1


def packed(text: str) -> bytes:
    return socket.inet_aton(text)


def mreq(group: str = GROUP, address: str = LO) -> bytes:
    return packed(group) + packed(address)


def source(address: str, group: str = GROUP) -> bytes:
    return packed(group) + packed(LO) + packed(address)


def sharing(world: World, port: int = 0, host: str = "0.0.0.0") -> Endpoint:
    sock = world.udp()
    sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    sock.bind((host, port))
    return sock


def sending(world: World) -> Endpoint:
    sock = world.udp()
    sock.bind((LO, 0))
    sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_IF, packed(LO))
    return sock


@script
def joining_and_leaving(world: World) -> None:
    sock = world.udp()
    sock.setsockopt(IPPROTO_IP, m.IP_DROP_MEMBERSHIP, mreq())
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq(LO))
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq(GROUP, "192.0.2.77"))
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq()[:7])
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, packed(OTHER) + bytes(4) + struct.pack("i", LO_INDEX))
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, packed(OTHER) + bytes(4) + struct.pack("i", 9999))
    sock.getsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP)
    sock.setsockopt(IPPROTO_IP, m.IP_DROP_MEMBERSHIP, packed(OTHER) + bytes(4) + struct.pack("i", LO_INDEX))
    sock.setsockopt(IPPROTO_IP, m.IP_DROP_MEMBERSHIP, mreq())
    sock.setsockopt(IPPROTO_IP, m.IP_DROP_MEMBERSHIP, mreq())
    stream = world.tcp()
    stream.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    stream.setsockopt(IPPROTO_IP, m.IP_MULTICAST_TTL, 3)


@script
def sources_come_and_go(world: World) -> None:
    sock = world.udp()
    for option, request in (
        (m.IP_BLOCK_SOURCE, source("127.0.0.5")),
        (m.IP_DROP_SOURCE_MEMBERSHIP, source("127.0.0.5")),
        (m.IP_ADD_SOURCE_MEMBERSHIP, source("127.0.0.5")),
        (m.IP_ADD_SOURCE_MEMBERSHIP, source("127.0.0.5")),
        (m.IP_ADD_SOURCE_MEMBERSHIP, source("127.0.0.6")),
        (m.IP_BLOCK_SOURCE, source("127.0.0.5")),
        (m.IP_ADD_MEMBERSHIP, mreq()),
        (m.IP_DROP_SOURCE_MEMBERSHIP, source("127.0.0.7")),
        (m.IP_DROP_SOURCE_MEMBERSHIP, source("127.0.0.5")),
        (m.IP_DROP_SOURCE_MEMBERSHIP, source("127.0.0.6")),
        (m.IP_DROP_MEMBERSHIP, mreq()),
        (m.IP_ADD_MEMBERSHIP, mreq()),
        (m.IP_UNBLOCK_SOURCE, source("127.0.0.5")),
        (m.IP_BLOCK_SOURCE, source("127.0.0.5")),
        (m.IP_BLOCK_SOURCE, source("127.0.0.5")),
        (m.IP_ADD_SOURCE_MEMBERSHIP, source("127.0.0.5")),
        (m.IP_UNBLOCK_SOURCE, source("127.0.0.5")),
        (m.IP_DROP_MEMBERSHIP, mreq()),
        (m.IP_ADD_SOURCE_MEMBERSHIP, source("127.0.0.5")[:11]),
    ):
        sock.setsockopt(IPPROTO_IP, option, request)


@script
def how_a_socket_sends(world: World) -> None:
    sock = world.udp()
    for option in (m.IP_MULTICAST_TTL, m.IP_MULTICAST_LOOP, m.IP_MULTICAST_ALL, m.IP_MULTICAST_IF):
        sock.getsockopt(IPPROTO_IP, option)
    for value in (0, 5, 255, 256, -1, -2):
        sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_TTL, value)
        sock.getsockopt(IPPROTO_IP, m.IP_MULTICAST_TTL)
    for value in (0, 7, 1):
        sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_LOOP, value)
        sock.getsockopt(IPPROTO_IP, m.IP_MULTICAST_LOOP)
        sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_ALL, value)
        sock.getsockopt(IPPROTO_IP, m.IP_MULTICAST_ALL)
    for named in (b"\x03", packed(LO), packed("192.0.2.9"), bytes(4), bytes(8) + struct.pack("i", LO_INDEX), bytes(3)):
        sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_IF, named)
        sock.getsockopt(IPPROTO_IP, m.IP_MULTICAST_IF, 4)


@script
def members_on_one_port_each_hear_it(world: World) -> None:
    one = sharing(world)
    two, outside = sharing(world, one.port), sharing(world, one.port)
    bound = sharing(world, one.port, LO)
    for sock in (one, two):
        sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    outside.setsockopt(IPPROTO_IP, m.IP_MULTICAST_ALL, 0)
    sender = sending(world)
    sender.sendto(b"to the group", (GROUP, one.port))
    one.wait(IN).recvfrom(20)
    two.wait(IN).recvfrom(20)
    outside.recvfrom(20)
    bound.recvfrom(20)
    sender.sendto(b"elsewhere", (OTHER, one.port))
    one.recvfrom(20)
    one.setsockopt(IPPROTO_IP, m.IP_DROP_MEMBERSHIP, mreq())
    one.setsockopt(IPPROTO_IP, m.IP_MULTICAST_ALL, 0)
    sender.sendto(b"again", (GROUP, one.port))
    two.wait(IN).recvfrom(20)
    one.recvfrom(20)


@script
def a_filter_on_lo(world: World) -> None:
    sock = sharing(world)
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_SOURCE_MEMBERSHIP, source("127.0.0.5"))
    for address in (LO, "127.0.0.5"):
        sender = world.udp()
        sender.bind((address, 0))
        sender.setsockopt(IPPROTO_IP, m.IP_MULTICAST_IF, packed(LO))
        sender.sendto(address.encode(), (GROUP, sock.port))
    sock.wait(IN).recvfrom(20)
    sock.recvfrom(20)


@script
def bound_to_a_group(world: World) -> None:
    sock = sharing(world, 0, GROUP)
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    sender = sending(world)
    sender.sendto(b"unicast", (LO, sock.port))
    sender.sendto(b"group", (GROUP, sock.port))
    sock.wait(IN).recvfrom(20)
    sock.recvfrom(20)


@script
def of_ipv6(world: World) -> None:
    sock = world.udp(AF_INET6)
    group = socket.inet_pton(socket.AF_INET6, "ff05::77")
    for option in (m.IPV6_MULTICAST_HOPS, m.IPV6_MULTICAST_LOOP, m.IPV6_MULTICAST_IF, m.IPV6_MULTICAST_ALL):
        sock.getsockopt(IPPROTO_IPV6, option)
    for value in (0, 255, 256, -1, -2):
        sock.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_HOPS, value)
        sock.getsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_HOPS)
    for value in (2, 0, 1):
        sock.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_LOOP, value)
        sock.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_ALL, value)
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_IF, 9999)
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_IF, LO_INDEX)
    sock.getsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_IF)
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_LEAVE_GROUP, group + struct.pack("i", LO_INDEX))
    for _ in range(2):
        sock.setsockopt(IPPROTO_IPV6, m.IPV6_JOIN_GROUP, group + struct.pack("i", LO_INDEX))
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_JOIN_GROUP, group + struct.pack("i", 9999))
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_JOIN_GROUP, bytes(20))
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_JOIN_GROUP, group)
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_LEAVE_GROUP, group + bytes(4))
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_LEAVE_GROUP, group + bytes(4))


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_stack_says_what_the_kernel_says(name: str) -> None:
    found = differences(SCRIPTS[name])
    assert not found, "\n".join(found)
