"""A stack that forwards: RFC 1812 5.2 and 5.3, one hop at a time."""

from __future__ import annotations

from typing import Any

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.packet import Packet, Raw

from support.lan import EVERYBODY, Host, answer, checksum, datagram, ether, icmp, ip, mac, question
from support.rules import rule

A, B = "10.1.0.2", "10.2.0.2"  # hosts on the two sides; the router is .1 on both
FAR = "172.16.0.7"  # behind the router at 10.2.0.9


def router(mtu: int = 1500) -> Host:
    """Ethernet on both sides, MACs 1 and 11; it knows the MACs of A (2), B (12) and the next router (19)."""
    host = Host()
    host.stack.ip.forwarding = True
    left = host.ethernet("10.1.0.1/24", number=1)
    right = host.ethernet("10.2.0.1/24", number=11, mtu=mtu)
    host.stack.routes.add("172.16.0.0/16", via="10.2.0.9")
    left.learns(2, A)
    right.learns(12, B)
    right.learns(19, "10.2.0.9")
    return host


def raw_router(mtu: int = 1500) -> Host:
    """The same without Ethernet."""
    host = Host()
    host.stack.ip.forwarding = True
    host.raw("10.1.0.1/24")
    host.raw("10.2.0.1/24", mtu=mtu)
    host.stack.routes.add("172.16.0.0/16", via="10.2.0.9")
    return host


def through(host: Host, *packets: Packet | bytes) -> list[Packet]:
    """Packets in on the left; what comes out on the right, the left having stayed silent."""
    assert host.wires[0].hears(*packets) == []
    return host.wires[1].says()


def refused(host: Host, *packets: Packet | bytes) -> list[Packet]:
    """Packets in on the left; what the router says of them there, nothing having gone out on the right."""
    said = host.wires[0].hears(*packets)
    assert host.wires[1].says() == []
    return said


def a_to(destination: str = B, **fields: Any) -> Packet:
    return ip(A, destination, **fields)


# ---- the way through


@rule("RFC 1812 5.3.1", "A router lowers the TTL by one", code="ip/v4.py")
def test_the_mac_header_is_rewritten_and_nothing_behind_the_ip_header_touched() -> None:
    frame = ether() / a_to(ttl=9, id=77, tos=4, flags="DF") / datagram(b"payload")
    (said,) = through(router(), frame)
    assert (said.src, said.dst) == (mac(11), mac(12))
    expected = a_to(ttl=8, id=77, tos=4, flags="DF") / datagram(b"payload")
    assert bytes(said)[14:] == bytes(expected)


@rule("RFC 1812 5.2.4", "A packet goes to the next hop of its route", code="ip/v4.py")
def test_a_packet_for_a_far_network_goes_to_the_next_router() -> None:
    (said,) = through(router(), ether() / a_to(FAR) / datagram())
    assert (said.dst, said[IP].dst, said[IP].ttl) == (mac(19), FAR, 63)


def test_the_way_back_works_alike() -> None:
    host = router()
    assert host.wires[1].hears(ether(12, 11) / ip(B, A) / datagram()) == []
    (said,) = host.wires[0].says()
    assert (said.src, said.dst, said[IP].src) == (mac(1), mac(2), B)


def test_a_packet_may_leave_by_the_interface_it_came_by() -> None:
    host = router()
    host.wires[0].learns(3, "10.1.0.3")
    said = host.wires[0].hears(ether() / a_to("10.1.0.3") / datagram())
    assert [frame.dst for frame in said if frame[IP].dst == "10.1.0.3"] == [mac(3)]


def test_padding_is_not_forwarded() -> None:
    (said,) = through(router(), bytes(ether() / a_to() / datagram(b"x")) + bytes(17))
    assert len(bytes(said)) == 14 + 29


def test_options_are_carried_along() -> None:
    packet = a_to(options=[IPOption_RR(routers=["0.0.0.0"])], ttl=5) / datagram()
    (said,) = through(raw_router(), packet)
    assert bytes(said)[20:] == bytes(packet)[20:]
    assert said.ttl == 4


@rule("RFC 1812 5.2.6", "A router does not reassemble what it forwards", code="ip/v4.py")
@pytest.mark.parametrize("fields", [{"flags": "MF"}, {"frag": 100}, {"flags": "MF", "frag": 7}])
def test_a_fragment_is_forwarded_like_any_packet(fields: dict[str, Any]) -> None:
    # RFC 1812 5.2.6: reassembly is the destination's business
    (said,) = through(raw_router(), a_to(**fields) / Raw(bytes(64)))
    assert said[IP].ttl == 63


def test_a_protocol_unknown_to_the_router_is_forwarded() -> None:
    (said,) = through(raw_router(), a_to(proto=253) / Raw(b"experiment"))
    assert bytes(said.payload) == b"experiment"


def test_a_damaged_payload_is_the_receivers_business() -> None:
    packet = bytearray(bytes(a_to() / datagram(b"payload")))
    packet[-1] ^= 1
    (said,) = through(raw_router(), bytes(packet))
    assert bytes(said)[20:] == bytes(packet)[20:]


@rule("RFC 1812 5.2.2", "A router drops a packet whose header checksum is wrong", code="ip/v4.py")
def test_a_wrong_header_checksum_is_not_mended_but_dropped() -> None:
    host = raw_router()
    packet = bytearray(bytes(a_to() / datagram()))
    packet[10] ^= 1
    assert through(host, bytes(packet)) == []
    assert host.stack.stats.ip.InHdrErrors == 1


def test_forwarded_packets_are_counted() -> None:
    host = raw_router()
    through(host, a_to() / datagram(), a_to() / datagram())
    assert (host.stack.stats.ip.ForwDatagrams, host.stack.stats.ip.InDelivers) == (2, 0)


@rule("RFC 1812 5.2.3", "What is for the router itself is delivered, whatever its TTL", code="ip/v4.py")
def test_what_is_for_the_router_itself_is_not_forwarded() -> None:
    host = raw_router()
    sock = host.udp(("10.2.0.1", 5000))
    assert through(host, a_to("10.2.0.1", ttl=1) / datagram(b"yours")) == []
    assert sock.recv(9) == b"yours"


def test_a_host_that_is_no_router_forwards_nothing() -> None:
    host = raw_router()
    host.stack.ip.forwarding = False
    assert refused(host, a_to() / datagram(), a_to(FAR, ttl=1) / datagram()) == []
    assert host.stack.stats.ip.ForwDatagrams == 0


# ---- the checksum (RFC 1624)


def header(ident: int, ttl: int, tos: int, source: int, protocol: int = 253) -> bytes:
    """A header from those fields, its checksum computed from scratch."""
    octets = bytearray(bytes(ip(A, B, id=ident, ttl=ttl, tos=tos, proto=protocol, len=20, chksum=0)))
    octets[12:16] = (0x0A010000 | source).to_bytes(4, "big")
    octets[10:12] = checksum(bytes(octets))
    return bytes(octets)


def assert_forwarded_right(host: Host, packets: list[bytes]) -> None:
    host.wires[0].interface.receive(packets)
    sent = [frame for _, frame in host.wires[1].interface.sent]
    host.wires[1].interface.sent.clear()
    assert len(sent) == len(packets)
    for packet, frame in zip(packets, sent, strict=True):
        assert frame[8] == packet[8] - 1
        assert dpkt.dpkt.in_cksum(frame[:20]) == 0
        assert frame[:8] + frame[9:10] + frame[12:] == packet[:8] + packet[9:10] + packet[12:]


@rule("RFC 1624 3", "The checksum is updated for the TTL alone, and is right", code="_slow.py")
@given(st.integers(0, 0xFFFF), st.integers(2, 255), st.integers(0, 255), st.integers(2, 254))
@settings(max_examples=300)
def test_the_checksum_is_right_for_any_header(ident: int, ttl: int, tos: int, source: int) -> None:
    assert_forwarded_right(raw_router(), [header(ident, ttl, tos, source)])


@pytest.mark.parametrize("ttl", [2, 64, 255])
def test_the_checksum_is_right_at_every_edge_of_its_own_value(ttl: int) -> None:
    # the identification moves the checksum through every value: those around the carries are the ones that go wrong
    base = int.from_bytes(header(0, ttl, 0, 2)[10:12], "big")
    wanted = [edge + d for edge in (0, 0x00FF, 0x0100, 0x7FFF, 0x8000, 0xFEFF, 0xFF00, 0xFFFF) for d in range(-3, 4)]
    packets = [header((base - value) % 0xFFFF, ttl, 0, 2) for value in wanted]
    seen = {int.from_bytes(packet[10:12], "big") for packet in packets}
    assert {value % 0xFFFF for value in wanted} <= {value % 0xFFFF for value in seen}
    assert_forwarded_right(raw_router(), packets)


def test_a_checksum_of_all_ones_is_as_good_as_zero() -> None:
    # one's complement has two zeros: a sender may write either, and a verifier takes both
    base = header(0, 64, 0, 2)
    packet = bytearray(header(int.from_bytes(base[10:12], "big"), 64, 0, 2))
    assert packet[10:12] == b"\0\0"
    packet[10:12] = b"\xff\xff"
    assert_forwarded_right(raw_router(), [bytes(packet)])


# ---- what it refuses


@rule("RFC 1812 5.3.1", "A packet whose TTL runs out is not forwarded, and its sender told", code="ip/v4.py")
@pytest.mark.parametrize("ttl", [0, 1])
def test_a_ttl_that_runs_out_is_told_to_the_sender(ttl: int) -> None:
    host = router()
    packet = bytes(a_to(FAR, ttl=ttl) / datagram(b"traceroute"))
    (said,) = refused(host, ether(type=0x0800) / Raw(packet))
    assert (said.dst, said[IP].src, said[IP].dst) == (mac(2), "10.1.0.1", A)
    assert (said[ICMP].type, said[ICMP].code) == (11, 0)
    assert bytes(said[IP])[28:] == packet
    assert host.stack.stats.icmp.OutTimeExcds == 1


@rule("RFC 1812 5.2.7.1", "Without a route the sender is told network unreachable", code="ip/v4.py")
def test_no_route_is_told_to_the_sender() -> None:
    host = raw_router()
    packet = bytes(a_to("192.0.2.1") / datagram())
    (said,) = refused(host, packet)
    assert (said[ICMP].type, said[ICMP].code, said.src) == (3, 0, "10.1.0.1")
    assert bytes(said)[28:] == packet
    assert host.stack.stats.ip.OutNoRoutes == 1


def test_an_unreachable_route_is_told_as_host_unreachable() -> None:
    # Linux ip_error(): RTN_UNREACHABLE is EHOSTUNREACH, code 1; no route at all is code 0
    host = raw_router()
    host.stack.routes.add("172.16.5.0/24", interface=host.stack.lo, unreachable=True)
    (said,) = refused(host, a_to("172.16.5.1") / datagram())
    assert (said[ICMP].type, said[ICMP].code) == (3, 1)


@rule("RFC 1191 4", "Fragmentation needed says the MTU of the next link", code="ip/v4.py")
def test_a_packet_too_long_for_the_next_link_is_told_with_its_mtu() -> None:
    host = raw_router(mtu=1000)
    fits, does_not = (a_to(flags="DF") / datagram(bytes(size)) for size in (972, 973))
    said = host.wires[0].hears(fits, does_not)
    assert [packet.len for packet in host.wires[1].says()] == [1000]
    assert [(p[ICMP].type, p[ICMP].code, p[ICMP].nexthopmtu) for p in said] == [(3, 4, 1000)]
    assert host.stack.stats.ip.FragFails == 1


@rule("RFC 1812 5.2.7.1", "A next hop that does not answer is told as host unreachable", code="ip/v4.py")
def test_a_next_hop_that_does_not_answer_is_told_after_three_seconds() -> None:
    host = router()
    packets = [a_to("10.2.0.77") / datagram(bytes([n])) for n in range(3)]
    assert host.wires[0].hears(*[ether() / packet for packet in packets]) == []
    host.clock.advance(2.999)
    assert host.wires[0].says() == []
    host.clock.advance(0.001)
    said = host.wires[0].says()
    assert [(p[ICMP].type, p[ICMP].code, p[IP].src, p[IP].dst) for p in said] == [(3, 1, "10.1.0.1", A)] * 3
    assert [bytes(p[IP])[56:] for p in said] == [b"\0", b"\1", b"\2"]
    assert {frame.type for frame in host.wires[1].says()} == {0x0806}


def test_packets_wait_for_the_next_hops_answer_and_leave_in_order() -> None:
    host = router()
    frames = [ether() / a_to("10.2.0.77") / datagram(bytes([n])) for n in range(5)]
    assert len(through(host, *frames)) == 1  # the question
    said = host.wires[1].hears(answer(77, "10.2.0.77", to=11, target="10.2.0.1"))
    assert [bytes(frame[UDP].payload) for frame in said] == [bytes([n]) for n in range(5)]
    assert {(frame.src, frame.dst, frame[IP].ttl) for frame in said} == {(mac(11), mac(77), 63)}


UNFIT = {
    "this network": ip(A, "0.0.0.1"),
    "loopback": ip(A, "127.0.0.1"),
    "from loopback": ip("127.0.0.1", B),
    "from nobody": ip("0.0.0.0", B),
    "from a group": ip("224.0.0.5", B),
    "from everybody": ip("255.255.255.255", B),
    "limited broadcast": ip(A, "255.255.255.255"),
    "directed broadcast": ip(A, "10.2.0.255"),
    "a group": ip(A, "239.1.2.3"),
    "class E": ip(A, "240.0.0.1"),
}


@rule("RFC 1812 5.3.7", "Martian addresses are not forwarded", code="ip/v4.py")
@rule("RFC 1812 5.3.5", "Broadcasts, limited and directed, are not forwarded", code="ip/v4.py")
@pytest.mark.parametrize("name", UNFIT)
def test_what_must_not_be_forwarded_is_not(name: str) -> None:
    # RFC 1812 5.3.7 (martians), 4.2.2.11, 5.3.5 (broadcasts)
    host = raw_router()
    host.stack.routes.add("default", via="10.2.0.9")
    assert through(host, UNFIT[name] / datagram()) == []


@rule("RFC 1812 5.3.4", "What came in a broadcast frame is not forwarded", code="ip/v4.py")
def test_what_came_in_a_broadcast_frame_is_not_forwarded() -> None:
    # RFC 1812 5.3.4
    host = router()
    assert through(host, ether(dst=EVERYBODY) / a_to() / datagram()) == []
    assert through(host, ether(dst=EVERYBODY) / a_to(ttl=1) / datagram()) == []


@rule("RFC 1812 4.3.2.7", "A router sends no error about an error", code="ip/icmp.py")
def test_a_router_says_nothing_of_errors_that_it_cannot_deliver() -> None:
    host = raw_router()
    quote = bytes(ip("192.0.2.1", A) / datagram())
    error = ip(A, "192.0.2.1", proto=1) / icmp(3, 1, 0, quote)
    assert refused(host, error, ip(A, FAR, proto=1, ttl=1) / icmp(11, 0, 0, quote)) == []


def test_a_router_answers_echoes_that_run_out() -> None:
    (said,) = refused(raw_router(), ip(A, FAR, ttl=1, proto=1) / icmp(8, 0, 7, b"traceroute -I"))
    assert (said[ICMP].type, said[ICMP].code) == (11, 0)


def test_a_flood_that_runs_out_is_answered_within_the_rate() -> None:
    host = raw_router()
    host.wires[0].interface.receive([bytes(a_to(FAR, ttl=1) / datagram())] * 500)
    assert len(host.wires[0].interface.sent) == 6  # net.ipv4.icmp_ratelimit, to one host


# ---- runs of frames


def segments(count: int, sport: int = 4000, size: int = 100) -> list[bytes]:
    """In-order segments of one connection, of the kind that may be merged."""
    return [
        bytes(
            ether() / a_to(id=n) / TCP(sport=sport, dport=80, flags="A", seq=n * size, ack=1) / Raw(bytes([n]) * size)
        )
        for n in range(count)
    ]


def test_a_run_of_segments_is_forwarded_frame_by_frame_in_order() -> None:
    host = router()
    said = through(host, *segments(40))
    assert [(frame[IP].id, frame[TCP].seq, frame[IP].ttl) for frame in said] == [(n, n * 100, 63) for n in range(40)]
    assert {(frame.src, frame.dst) for frame in said} == {(mac(11), mac(12))}
    assert all(bytes(frame[TCP].payload) == bytes([n]) * 100 for n, frame in enumerate(said))
    assert host.stack.stats.ip.ForwDatagrams == 40


def test_runs_of_several_flows_keep_the_order_of_the_batch() -> None:
    flows = [segments(12, 4000), segments(12, 4001)]
    mixed = [frame for chunk in range(0, 12, 3) for flow in flows for frame in flow[chunk : chunk + 3]]
    said = through(router(), *mixed)
    assert [bytes(frame)[16:22] + bytes(frame)[34:] for frame in said] == [frame[16:22] + frame[34:] for frame in mixed]


def test_a_run_with_a_damaged_segment_is_forwarded_as_it_came() -> None:
    frames = segments(6)
    frames[3] = frames[3][:-1] + b"?"
    said = through(router(), *frames)
    assert [bytes(frame)[34:] for frame in said] == [frame[34:] for frame in frames]


def test_a_run_of_padded_frames_loses_only_the_padding() -> None:
    frames = segments(4, size=4)
    said = through(router(), *[frame + bytes(2) for frame in frames])
    assert [bytes(frame)[34:] for frame in said] == [frame[34:] for frame in frames]


def test_a_question_among_the_frames_does_not_change_their_order() -> None:
    host = router()
    frames: list[Packet | bytes] = [*segments(3), question(2, "10.1.0.1", A), *segments(3, 4001)]
    assert len(host.wires[0].hears(*frames)) == 1
    assert [frame[TCP].sport for frame in host.wires[1].says()] == [4000] * 3 + [4001] * 3
