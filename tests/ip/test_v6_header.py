"""IPv6 headers that come in: the fixed one, extension headers, options, and what is said of them (RFC 8200 3 and 4)."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP
from scapy.layers.inet6 import ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ParamProblem, IPv6
from scapy.packet import Packet, Raw

from support.lan import SECOND, Host
from support.lan6 import OURS6, PEER6, data6, frame6, knowing, meet, tcp6, udp6
from support.rules import rule

HOP, ROUTING, FRAGMENT, DESTINATION, NO_NEXT, UDP_ = 0, 43, 44, 60, 59, 17
PAD1, PADN, ROUTER_ALERT = b"\0", b"\x01\x04\0\0\0\0", b"\x05\x02\0\0"


def header(following: int, content: bytes) -> bytes:
    """An extension header of octets that are padded by option Pad1s."""
    content += bytes(-(len(content) + 2) % 8)
    return bytes((following, (len(content) + 2) // 8 - 1)) + content


def routing(following: int, kind: int, left: int) -> bytes:
    return bytes((following, 2, kind, left)) + bytes(4) + bytes(16)


def packet(first: int, chain: bytes, **fields: Any) -> Packet:
    """Extension headers, the last of which names UDP, and a datagram behind them."""
    source, destination = fields.get("src", PEER6), fields.get("dst", OURS6)
    datagram = bytes(IPv6(src=source, dst=destination) / data6())[40:]
    return frame6(nh=first, **fields) / Raw(chain + datagram)


def receives(frame: Packet | bytes) -> tuple[bool, list[Packet], Host]:
    """Whether the datagram has arrived, what was said, and who heard it."""
    host = knowing()
    sock = udp6(host, ("::", 5000))
    said = host.wire.hears(frame)
    return bool(sock.events() & 1), said, host


def complaint(said: list[Packet]) -> tuple[int, int]:
    """Code and pointer of the one parameter problem."""
    (frame,) = said
    assert (frame[IPv6].src, frame[IPv6].dst) == (OURS6, PEER6)
    return frame[ICMPv6ParamProblem].code, frame[ICMPv6ParamProblem].ptr


PASSED = {
    "hop-by-hop": (HOP, header(UDP_, PADN)),
    "destination options": (DESTINATION, header(UDP_, PADN)),
    "an option that may be skipped": (DESTINATION, header(UDP_, b"\x1e\x02ab" + PAD1 * 2)),
    "router alert": (HOP, header(UDP_, ROUTER_ALERT + PAD1 * 2)),
    "a routing header that has led here": (ROUTING, routing(UDP_, 0, 0)),
    "all of them": (
        HOP, header(DESTINATION, PADN) + header(ROUTING, PADN) + routing(DESTINATION, 0, 0) + header(UDP_, PADN),
    ),
}  # fmt: skip


@rule("RFC 8200 4", "Extension headers in any order are passed on the way to the transport's", code="ip/v6.py")
@pytest.mark.parametrize("what", PASSED)
def test_extension_headers_are_passed(what: str) -> None:
    arrived, said, _ = receives(packet(*PASSED[what]))
    assert (arrived, said) == (True, [])


@rule("RFC 8200 4", "An unknown next header is answered with a parameter problem, code 1, that points at its number",
      code="ip/v6.py")  # fmt: skip
@pytest.mark.parametrize(
    ("first", "chain", "pointer"),
    [(200, b"", 6), (DESTINATION, header(200, PADN), 40), (HOP, header(DESTINATION, PADN) + header(253, PADN), 48)],
)
def test_an_unknown_next_header_is_reported(first: int, chain: bytes, pointer: int) -> None:
    arrived, said, host = receives(packet(first, chain))
    assert (arrived, complaint(said)) == (False, (1, pointer))
    assert host.stack.stats.ip6.InUnknownProtos == 1
    assert host.stack.stats.icmp6.OutParmProblems == 1


@rule("RFC 8200 4", "A hop-by-hop header elsewhere than behind the IPv6 header is unknown", code="ip/v6.py")
def test_hop_by_hop_options_come_first_or_not_at_all() -> None:
    arrived, said, _ = receives(packet(DESTINATION, header(HOP, PADN) + header(UDP_, PADN)))
    assert (arrived, complaint(said)) == (False, (1, 40))


@rule("RFC 8200 4.7", "Next header 59 ends a packet without a word", code="ip/v6.py")
def test_no_next_header() -> None:
    arrived, said, _ = receives(packet(DESTINATION, header(NO_NEXT, PADN)))
    assert (arrived, said) == (False, [])


@rule("RFC 8200 4.2", "Of an option that is not known the first two bits say what becomes of the packet",
      code="ip/extension.py")  # fmt: skip
@pytest.mark.parametrize("first", [HOP, DESTINATION])
@pytest.mark.parametrize(
    ("bits", "arrives", "reported"), [(0, True, False), (1, False, False), (2, False, True), (3, False, True)]
)
def test_the_first_bits_of_an_option_decide(first: int, bits: int, arrives: bool, reported: bool) -> None:
    option = bytes((bits << 6 | 0x1E, 2)) + b"ab"
    arrived, said, _ = receives(packet(first, header(UDP_, PAD1 * 2 + option)))
    assert arrived is arrives
    assert [complaint(said)] == [(2, 44)] if reported else said == []


@rule("RFC 8200 4.2", "Sent to a group, an option with bits 10 is still reported, one with 11 is not",
      code="ip/extension.py")  # fmt: skip
@pytest.mark.parametrize(("bits", "reported"), [(2, True), (3, False)])
def test_an_option_in_a_packet_to_a_group(bits: int, reported: bool) -> None:
    option = bytes((bits << 6 | 0x1E, 2)) + b"ab"
    frame = packet(DESTINATION, header(UDP_, option), dst="ff02::1", to="33:33:00:00:00:01")
    _, said, _ = receives(frame)
    assert len(said) == int(reported)


@rule("RFC 5095 3", "A routing header of type 0 with segments left is refused with a pointer to its type",
      code="ip/extension.py")  # fmt: skip
@rule("RFC 8200 4.4", "A routing header of unknown type with segments left is refused with a pointer to its type",
      code="ip/extension.py")  # fmt: skip
@pytest.mark.parametrize("kind", [0, 2, 3, 4, 253])
def test_a_routing_header_that_wants_to_go_on_is_refused(kind: int) -> None:
    arrived, said, _ = receives(packet(ROUTING, routing(UDP_, kind, 1)))
    assert (arrived, complaint(said)) == (False, (0, 42))


BROKEN = {
    "a header longer than the packet": (DESTINATION, bytes((UDP_, 9)) + bytes(6)),
    "half a header": (DESTINATION, bytes((UDP_,))),
    "an option longer than its header": (DESTINATION, header(UDP_, b"\x1e\x09ab")),
    "an option without a length": (DESTINATION, bytes((UDP_, 0)) + b"\x1e\x03abc\x1e"),
    "padding that is not zero": (DESTINATION, header(UDP_, b"\x01\x04abcd")),
    "more padding than aligns": (DESTINATION, header(UDP_, PAD1 * 14)),
    "a router alert of three octets": (HOP, header(UDP_, b"\x05\x03\0\0\0")),
    "nine options": (DESTINATION, header(UDP_, b"\x1e\0" * 9)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_header_is_counted_and_dropped(what: str) -> None:
    first, chain = BROKEN[what]
    frame = packet(first, chain)
    if what == "half a header":
        frame = frame6(nh=first) / Raw(chain)
    arrived, said, host = receives(frame)
    assert (arrived, said, host.stack.stats.ip6.InHdrErrors) == (False, [], 1)


@rule("RFC 8200 3", "A packet shorter than it says, or of another version, is dropped", code="ip/v6.py")
@pytest.mark.parametrize(
    ("frame", "counter"),
    [
        (bytes(frame6() / data6())[:-1], "InTruncatedPkts"),
        (bytes(frame6() / data6())[:50], "InHdrErrors"),
        (bytes(frame6(version=5) / data6()), "InHdrErrors"),
    ],
)
def test_a_packet_that_is_not_whole_is_dropped(frame: bytes, counter: str) -> None:
    arrived, said, host = receives(frame)
    assert (arrived, said) == (False, [])
    assert host.stack.stats.as_dict()["Ip6"][counter] == 1


@rule("RFC 4291 2.7", "A group sends nothing", code="ip/v6.py")
@pytest.mark.parametrize(
    "fields",
    [
        {"src": "ff02::1"}, {"src": "::ffff:10.0.0.1"}, {"src": "fe80:5::1"}, {"dst": "ff01::1"}, {"dst": "ff00::1"},
        {"dst": "::"}, {"dst": "2001:db8::9"},
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_right(fields: dict[str, Any]) -> None:
    arrived, said, host = receives(frame6(**fields) / data6())
    assert (arrived, said, host.stack.stats.ip6.InAddrErrors) == (False, [], 1)


def test_padding_behind_the_packet_is_not_data() -> None:
    host = knowing()
    sock = udp6(host, ("::", 5000))
    host.wire.hears(bytes(frame6() / data6(b"x")) + bytes(20))
    assert sock.recv(99) == b"x"


def test_a_segment_behind_extension_headers_reaches_its_connection() -> None:
    host = knowing()
    listener = tcp6(host)
    listener.bind(("::", 80))
    listener.listen()
    (syn_ack,) = host.wire.hears(frame6() / TCP(sport=9, dport=80, flags="S", seq=1))
    ack = bytes(IPv6(src=PEER6, dst=OURS6) / TCP(sport=9, dport=80, flags="A", seq=2, ack=syn_ack[TCP].seq + 1))[40:]
    host.wire.hears(frame6(nh=DESTINATION) / Raw(header(6, PADN) + ack))
    accepted, address = listener.accept()
    assert address == (PEER6, 9, 0, 0)
    data = TCP(sport=9, dport=80, flags="PA", seq=2, ack=syn_ack[TCP].seq + 1) / Raw(b"hello")
    host.wire.hears(frame6(nh=HOP) / Raw(header(6, PADN) + bytes(IPv6(src=PEER6, dst=OURS6) / data)[40:]))
    assert accepted.recv(99) == b"hello"


# ---- echo


@rule("RFC 4443 4.2", "An echo is answered from the address that was asked, with the same data", code="ip/icmpv6.py")
@pytest.mark.parametrize("address", [OURS6, "fe80::ff:fe00:1"])
def test_an_echo_is_answered(address: str) -> None:
    source = PEER6 if address == OURS6 else "fe80::2"
    host = knowing()
    meet(host.wire, 2, source)
    frame = frame6(src=source, dst=address, tc=0xB8) / ICMPv6EchoRequest(id=7, seq=9, data=b"ping")
    (reply,) = host.wire.hears(frame)
    assert (reply[IPv6].src, reply[IPv6].dst, reply[IPv6].hlim, reply[IPv6].tc) == (address, source, 64, 0xB8)
    assert (reply[ICMPv6EchoReply].id, reply[ICMPv6EchoReply].seq) == (7, 9)
    assert reply[ICMPv6EchoReply].data == b"ping"


@rule("RFC 4443 4.2", "An echo to a group is answered by each member from its own address", code="ip/icmpv6.py")
def test_an_echo_to_all_nodes_is_answered() -> None:
    (reply,) = knowing().wire.hears(frame6(dst="ff02::1", to="33:33:00:00:00:01") / ICMPv6EchoRequest(data=b"who"))
    assert (reply[IPv6].src, reply[IPv6].dst) == (OURS6, PEER6)


# ---- anything at all


@given(st.binary(max_size=120), st.integers(0, 255))
def test_nothing_that_may_stand_behind_the_header_raises(rest: bytes, first: int) -> None:
    host = knowing()
    frame = bytes(frame6(nh=first, plen=len(rest))) + rest
    host.wire.hears(frame)
    host.clock.advance_to(host.clock.now() + SECOND)


@given(st.lists(st.sampled_from([HOP, ROUTING, FRAGMENT, DESTINATION, 58, 6, 17]), max_size=6), st.binary(max_size=64))
def test_no_chain_of_headers_raises(kinds: list[int], rest: bytes) -> None:
    chain = b"".join(struct.pack("BB6s", following, 0, b"") for following in [*kinds[1:], 17])
    knowing().wire.hears(bytes(frame6(nh=(kinds or [17])[0], plen=len(chain + rest))) + chain + rest)
