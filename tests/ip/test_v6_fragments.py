"""IPv6 fragments: cut at the source, put together by the one that they are for (RFC 8200 4.5, RFC 5722, RFC 6946)."""

from __future__ import annotations

import itertools
import struct

import pytest

from aionetflow.ip.address import AF_INET6, pack
from aionetflow.ip.fragment6 import cut_ipv6
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import IPPROTO_IPV6, IPV6_MTU_DISCOVER, SOCK_DGRAM
from support.lan import Host, checksum
from support.rules import rule

US, PEER = "fd00::1", "fd00::2"
DATA = bytes(index % 251 for index in range(4000))


def headed(body: bytes, protocol: int, hops: int = 64, traffic_class: int = 0) -> bytes:
    """An IPv6 packet from the peer."""
    start = struct.pack(">IHBB", 0x60000000 | traffic_class << 20, len(body), protocol, hops)
    return start + pack(PEER) + pack(US) + body


def datagram(data: bytes) -> bytes:
    body = struct.pack(">HHHH", 4000, 5000, 8 + len(data), 0) + data
    pseudo = pack(PEER) + pack(US) + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 17))
    return body[:6] + checksum(pseudo + body) + body[8:]


PAYLOAD = datagram(DATA)


def piece(start: int, stop: int, *, ident: int = 9, more: bool | None = None, ecn: int = 0) -> bytes:
    goes_on = stop < len(PAYLOAD) if more is None else more
    header = struct.pack(">BBHI", 17, 0, start | goes_on, ident)
    return headed(header + PAYLOAD[start:stop], 44, traffic_class=ecn)


def listening() -> tuple[Host, DatagramSocket]:
    host = Host()
    host.raw(f"{US}/64")
    sock = host.stack.socket(AF_INET6, SOCK_DGRAM)
    assert isinstance(sock, DatagramSocket)
    sock.bind(("::", 5000))
    return host, sock


def hears(host: Host, *packets: bytes) -> list[bytes]:
    host.wire.interface.receive(list(packets))
    said = [packet for _, packet in host.wire.interface.sent]
    host.wire.interface.sent.clear()
    return said


def counters(host: Host) -> dict[str, int]:
    return {n: v for n, v in host.stack.stats.ip6.as_dict().items() if n.startswith(("Reasm", "Frag")) and v}


@rule("RFC 8200 4.5", "Fragments are put together in whatever order they come", code="ip/fragment6.py")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_fragments_are_put_together_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    host, sock = listening()
    cut = [piece(0, 1448), piece(1448, 2896), piece(2896, 4008)]
    for number in order:
        assert hears(host, cut[number]) == []
    assert sock.recvfrom(9999) == (DATA, (PEER, 4000, 0, 0))
    assert counters(host) == {"ReasmReqds": 3, "ReasmOKs": 1}


@rule("RFC 8200 4.5", "What is longer than the path MTU is cut at its source", code="ip/fragment6.py")
@pytest.mark.parametrize("mtu", [1280, 1500])
def test_a_datagram_longer_than_the_mtu_is_cut(mtu: int) -> None:
    host = Host()
    host.raw(f"{PEER}/64", mtu=mtu)
    sender = host.stack.socket(AF_INET6, SOCK_DGRAM)
    assert isinstance(sender, DatagramSocket)
    sender.bind(("::", 4000))
    sender.sendto(DATA, (US, 5000))
    said = [packet for _, packet in host.wire.interface.sent]
    assert all(len(packet) <= mtu and packet[6] == 44 for packet in said)
    assert len({packet[44:48] for packet in said}) == 1
    assert [packet[43] & 1 for packet in said] == [1] * (len(said) - 1) + [0]
    other, sock = listening()
    hears(other, *said)
    assert sock.recv(9999) == DATA
    assert counters(host) == {"FragOKs": 1, "FragCreates": len(said)}
    sender.setsockopt(IPPROTO_IPV6, IPV6_MTU_DISCOVER, 2)
    with pytest.raises(OSError, match="too long"):
        sender.sendto(DATA, (US, 5000))


@rule("RFC 8201 4", "Packet Too Big makes the source cut for the smaller MTU", code="ip/route.py")
def test_packet_too_big_is_remembered() -> None:
    host = Host()
    host.raw(f"{US}/64")
    sender = host.stack.socket(AF_INET6, SOCK_DGRAM)
    assert isinstance(sender, DatagramSocket)
    sender.sendto(bytes(1400), (PEER, 5000))
    ((_, packet),) = host.wire.interface.sent
    host.wire.interface.sent.clear()
    body = struct.pack(">BBHI", 2, 0, 0, 1280) + packet[:1200]
    pseudo = pack(PEER) + pack(US) + len(body).to_bytes(4, "big") + bytes((0, 0, 0, 58))
    hears(host, headed(body[:2] + checksum(pseudo + body) + body[4:], 58))
    sender.sendto(bytes(1400), (PEER, 5000))
    assert [len(packet) <= 1280 for _, packet in host.wire.interface.sent] == [True, True]


@rule("RFC 5722 4", "Fragments that overlap make the whole packet void", code="ip/fragment.py")
@pytest.mark.parametrize("overlap", [(1440, 2896), (1456, 2904), (0, 1456)])
def test_an_overlap_voids_the_whole_packet(overlap: tuple[int, int]) -> None:
    host, sock = listening()
    hears(host, piece(0, 1448), piece(1464, 2896), piece(*overlap, more=True))
    hears(host, piece(1448, 1464), piece(2896, 4008))
    assert sock.queued() == (0, 0)
    assert counters(host)["ReasmFails"] == 1


@rule("RFC 6946 4", "A fragment that is the whole packet needs no others", code="ip/fragment6.py")
def test_an_atomic_fragment_is_a_packet_by_itself() -> None:
    host, sock = listening()
    hears(host, piece(0, 1448))
    hears(host, piece(0, 4008))  # of the same number, more to come or not
    assert sock.recv(9999) == DATA
    hears(host, piece(1448, 4008))
    assert sock.recv(9999) == DATA


@rule("RFC 8200 4.5", "A fragment but the last that is no multiple of eight octets is a parameter problem",
      code="ip/fragment6.py")
def test_a_fragment_of_no_whole_units_is_reported() -> None:
    host, _ = listening()
    (said,) = hears(host, piece(0, 1445, more=True))
    assert (said[40], said[41], int.from_bytes(said[44:48], "big")) == (4, 0, 4)


@rule("RFC 8200 4.5", "A fragment that would make the packet too long is a parameter problem", code="ip/fragment6.py")
def test_a_fragment_beyond_the_longest_packet_is_reported() -> None:
    host, _ = listening()
    body = struct.pack(">BBHI", 17, 0, 65528, 9) + bytes(16)
    (said,) = hears(host, headed(body, 44))
    assert (said[40], said[41], int.from_bytes(said[44:48], "big")) == (4, 0, 42)


@rule("RFC 7112 5", "A first fragment without all headers is a parameter problem", code="ip/fragment6.py")
def test_a_first_fragment_without_its_transport_header_is_reported() -> None:
    host, _ = listening()
    tcp = struct.pack(">BBHI", 6, 0, 1, 9) + bytes(16)
    (said,) = hears(host, headed(tcp, 44))
    assert (said[40], said[41]) == (4, 3)


@rule("RFC 8200 4.5", "After sixty seconds the sender of a first fragment is told", code="ip/fragment6.py")
@pytest.mark.parametrize(("ends", "told"), [((0, 1448), 1), ((1448, 2896), 0)])
def test_after_sixty_seconds_reassembly_ends(ends: tuple[int, int], told: int) -> None:
    host, _ = listening()
    hears(host, piece(*ends))
    host.clock.advance(59.9)
    assert host.wire.interface.sent == []
    host.clock.advance(0.2)
    said = [packet for _, packet in host.wire.interface.sent]
    assert [(packet[40], packet[41]) for packet in said] == [(3, 1)] * told
    assert counters(host)["ReasmTimeout"] == 1


def test_the_ecn_marks_of_fragments_are_joined() -> None:
    host, sock = listening()
    sock.setsockopt(IPPROTO_IPV6, 66, 1)
    hears(host, piece(0, 2000, ecn=2), piece(2000, 4008, ecn=3))
    assert sock.recvmsg(9999, 99)[1] == [(41, 67, b"\3\0\0\0")]


def test_fragments_that_met_congestion_though_others_know_no_ecn_are_no_packet() -> None:
    """RFC 3168 5.3."""
    host, sock = listening()
    hears(host, piece(0, 2000, ecn=0), piece(2000, 4008, ecn=3))
    assert sock.queued() == (0, 0)
    assert counters(host)["ReasmFails"] == 1


def test_a_fragment_header_that_is_not_all_there_is_dropped() -> None:
    host, _ = listening()
    assert hears(host, headed(bytes(4), 44)) == []
    assert host.stack.stats.ip6.InHdrErrors == 1


def test_cutting_needs_room_for_eight_octets() -> None:
    assert cut_ipv6(headed(PAYLOAD, 17), 55, 1) == []
    assert max(map(len, cut_ipv6(headed(PAYLOAD, 17), 56, 1))) == 56
