"""IPv4 fragments: what is cut, and what is put together again (RFC 791 3.2, RFC 1122 3.3.2, Linux ip_fragment.c)."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, IPOption_NOP, IPOption_RR
from scapy.packet import Packet, Raw

from aionetflow.ip.fragment import cut_ipv4
from aionetflow.socket.options import IP_MTU_DISCOVER, IPPROTO_IP
from support.lan import OURS, PEER, Host, datagram, icmp, ip, raw_host
from support.rules import rule

DATA = bytes(index % 251 for index in range(4000))
WHOLE = bytes(ip(id=77) / datagram(DATA))
PAYLOAD = WHOLE[20:]


def piece(start: int, stop: int, *, more: bool | None = None, ident: int = 77, **fields: Any) -> Packet:
    """The octets from start to stop of the datagram's, in a fragment."""
    flags = "MF" if (stop < len(PAYLOAD) if more is None else more) else 0
    return ip(id=ident, flags=flags, frag=start // 8, proto=17, **fields) / Raw(PAYLOAD[start:stop])


def pieces(*cuts: int) -> list[Packet]:
    """The whole datagram, cut there."""
    return [piece(start, stop) for start, stop in itertools.pairwise((0, *cuts, len(PAYLOAD)))]


def listening(**limits: int) -> Host:
    host = raw_host()
    for name, value in limits.items():
        host.stack.sysctl[f"net.ipv4.{name}"] = value
    host.udp(("", 5000))
    return host


def got(host: Host) -> list[bytes]:
    """The datagrams that have arrived."""
    (sock,) = host.stack.table.datagrams[5000]
    return [sock.recv(65536) for _ in range(len(sock._queue))]


def counters(host: Host) -> dict[str, int]:
    """Those of reassembly, that are not zero."""
    return {n: v for n, v in host.stack.stats.ip.as_dict().items() if n.startswith(("Reasm", "Frag")) and v}


# ---- putting together


@rule("RFC 791 3.2", "Fragments are put together by their offsets, in whatever order they come", code="ip/fragment.py")
@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_fragments_are_put_together_in_whatever_order_they_come(order: tuple[int, ...]) -> None:
    host = listening()
    cut = pieces(1480, 2960)
    for number in order:
        host.wire.hears(cut[number])
    assert got(host) == [DATA]
    assert counters(host) == {"ReasmReqds": 3, "ReasmOKs": 1}
    assert host.stack.stats.ip.InDelivers == 1


@rule("RFC 1122 3.3.2", "A datagram of any length up to 65535 octets is put together", code="ip/fragment.py")
def test_the_longest_datagram_is_put_together() -> None:
    host = listening()
    data = random.Random(1).randbytes(65507)
    host.wire.hears(*cut_ipv4(bytes(ip() / datagram(data)), 1500))
    assert got(host) == [data]


@given(st.lists(st.integers(1, 500).map(lambda unit: 8 * unit), max_size=12, unique=True), st.randoms())
def test_any_cuts_in_any_order_with_copies_give_the_datagram(cuts: list[int], chance: random.Random) -> None:
    host = listening()
    cut = pieces(*sorted(cuts))
    last = chance.randrange(len(cut))
    first = [number for number in range(len(cut)) if number != last]
    order = first + chance.sample(first, len(first) // 2)
    chance.shuffle(order)
    for number in [*order, last]:
        host.wire.hears(cut[number])
    assert got(host) == [DATA]


@rule("RFC 791 3.2", "Fragments belong together by source, destination, protocol and identification", code="ip/v4.py")
@pytest.mark.parametrize("other", [{"ident": 78}, {"source": "10.0.0.3"}, {"destination": "10.0.0.9"}])
def test_fragments_of_different_packets_are_not_mixed(other: dict[str, Any]) -> None:
    host = raw_host("10.0.0.1/24", "10.0.0.9/32")
    host.udp(("", 5000))
    host.wire.hears(piece(0, 2000), piece(2000, 4008, **other))
    assert got(host) == []
    host.wire.hears(piece(2000, 4008))
    assert got(host) == [DATA]


def test_of_a_middle_piece_that_is_no_whole_unit_the_rest_is_cut_off() -> None:
    """Linux ip_frag_queue: end &= ~7."""
    host = listening()
    host.wire.hears(piece(0, 2005, more=True), piece(2000, 4008))
    assert got(host) == [DATA]


def test_a_packet_of_one_fragment_header_alone_is_whole() -> None:
    host = listening()
    assert host.wire.hears(piece(0, 4008)) == []
    assert got(host) == [DATA]
    assert counters(host) == {}


@rule("RFC 5722 3", "Fragments that overlap make the whole packet void: Linux does so for IPv4, too, since 4.20",
      code="ip/fragment.py")
@pytest.mark.parametrize(
    "overlap",
    [(1472, 2960), (1488, 2968), (0, 1488), (1480, 2968), (1472, 1488), (0, 4008)],
    ids=["begins early", "ends late", "first ends late", "same start", "across", "all"],
)
def test_an_overlap_voids_the_whole_packet(overlap: tuple[int, int]) -> None:
    host = listening()
    host.wire.hears(piece(0, 1480), piece(1496, 2960))
    host.wire.hears(piece(*overlap, more=True))
    assert counters(host)["ReasmOverlaps"] == counters(host)["ReasmFails"] == 1
    host.wire.hears(piece(1480, 1496), piece(2960, 4008))
    assert got(host) == []


def test_a_copy_is_ignored() -> None:
    """Linux inet_frag_queue_insert, IPFRAG_DUP: also of a part, or of two pieces that meet."""
    host = listening()
    host.wire.hears(piece(0, 1480), piece(1480, 2960))
    host.wire.hears(piece(0, 1480), piece(8, 800, more=True), piece(1000, 2000, more=True), piece(2960, 4008))
    assert got(host) == [DATA]
    assert counters(host) == {"ReasmReqds": 6, "ReasmOKs": 1}


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ((piece(2000, 4008)), (piece(2000, 4000, more=False))),
        ((piece(2000, 4000, more=False)), (piece(3200, 4008, more=True))),
        ((piece(2000, 4008)), (piece(0, 0, more=True))),
    ],
    ids=["two ends", "beyond the end", "empty"],
)
def test_pieces_that_contradict_one_another_void_the_packet(one: Packet, two: Packet) -> None:
    host = listening()
    host.wire.hears(one, two, piece(0, 2000))
    host.clock.advance(31)
    assert got(host) == []
    assert counters(host)["ReasmFails"] == 2


def test_what_would_be_longer_than_a_packet_can_be_is_dropped() -> None:
    host = listening()
    ping_of_death = ip(id=5, frag=65528 // 8, proto=17) / Raw(bytes(600))
    rest = cut_ipv4(bytes(ip(id=5) / datagram(bytes(65500))), 1500)
    host.wire.hears(*rest[:-1], ip(id=5, flags="MF", frag=65120 // 8, proto=17) / Raw(bytes(408)), ping_of_death)
    assert got(host) == []
    assert counters(host)["ReasmFails"] >= 1


@rule("RFC 3168 5.3", "Congestion that one fragment met, the packet has met", code="ip/fragment.py")
@pytest.mark.parametrize(
    ("marks", "arrives"),
    [((2, 2), 2), ((2, 3), 3), ((3, 1), 3), ((0, 0), 0), ((0, 3), None), ((0, 2), None), ((1, 0), None)],
)
def test_the_ecn_marks_of_fragments_are_joined(marks: tuple[int, int], arrives: int | None) -> None:
    host = listening()
    (sock,) = host.stack.table.datagrams[5000]
    sock.setsockopt(IPPROTO_IP, 13, 1)
    host.wire.hears(piece(0, 2000, tos=marks[0]), piece(2000, 4008, tos=marks[1]))
    if arrives is None:
        assert got(host) == []
        assert counters(host)["ReasmFails"] == 1
    else:
        assert sock.recvmsg(9999, 99)[1] == [(0, 1, bytes((arrives,)))]


def test_options_of_the_first_fragment_are_in_the_joined_packet() -> None:
    host = listening()
    first = piece(0, 2000, options=[IPOption_RR(routers=["0.0.0.0"]), IPOption_NOP()])
    host.wire.hears(first, piece(2000, 4008))
    assert got(host) == [DATA]


# ---- limits


@rule("RFC 1122 3.3.2", "Reassembly ends after a fixed time; whoever has the first fragment tells the sender",
      code="ip/v4.py")
def test_after_thirty_seconds_the_sender_of_a_first_fragment_is_told() -> None:
    host = listening()
    host.wire.hears(piece(0, 1480))
    host.clock.advance(29.999)
    assert host.wire.says() == []
    host.clock.advance(0.002)
    ((when, said),) = host.wire.says_when()
    assert when == 30.0
    assert (said["ICMP"].type, said["ICMP"].code, said.dst) == (11, 1, PEER)
    assert bytes(said["ICMP"])[8:] == bytes(piece(0, 1480))[:548]
    assert counters(host) == {"ReasmReqds": 1, "ReasmTimeout": 1, "ReasmFails": 1}


@rule("RFC 792", "Without the first fragment no time exceeded is sent", code="ip/v4.py")
def test_after_thirty_seconds_nobody_is_told_without_the_first_fragment() -> None:
    host = listening()
    host.wire.hears(piece(1480, 2960))
    host.clock.advance(31)
    assert host.wire.says() == []
    assert counters(host) == {"ReasmReqds": 1, "ReasmTimeout": 1, "ReasmFails": 1}


def test_the_time_runs_from_the_first_piece_that_came() -> None:
    host = listening(ipfrag_time=5)
    host.wire.hears(piece(0, 1480))
    host.clock.advance(4)
    host.wire.hears(piece(1480, 2960))
    host.clock.advance(1.5)
    host.wire.hears(piece(2960, 4008))
    assert got(host) == []


def test_beyond_the_limit_of_octets_no_packet_is_begun_and_those_begun_end_well() -> None:
    """Linux inet_frag_find: net.ipv4.ipfrag_high_thresh."""
    host = listening(ipfrag_high_thresh=20_000)
    for ident in range(100, 120):
        host.wire.hears(piece(0, 1480, ident=ident))
    assert len(host.stack.ip.reassembly.piles) == 10
    host.wire.hears(piece(1480, 4008, ident=100))
    assert got(host) == [DATA]


def test_a_flood_of_fragments_takes_no_more_memory_than_is_allowed() -> None:
    host = listening(ipfrag_high_thresh=100_000)
    one = bytes(piece(8, 16))
    header = IP(one)
    for ident in range(2000):
        header.id = ident
        header.chksum = None
        host.wire.hears(bytes(header))
    assert 100_000 <= host.stack.ip.reassembly.octets <= 101_000
    host.clock.advance(31)
    assert host.stack.ip.reassembly.octets == 0
    assert host.stack.alarms.deadline == (1 << 63) - 1


def test_a_piece_of_a_number_that_has_come_round_begins_anew() -> None:
    """Linux ip_frag_too_far: more than net.ipv4.ipfrag_max_dist pieces of others in between."""
    host = listening()
    host.wire.hears(piece(0, 2000))
    host.wire.hears(*[piece(0, 8, ident=ident, more=True) for ident in range(1000, 1064)])
    host.wire.hears(piece(2000, 4008))
    assert got(host) == []
    host.wire.hears(piece(0, 2000))
    assert got(host) == [DATA]


@rule("RFC 3128 2", "A fragment that begins within the TCP header never reaches TCP by itself", code="ip/fragment.py")
def test_a_tiny_fragment_does_not_overwrite_what_a_filter_has_seen() -> None:
    host = raw_host()
    host.listening((OURS, 80))
    syn = bytes.fromhex("03e80050000000010000000050020200") + bytes(4)
    host.wire.hears(ip(id=9, flags="MF", proto=6) / Raw(syn[:16]))
    host.wire.hears(ip(id=9, flags="MF", frag=1, proto=6) / Raw(syn[8:16]), ip(id=9, frag=1, proto=6) / Raw(syn[8:20]))
    assert host.stack.stats.tcp.InSegs == 0
    assert host.wire.says() == []


# ---- cutting


@rule("RFC 791 3.2", "What is longer than the MTU is cut: by eight octets, more-fragments on all but the last",
      code="ip/fragment.py")
@pytest.mark.parametrize("mtu", [68, 576, 1500, 1501, 4000])
def test_a_datagram_longer_than_the_mtu_is_cut(mtu: int) -> None:
    host = raw_host(mtu=mtu)
    host.udp((OURS, 4000)).sendto(DATA, (PEER, 5000))
    said = host.wire.says()
    assert all(packet.len <= mtu for packet in said)
    assert [str(packet.flags) for packet in said] == ["MF"] * (len(said) - 1) + [""]
    assert len({packet.id for packet in said}) == 1
    assert b"".join(bytes(packet.payload) for packet in said)[8:] == DATA
    assert counters(host) == {"FragOKs": 1, "FragCreates": len(said)}
    assert host.stack.stats.ip.OutRequests == 1
    other = listening()
    other.stack.remove_address(other.wire.interface, "10.0.0.1/24")
    other.stack.add_address(other.wire.interface, "10.0.0.2/24")
    other.wire.interface.sent.clear()
    other.wire.hears(*said)
    assert got(other) == [DATA]


@pytest.mark.parametrize(("size", "flags"), [(1472, "DF"), (1473, "MF")])
def test_what_fits_is_sent_whole_and_not_to_be_cut_on_the_way(size: int, flags: str) -> None:
    """Linux __ip_make_skb, IP_PMTUDISC_WANT."""
    host = raw_host()
    host.udp().sendto(bytes(size), (PEER, 9))
    assert str(host.wire.says()[0].flags) == flags


@pytest.mark.parametrize(
    ("mode", "flags"), [(0, ""), (1, "DF"), (2, "DF"), (3, "DF"), (4, ""), (5, "")],
    ids=["dont", "want", "do", "probe", "interface", "omit"],
)  # fmt: skip
def test_dont_fragment_is_as_ip_mtu_discover_says(mode: int, flags: str) -> None:
    host = raw_host()
    sock = host.udp()
    sock.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, mode)
    sock.sendto(b"x", (PEER, 9))
    stream = host.tcp()
    stream.setsockopt(IPPROTO_IP, IP_MTU_DISCOVER, mode)
    host.connecting((PEER, 80), stream)
    packet, syn = host.wire.says()
    assert str(packet.flags) == flags
    assert str(syn.flags) == ("DF" if mode in (1, 2) else "")  # Linux ip_dont_fragment


def router(mtu: int) -> Host:
    host = Host()
    host.raw("10.0.0.1/24")
    host.raw("10.9.0.1/24", mtu=mtu)
    host.stack.ip.forwarding = True
    return host


@rule("RFC 1812 5.2.6", "A router cuts what is too long for the next link, if it may", code="ip/v4.py")
@pytest.mark.parametrize("mtu", [68, 576, 1000])
def test_a_router_cuts_what_is_too_long(mtu: int) -> None:
    host = router(mtu)
    packet = ip(destination="10.9.0.5", id=3, ttl=9) / datagram(DATA[:1400])
    assert host.wires[0].hears(packet) == []
    said = host.wires[1].says()
    assert {(p.ttl, p.id, p.src) for p in said} == {(8, 3, PEER)}
    assert max(p.len for p in said) <= mtu
    assert b"".join(bytes(p.payload) for p in said) == bytes(packet)[20:]
    assert counters(host) == {"FragOKs": 1, "FragCreates": len(said)}
    assert host.stack.stats.ip.ForwDatagrams == 1


@rule("RFC 791 3.2", "A fragment is cut into fragments of the same packet", code="ip/fragment.py")
def test_a_router_cuts_a_fragment_again() -> None:
    host = router(576)
    host.wires[0].hears(*[piece(*ends, destination="10.9.0.5") for ends in ((0, 1480), (1480, 2960), (2960, 4008))])
    said = host.wires[1].says()
    assert [p.frag * 8 for p in said] == sorted(p.frag * 8 for p in said)
    assert [str(p.flags) for p in said] == ["MF"] * (len(said) - 1) + [""]
    assert b"".join(bytes(p.payload) for p in said) == PAYLOAD


@rule("RFC 791 3.1", "Options that say so are copied into every fragment, the others are in the first alone",
      code="ip/fragment.py")
def test_only_options_that_say_so_are_in_all_fragments() -> None:
    record = IPOption_RR(routers=["0.0.0.0"])  # 7 octets, not copied
    alert = b"\x94\x04\0\0"
    packet = bytes(ip(options=[record, IPOption_NOP()]) / Raw(bytes(600)))
    packet = bytes((packet[0] + 1,)) + packet[1:28] + alert + packet[28:]
    first, second, *_ = (IP(cut) for cut in cut_ipv4(packet, 300))
    assert bytes(first)[20:32] == packet[20:32]
    assert bytes(second)[20:32] == b"\1" * 8 + alert


def test_an_option_of_no_more_than_its_length_is_left_out_too() -> None:
    bare = b"\x1e\x02"  # an experimental one, not copied
    packet = bytes(ip(options=[IPOption_NOP()] * 4) / Raw(bytes(600)))
    packet = packet[:20] + bare + b"\x01\x01" + packet[24:]
    first, second, *_ = (IP(cut) for cut in cut_ipv4(packet, 300))
    assert (bytes(first)[20:24], bytes(second)[20:24]) == (bare + b"\1\1", b"\1" * 4)


@rule("RFC 1191 4", "A router that may not cut a packet says which MTU would do", code="ip/v4.py")
def test_a_router_refuses_what_it_may_not_cut() -> None:
    host = router(1000)
    (said,) = host.wires[0].hears(ip(destination="10.9.0.5", flags="DF") / datagram(DATA[:1400]))
    assert (said["ICMP"].type, said["ICMP"].code, said["ICMP"].nexthopmtu) == (3, 4, 1000)
    assert host.wires[1].says() == []
    assert counters(host) == {"FragFails": 1}


def test_a_packet_that_cannot_be_cut_small_enough_is_dropped() -> None:
    assert cut_ipv4(WHOLE, 27) == []
    assert max(map(len, cut_ipv4(WHOLE, 28))) == 28


def test_a_long_echo_is_answered_in_fragments_and_may_be_cut_on_the_way() -> None:
    """Linux icmp_sk_init: IP_PMTUDISC_DONT."""
    host = raw_host()
    ping = bytes(ip(id=3, proto=1) / icmp(8, 0, 0x10001, DATA))
    said = host.wire.hears(*cut_ipv4(ping, 1500))
    assert [str(packet.flags) for packet in said] == ["MF", "MF", ""]
    assert b"".join(bytes(packet.payload) for packet in said)[8:] == DATA
