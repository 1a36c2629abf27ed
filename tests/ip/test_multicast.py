"""Multicast: joining, hearing, sending, and what IGMP says of it (RFC 1112, RFC 2236, RFC 3376)."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from scapy.layers.inet import IP
from scapy.packet import Packet, Raw

from aionetflow.ip.address import pack
from aionetflow.socket import membership as m
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import IPPROTO_IP, SO_REUSEADDR, SOL_SOCKET
from support.lan import EVERYBODY, PEER, Host, checksum, datagram, ether, ethernet_host, ip, raw_host
from support.rules import rule

GROUP = "239.1.2.3"
V3 = bytes((224, 0, 0, 22))
IS_IN, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK = range(1, 7)
OTHER = "10.0.0.7"


def mreq(group: str = GROUP, address: str = "0.0.0.0") -> bytes:
    return pack(group) + pack(address)


def source_mreq(source: str, group: str = GROUP) -> bytes:
    return pack(group) + bytes(4) + pack(source)


def host_with_default() -> Host:
    host = raw_host()
    host.stack.routes.add("default", via=PEER)
    return host


def member(host: Host, group: str = GROUP, port: int = 5000, option: int = m.IP_ADD_MEMBERSHIP) -> DatagramSocket:
    sock = host.udp()
    sock.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    sock.bind(("", port))
    sock.setsockopt(IPPROTO_IP, option, mreq(group))
    return sock


def said(host: Host) -> list[tuple[float, list[tuple[int, str, list[str]]]]]:
    """The version 3 reports since last asked: when, and (kind, group, sources) of each record."""
    found = []
    for when, packet in host.wire.says_when():
        if packet.proto != 2:
            continue
        octets = bytes(packet)[packet.ihl * 4 :]
        assert (packet.ttl, packet.tos, packet.dst) == (1, 0xC0, "224.0.0.22")
        assert bytes(packet)[20:24] == b"\x94\4\0\0"
        assert octets[0] == 0x22
        assert checksum(octets) == b"\0\0"
        records, at = [], 8
        for _ in range(int.from_bytes(octets[6:8], "big")):
            count = int.from_bytes(octets[at + 2 : at + 4], "big")
            words = [".".join(map(str, octets[k : k + 4])) for k in range(at + 4, at + 8 + 4 * count, 4)]
            records.append((octets[at], words[0], words[1:]))
            at += 8 + 4 * count
        assert at == len(octets)
        found.append((when, records))
    return found


def igmp(kind: int, code: int, group: str = "0.0.0.0", more: bytes = b"", **fields: Any) -> Packet:
    message = bytes((kind, code, 0, 0)) + pack(group) + more
    message = message[:2] + checksum(message) + message[4:]
    return ip(**{"destination": "224.0.0.1", "ttl": 1, "proto": 2, **fields}) / Raw(message)


def query(group: str = "0.0.0.0", sources: tuple[str, ...] = (), code: int = 100) -> Packet:
    more = bytes((2, 125)) + len(sources).to_bytes(2, "big") + b"".join(map(pack, sources))
    return igmp(0x11, code, group, more)


# ---- hearing


@rule("RFC 1112 7.1", "Datagrams to a group are heard by its members", code="ip/v4.py")
def test_only_members_hear_a_group() -> None:
    host = host_with_default()
    sock = member(host)
    host.wire.hears(ip(destination=GROUP) / datagram(b"for us"), ip(destination="239.1.2.4") / datagram(b"not"))
    assert sock.recvfrom(9) == (b"for us", (PEER, 4000))
    assert sock.queued() == (0, 0)
    sock.setsockopt(IPPROTO_IP, m.IP_DROP_MEMBERSHIP, mreq())
    host.wire.hears(ip(destination=GROUP) / datagram(b"late"))
    assert sock.queued() == (0, 0)


def test_every_socket_on_the_port_gets_its_own_copy() -> None:
    host = host_with_default()
    socks = [member(host) for _ in range(3)]
    host.wire.hears(ip(destination=GROUP) / datagram(b"all"))
    assert [sock.recv(9) for sock in socks] == [b"all"] * 3


def test_a_socket_in_no_group_hears_what_others_joined_unless_it_says_no() -> None:
    """ip(7), IP_MULTICAST_ALL."""
    host = host_with_default()
    member(host)
    for value, heard in ((1, True), (0, False)):
        other = host.udp()
        other.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
        other.bind(("", 5000))
        other.setsockopt(IPPROTO_IP, m.IP_MULTICAST_ALL, value)
        host.wire.hears(ip(destination=GROUP) / datagram(b"x"))
        assert (other.queued() != (0, 0)) == heard
        other.close()


@pytest.mark.parametrize(
    ("steps", "heard"),
    [
        ([(m.IP_ADD_SOURCE_MEMBERSHIP, PEER)], [PEER]),
        ([(m.IP_ADD_SOURCE_MEMBERSHIP, PEER), (m.IP_ADD_SOURCE_MEMBERSHIP, OTHER)], [PEER, OTHER]),
        ([(m.IP_ADD_MEMBERSHIP, ""), (m.IP_BLOCK_SOURCE, PEER)], [OTHER]),
        ([(m.IP_ADD_MEMBERSHIP, ""), (m.IP_BLOCK_SOURCE, PEER), (m.IP_UNBLOCK_SOURCE, PEER)], [PEER, OTHER]),
        ([(m.IP_ADD_SOURCE_MEMBERSHIP, PEER), (m.IP_DROP_SOURCE_MEMBERSHIP, PEER)], []),
    ],
)
@rule("RFC 3376 3.1", "A socket hears the sources that its filter lets in", code="socket/membership.py")
def test_a_filter_lets_sources_in(steps: list[tuple[int, str]], heard: list[str]) -> None:
    host = host_with_default()
    sock = host.udp(("", 5000))
    for option, source in steps:
        sock.setsockopt(IPPROTO_IP, option, source_mreq(source) if source else mreq())
    for source in (PEER, OTHER):
        host.wire.hears(ip(source, GROUP) / datagram(b"x"))
    assert [sock.recvfrom(9)[1][0] for _ in heard] == heard
    assert sock.queued() == (0, 0)


def test_no_error_is_sent_about_a_datagram_to_a_group() -> None:
    host = host_with_default()
    member(host)
    host.wire.says()
    assert host.wire.hears(ip(destination=GROUP) / datagram(dport=9)) == []


# ---- sending


@rule("RFC 1112 6.1", "Datagrams to groups leave with TTL 1 unless told, by no gateway", code="socket/membership.py")
def test_a_datagram_to_a_group_goes_to_the_link_itself() -> None:
    host = ethernet_host()
    host.stack.routes.add("default", via=PEER)
    sock = host.udp()
    sock.sendto(b"to all", (GROUP, 5000))
    (frame,) = host.wire.says()
    assert (frame.dst, frame[IP].dst, frame[IP].src, frame[IP].ttl) == ("01:00:5e:01:02:03", GROUP, "10.0.0.1", 1)
    sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_TTL, 9)
    sock.sendto(b"to all", (GROUP, 5000))
    assert host.wire.says()[0][IP].ttl == 9


@rule("RFC 1112 7.2", "The sender's host hears a datagram too, if it is a member", code="ip/v4.py")
@pytest.mark.parametrize("loop", [0, 1])
def test_own_datagrams_are_heard_unless_told_otherwise(loop: int) -> None:
    host = host_with_default()
    receiver, sender = member(host), host.udp(("", 6000))
    sender.setsockopt(IPPROTO_IP, m.IP_MULTICAST_LOOP, loop)
    sender.sendto(b"hello", (GROUP, 5000))
    assert (receiver.queued() != (0, 0)) == bool(loop)
    if loop:
        assert receiver.recvfrom(9) == (b"hello", ("10.0.0.1", 6000))
    assert [packet.dst for packet in host.wire.says() if packet.proto == 17] == [GROUP]


@rule("RFC 1112 6.1", "A datagram with TTL 0 stays on its host", code="ip/v4.py")
def test_a_ttl_of_zero_stays_here() -> None:
    host = host_with_default()
    receiver, sender = member(host), host.udp()
    host.wire.says()
    sender.setsockopt(IPPROTO_IP, m.IP_MULTICAST_TTL, 0)
    sender.sendto(b"here", (GROUP, 5000))
    assert receiver.recv(9) == b"here"
    assert host.wire.says() == []


def test_the_interface_is_chosen_by_option_by_address_or_by_route() -> None:
    host = Host()
    one, two = host.raw("10.1.0.1/24"), host.raw("10.2.0.1/24")
    sock = host.udp()
    with pytest.raises(OSError, match="unreachable"):
        sock.sendto(b"x", (GROUP, 9))
    sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_IF, pack("10.2.0.1"))
    sock.sendto(b"x", (GROUP, 9))
    assert [p.src for p in two.says()] == ["10.2.0.1"]
    assert sock.getsockopt(IPPROTO_IP, m.IP_MULTICAST_IF, 4) == pack("10.2.0.1")
    sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_IF, bytes(8) + struct.pack("i", one.interface.index))
    sock.sendto(b"x", (GROUP, 9))
    assert [p.src for p in one.says()] == ["10.1.0.1"]
    bound = host.udp(("10.2.0.1", 0))
    bound.sendto(b"x", (GROUP, 9))
    assert [p.src for p in two.says()] == ["10.2.0.1"]


def test_a_long_datagram_to_a_group_is_cut_and_put_together() -> None:
    host = host_with_default()
    receiver, sender = member(host), host.udp()
    data = bytes(range(256)) * 16
    sender.sendto(data, (GROUP, 5000))
    assert receiver.recv(9999) == data
    pieces = [packet for packet in host.wire.says() if packet.proto == 17]
    assert len(pieces) == 3
    receiver_host = host_with_default()
    other = member(receiver_host)
    forged = [ip(PEER, GROUP, id=p.id, flags=p.flags, frag=p.frag, proto=17) / p.payload for p in pieces]
    receiver_host.wire.hears(*forged)
    # the checksum of UDP covers the source, which is another here
    assert receiver_host.stack.stats.ip.ReasmOKs == 1
    assert other.queued() == (0, 0)


# ---- IGMPv3


@rule("RFC 3376 5.1", "A change is reported at once, and again as often as robustness says", code="ip/multicast.py")
def test_a_join_and_a_leave_are_reported_twice() -> None:
    host = host_with_default()
    sock = member(host)
    host.clock.advance(5)
    first, second = said(host)
    assert first == (0.0, [(TO_EX, GROUP, [])])
    assert second[1] == first[1]
    assert 0 < second[0] <= 1  # RFC 3376 8.11
    sock.close()
    host.clock.advance(5)
    assert [records for _, records in said(host)] == [[(TO_IN, GROUP, [])]] * 2
    assert host.wire.interface.groups.keys() == {b"\xff\2" + bytes(13) + b"\1"}


@pytest.mark.parametrize(("said_by_querier", "times"), [(1, 1), (3, 3), (0, 2), (8 + 3, 3)])
@rule("RFC 3376 4.1.6", "The querier says how robust reports have to be; 0 says nothing", code="ip/igmp.py")
def test_a_querier_says_how_often_a_change_is_reported(said_by_querier: int, times: int) -> None:
    host = host_with_default()
    host.wire.hears(igmp(0x11, 100, "0.0.0.0", bytes((said_by_querier, 125, 0, 0))))
    member(host)
    host.clock.advance(15)
    assert [records for _, records in said(host)].count([(TO_EX, GROUP, [])]) == times


def test_the_second_socket_changes_nothing() -> None:
    host = host_with_default()
    one, two = member(host), member(host)
    host.clock.advance(5)
    assert len(said(host)) == 2
    one.close()
    host.clock.advance(5)
    assert said(host) == []
    two.close()
    assert said(host)[0][1] == [(TO_IN, GROUP, [])]


@rule("RFC 3376 5.1", "Of a filter of the same mode it is reported which sources came and went", code="ip/multicast.py")
def test_sources_that_come_and_go_are_reported() -> None:
    host = host_with_default()
    sock = host.udp(("", 5000))
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_SOURCE_MEMBERSHIP, source_mreq(PEER))
    assert said(host)[0][1] == [(ALLOW, GROUP, [PEER])]
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_SOURCE_MEMBERSHIP, source_mreq(OTHER))
    assert said(host)[0][1] == [(ALLOW, GROUP, [PEER, OTHER])]
    host.clock.advance(5)
    assert [records for _, records in said(host)] == [[(ALLOW, GROUP, [OTHER])]]
    sock.setsockopt(IPPROTO_IP, m.IP_DROP_SOURCE_MEMBERSHIP, source_mreq(PEER))
    assert said(host)[0][1] == [(BLOCK, GROUP, [PEER])]


@rule("RFC 3376 3.2", "The interface's filter is that of all sockets together", code="ip/multicast.py")
def test_filters_of_several_sockets_are_united() -> None:
    host = host_with_default()
    one, two = host.udp(("", 5000)), host.udp(("", 5001))
    one.setsockopt(IPPROTO_IP, m.IP_ADD_SOURCE_MEMBERSHIP, source_mreq(PEER))
    two.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    two.setsockopt(IPPROTO_IP, m.IP_BLOCK_SOURCE, source_mreq(PEER))
    two.setsockopt(IPPROTO_IP, m.IP_BLOCK_SOURCE, source_mreq(OTHER))
    host.clock.advance(9)
    said(host)
    host.wire.hears(query())
    host.clock.advance(10)
    assert [records for _, records in said(host)] == [[(IS_EX, GROUP, [OTHER])]]


@rule("RFC 3376 5.2", "A general query is answered once, within the time that it gives", code="ip/multicast.py")
def test_a_general_query_is_answered_after_a_random_while() -> None:
    host = host_with_default()
    member(host)
    member(host, "224.0.0.251", 5353)
    host.clock.advance(5)
    said(host)
    host.wire.hears(query(code=50), query(code=50))
    host.clock.advance(5)
    ((when, records),) = said(host)
    assert 5 <= when <= 10
    assert records == [(IS_EX, GROUP, []), (IS_EX, "224.0.0.251", [])]


def test_a_query_about_a_group_is_answered_about_that() -> None:
    host = host_with_default()
    member(host)
    member(host, "239.9.9.9", 5001)
    host.clock.advance(5)
    said(host)
    host.wire.hears(query(GROUP, code=10), query("239.7.7.7", code=10))
    host.clock.advance(2)
    assert [records for _, records in said(host)] == [[(IS_EX, GROUP, [])]]


@rule("RFC 3376 5.2", "A query about sources is answered with those that are wanted", code="ip/multicast.py")
def test_a_query_about_sources_is_answered_with_those_that_are_wanted() -> None:
    host = host_with_default()
    sock = member(host)
    sock.setsockopt(IPPROTO_IP, m.IP_BLOCK_SOURCE, source_mreq(PEER))
    host.clock.advance(5)
    said(host)
    host.wire.hears(query(GROUP, (PEER, OTHER), 10))
    host.clock.advance(2)
    assert [records for _, records in said(host)] == [[(IS_IN, GROUP, [OTHER])]]
    host.wire.hears(query(GROUP, (PEER,), 10))
    host.clock.advance(2)
    assert said(host) == []


@rule("RFC 3376 5", "Nobody is told of the group of all hosts", code="ip/multicast.py")
def test_the_group_of_all_hosts_is_never_reported() -> None:
    host = host_with_default()
    member(host, "224.0.0.1")
    host.wire.hears(query())
    host.clock.advance(20)
    assert said(host) == []


@pytest.mark.parametrize("packet", [igmp(0x11, 100)[IP], query()[IP]], ids=["version 2", "version 3"])
def test_a_message_with_a_wrong_checksum_is_dropped(packet: Packet) -> None:
    host = host_with_default()
    member(host)
    host.clock.advance(5)
    host.wire.says()
    wrong = bytearray(bytes(packet))
    wrong[-1] ^= 1
    host.wire.hears(bytes(wrong))
    host.clock.advance(20)
    assert host.wire.says() == []


# ---- IGMPv2


def version_2(host: Host) -> list[tuple[int, str, str]]:
    """Type, group and destination of what was said in version 2."""
    return [
        (bytes(p)[24], ".".join(map(str, bytes(p)[28:32])), p.dst) for p in host.wire.says() if p.proto == 2
    ]  # fmt: skip


@rule("RFC 3376 7.2.1", "A host that hears a version 2 query speaks version 2 for a while", code="ip/multicast.py")
def test_a_version_2_querier_is_spoken_to_in_version_2() -> None:
    host = host_with_default()
    member(host)
    host.clock.advance(5)
    said(host)
    host.wire.hears(igmp(0x11, 100))
    host.clock.advance(10)
    assert version_2(host) == [(0x16, GROUP, GROUP)]
    other = member(host, "239.9.9.9", 5001)
    host.clock.advance(20)
    assert version_2(host) == [(0x16, "239.9.9.9", "239.9.9.9")] * 2
    other.close()
    assert version_2(host) == [(0x17, "239.9.9.9", "224.0.0.2")]
    host.clock.advance(261)
    member(host, "239.8.8.8", 5002)
    assert said(host)[0][1] == [(TO_EX, "239.8.8.8", [])]


@rule("RFC 2236 3", "A host says nothing of a group that another has reported", code="ip/multicast.py")
def test_a_report_of_another_host_is_enough() -> None:
    host = host_with_default()
    sock = member(host)
    host.clock.advance(5)
    said(host)
    host.wire.hears(igmp(0x11, 100))
    host.wire.hears(igmp(0x16, 0, GROUP, source=OTHER, destination=GROUP))
    host.clock.advance(20)
    assert version_2(host) == []
    sock.close()
    assert version_2(host) == []  # nor of leaving it: the other is still there


# ---- what the options refuse


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        (m.IP_ADD_MEMBERSHIP, mreq("10.0.0.5"), "Invalid"),
        (m.IP_ADD_MEMBERSHIP, mreq(GROUP, "10.0.0.99"), "No such device"),
        (m.IP_ADD_MEMBERSHIP, mreq()[:7], "Invalid"),
        (m.IP_ADD_MEMBERSHIP, mreq() + struct.pack("i", 99), "No such device"),
        (m.IP_DROP_MEMBERSHIP, mreq(), "Cannot assign"),
        (m.IP_BLOCK_SOURCE, source_mreq(PEER), "Invalid"),
        (m.IP_MULTICAST_IF, pack("10.0.0.99"), "Cannot assign"),
        (m.IP_MULTICAST_TTL, 256, "Invalid"),
        (m.IP_MULTICAST_ALL, 2, "Invalid"),
    ],
)
def test_what_makes_no_sense_is_refused(option: int, value: bytes | int, words: str) -> None:
    sock = host_with_default().udp()
    with pytest.raises(OSError, match=words):
        sock.setsockopt(IPPROTO_IP, option, value)


def test_a_group_is_joined_once_and_twenty_at_most() -> None:
    """Linux ip_mc_join_group: net.ipv4.igmp_max_memberships."""
    sock = host_with_default().udp()
    sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    with pytest.raises(OSError, match="in use"):
        sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq())
    for number in range(19):
        sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq(f"239.5.5.{number}"))
    with pytest.raises(OSError, match="No buffer"):
        sock.setsockopt(IPPROTO_IP, m.IP_ADD_MEMBERSHIP, mreq("239.5.6.1"))


def test_broadcasts_are_heard_whatever_groups_a_socket_is_in() -> None:
    host = ethernet_host()
    host.stack.routes.add("default", via=PEER)
    sock = member(host)
    sock.setsockopt(IPPROTO_IP, m.IP_MULTICAST_ALL, 0)
    host.wire.hears(ether(dst=EVERYBODY) / ip(destination="10.0.0.255") / datagram(b"all"))
    assert sock.recv(9) == b"all"
