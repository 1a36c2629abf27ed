"""Multicast over IPv6: joining, hearing, sending, and what MLD says of it (RFC 3810, RFC 2710)."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from scapy.layers.inet6 import IPv6 as Scapy6

from aionetflow.ip.address import AF_INET6, pack
from aionetflow.socket import membership as m
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import IPPROTO_IPV6, SO_REUSEADDR, SOCK_DGRAM, SOL_SOCKET
from support.lan import Host, checksum, mac_octets
from support.rules import rule

GROUP = "ff05::1:3"
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)
ROUTER = "fe80::99"
SENDER, OTHER = "fd00::7", "fd00::8"


def lan() -> Host:
    host = Host()
    host.ethernet("fd00::1/64")
    host.clock.advance(5)
    host.wire.says()
    return host


def udp6(host: Host, port: int = 0) -> DatagramSocket:
    sock = host.stack.socket(AF_INET6, SOCK_DGRAM)
    assert isinstance(sock, DatagramSocket)
    sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    if port:
        sock.bind(("::", port))
    return sock


def member(host: Host, group: str = GROUP, port: int = 5000) -> DatagramSocket:
    sock = udp6(host, port)
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_JOIN_GROUP, pack(group) + struct.pack("i", host.wire.interface.index))
    return sock


def source_request(host: Host, group: str, source: str) -> bytes:
    def storage(address: str) -> bytes:
        return (struct.pack("=HHI", AF_INET6, 0, 0) + pack(address)).ljust(128, b"\0")

    return struct.pack("=II", host.wire.interface.index, 0) + storage(group) + storage(source)


def frame(source: str, destination: str, body: bytes, protocol: int, hops: int = 64, options: bytes = b"") -> bytes:
    """An Ethernet frame with an IPv6 packet from the router's MAC to a group's."""
    packet = struct.pack(">IHBB", 0x60000000, len(options + body), protocol, hops) + pack(source) + pack(destination)
    return b"\x33\x33" + pack(destination)[12:] + mac_octets(9) + b"\x86\xdd" + packet + options + body


def summed(source: str, destination: str, body: bytes, protocol: int, at: int) -> bytes:
    """The body with its checksum at that octet."""
    pseudo = pack(source) + pack(destination) + len(body).to_bytes(4, "big") + bytes((0, 0, 0, protocol))
    return body[:at] + checksum(pseudo + body) + body[at + 2 :]


def datagram(data: bytes, source: str = SENDER, group: str = GROUP, port: int = 5000) -> bytes:
    body = struct.pack(">HHHH", 4000, port, 8 + len(data), 0) + data
    return frame(source, group, summed(source, group, body, 17, 6), 17)


def query(
    group: str = "::", sources: tuple[str, ...] = (), longest: int = 1000, *, old: bool = False, **fields: Any
) -> bytes:
    body = struct.pack(">BBHHH", 130, 0, 0, longest, 0) + pack(group)
    if not old:
        body += bytes((2, 125)) + len(sources).to_bytes(2, "big") + b"".join(map(pack, sources))
    source, destination = fields.get("source", ROUTER), "ff02::1"
    alert = bytes((58, 0, 5, 2, 0, 0, 1, 0))
    return frame(source, destination, summed(source, destination, body, 58, 2), 0, fields.get("hops", 1), alert)


def messages(host: Host) -> list[tuple[float, Any, bytes]]:
    """What MLD has said: when, the IPv6 header, the message."""
    found = []
    for when, packet in host.wire.says_when():
        if Scapy6 not in packet:
            continue
        octets = bytes(packet[Scapy6])
        if octets[6] != 0 or octets[40] != 58:
            continue
        assert octets[42:48] == bytes((5, 2, 0, 0, 1, 0))
        assert (octets[7], packet[Scapy6].src[:4]) == (1, "fe80")
        body = octets[48:]
        pseudo = octets[8:40] + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58))
        assert checksum(pseudo + body) == b"\0\0"
        found.append((when, packet[Scapy6], body))
    return found


def said(host: Host) -> list[tuple[float, list[tuple[int, bytes, list[bytes]]]]]:
    """The version 2 reports: when, and (kind, group, sources) of each record."""
    found = []
    for when, header, body in messages(host):
        assert (body[0], header.dst) == (143, "ff02::16")
        records, at = [], 8
        for _ in range(int.from_bytes(body[6:8], "big")):
            count = int.from_bytes(body[at + 2 : at + 4], "big")
            words = [body[k : k + 16] for k in range(at + 4, at + 20 + 16 * count, 16)]
            records.append((body[at], words[0], words[1:]))
            at += 20 + 16 * count
        assert at == len(body)
        found.append((when, records))
    return found


@rule("RFC 3810 6.1", "A join is reported at once, and again within a second", code="ip/multicast.py")
def test_a_join_and_a_leave_are_reported_twice() -> None:
    host = lan()
    sock = member(host)
    host.clock.advance(5)
    first, second = said(host)
    assert first == (5.0, [(TO_EX, pack(GROUP), [])])
    assert second[1] == first[1]
    assert 5 < second[0] <= 6
    sock.setsockopt(IPPROTO_IPV6, m.IPV6_LEAVE_GROUP, pack(GROUP) + bytes(4))
    host.clock.advance(5)
    assert [records for _, records in said(host)] == [[(TO_IN, pack(GROUP), [])]] * 2


def test_members_hear_a_group_and_its_sender_hears_itself() -> None:
    host = lan()
    one, two = member(host), member(host)
    host.wire.hears(datagram(b"hello"))
    assert [sock.recvfrom(9) for sock in (one, two)] == [(b"hello", (SENDER, 4000, 0, 0))] * 2
    sender = udp6(host)
    sender.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_IF, host.wire.interface.index)
    sender.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_HOPS, 7)
    sender.sendto(b"own", (GROUP, 5000))
    assert [sock.recv(9) for sock in (one, two)] == [b"own"] * 2
    packet = next(p for p in host.wire.says() if Scapy6 in p and p[Scapy6].dst == GROUP)
    assert (packet.dst, packet[Scapy6].hlim, packet[Scapy6].src) == ("33:33:00:01:00:03", 7, "fd00::1")
    sender.setsockopt(IPPROTO_IPV6, m.IPV6_MULTICAST_LOOP, 0)
    sender.sendto(b"own", (GROUP, 5000))
    assert one.queued() == (0, 0)
    one.close()
    two.close()
    host.wire.hears(datagram(b"late"))
    assert host.stack.stats.udp6.InDatagrams == 4


def test_a_group_of_the_link_is_joined_and_heard_there() -> None:
    host = lan()
    sock = member(host, "ff02::fb", 5353)
    host.wire.hears(datagram(b"mdns", ROUTER, "ff02::fb", 5353))
    data, sender = sock.recvfrom(9)
    assert (data, sender[0]) == (b"mdns", ROUTER)


def test_a_filter_lets_sources_in() -> None:
    host = lan()
    sock = udp6(host, 5000)
    sock.setsockopt(IPPROTO_IPV6, m.MCAST_JOIN_SOURCE_GROUP, source_request(host, GROUP, SENDER))
    assert said(host)[0][1] == [(ALLOW, pack(GROUP), [pack(SENDER)])]
    host.wire.hears(datagram(b"in"), datagram(b"out", OTHER))
    assert sock.recv(9) == b"in"
    assert sock.queued() == (0, 0)
    sock.setsockopt(IPPROTO_IPV6, m.MCAST_LEAVE_SOURCE_GROUP, source_request(host, GROUP, SENDER))
    assert said(host)[0][1] == [(BLOCK, pack(GROUP), [pack(SENDER)])]


@rule("RFC 3810 6.2", "A general query is answered within its time, for every group but that of all nodes",
      code="ip/multicast.py")
def test_a_general_query_is_answered_for_all_groups() -> None:
    host = lan()
    member(host)
    host.clock.advance(5)
    said(host)
    host.wire.hears(query())
    host.clock.advance(1)
    ((when, records),) = said(host)
    assert 10 <= when <= 11
    groups = {group for kind, group, _ in records if kind == IS_EX}
    assert pack(GROUP) in groups
    assert pack("ff02::1") not in groups
    assert any(group[:13] == b"\xff\2" + bytes(9) + b"\1\xff" for group in groups)  # its solicited-node groups


@rule("RFC 3810 6.2", "A query counts only from a link-local address with hop limit 1", code="ip/mld.py")
@pytest.mark.parametrize("fields", [{"source": "fd00::99"}, {"hops": 64}])
def test_a_query_from_elsewhere_is_ignored(fields: dict[str, Any]) -> None:
    host = lan()
    member(host)
    host.clock.advance(5)
    said(host)
    host.wire.hears(query(**fields))
    host.clock.advance(20)
    assert said(host) == []


@rule("RFC 3810 8.2.1", "A host that hears a version 1 query speaks version 1 for a while", code="ip/multicast.py")
def test_a_version_1_querier_is_spoken_to_in_version_1() -> None:
    host = lan()
    sock = member(host)
    host.clock.advance(5)
    said(host)
    host.wire.hears(query(old=True))
    host.clock.advance(20)
    assert [(body[0], body[8:24], header.dst) for _, header, body in messages(host)] == [(131, pack(GROUP), GROUP)]
    sock.close()
    assert [(body[0], body[8:24], header.dst) for _, header, body in messages(host)] == [(132, pack(GROUP), "ff02::2")]


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        (m.IPV6_JOIN_GROUP, pack("fd00::5") + bytes(4), "Invalid"),
        (m.IPV6_JOIN_GROUP, pack(GROUP) + struct.pack("i", 77), "No such device"),
        (m.IPV6_JOIN_GROUP, pack(GROUP), "Invalid"),
        (m.IPV6_LEAVE_GROUP, pack(GROUP) + bytes(4), "Cannot assign"),
        (m.IPV6_MULTICAST_IF, 77, "No such device"),
        (m.IPV6_MULTICAST_HOPS, 256, "Invalid"),
        (m.IPV6_MULTICAST_LOOP, 2, "Invalid"),
    ],
)
def test_what_makes_no_sense_is_refused(option: int, value: bytes | int, words: str) -> None:
    with pytest.raises(OSError, match=words):
        udp6(lan()).setsockopt(IPPROTO_IPV6, option, value)
