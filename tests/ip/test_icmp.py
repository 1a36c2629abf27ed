"""ICMP messages that a host answers or sends by itself (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet, Raw

from support.lan import EVERYBODY, OURS, PEER, Host, datagram, ether, ethernet_host, icmp, ip, raw_host
from support.rules import rule

ECHO, ECHO_REPLY = 8, 0


def ping(data: bytes, info: int = 0x12345678, **fields: Any) -> Packet:
    return ip(proto=1, **fields) / icmp(ECHO, 0, info, data)


def octets(packet: Packet) -> bytes:
    """The ICMP message as it was on the wire."""
    return bytes(packet[IP])[packet[IP].ihl * 4 :]


# ---- echo


@rule("RFC 1122 3.2.2.6", "An echo reply carries all the data of its request", code="ip/icmp.py")
@given(st.binary(max_size=1472), st.integers(0, 0xFFFFFFFF))
def test_an_echo_comes_back_octet_for_octet(data: bytes, info: int) -> None:
    host = raw_host()
    (said,) = host.wire.hears(ping(data, info))
    message = octets(said)
    assert message[:2] == b"\0\0"
    assert message[4:] == info.to_bytes(4, "big") + data
    assert (said.src, said.dst, said.ttl) == (OURS, PEER, 64)


def test_padding_is_not_echoed() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    (said,) = host.wire.hears(bytes(ether() / ping(b"ab")) + bytes(20))
    assert octets(said)[8:] == b"ab"


@rule("RFC 1122 3.2.2.6", "An echo reply comes from the address that was asked", code="ip/icmp.py")
def test_the_answer_comes_from_the_address_that_was_asked() -> None:
    host = raw_host("10.0.0.1/24", "10.0.0.9/32")
    (said,) = host.wire.hears(ping(b"x", destination="10.0.0.9"))
    assert said.src == "10.0.0.9"


@rule("RFC 1812 4.3.2.5", "An ICMP reply has the TOS of its request", code="ip/icmp.py")
def test_the_answer_has_the_type_of_service_of_the_question() -> None:
    # RFC 1349 5.1, RFC 1812 4.3.2.5: MUST have the same TOS; Linux icmp_reply does
    (said,) = raw_host().wire.hears(ping(b"x", tos=0x48))
    assert said.tos == 0x48


@rule("RFC 792 Echo", "A message with a wrong checksum is discarded", code="ip/icmp.py")
def test_a_wrong_checksum_is_counted_not_answered() -> None:
    host = raw_host()
    packet = bytearray(bytes(ping(b"hello")))
    packet[-1] ^= 1
    assert host.wire.hears(bytes(packet)) == []
    assert (host.stack.stats.icmp.InCsumErrors, host.stack.stats.icmp.InErrors) == (1, 1)


@pytest.mark.parametrize("length", range(8))
def test_a_message_without_its_header_is_counted_not_answered(length: int) -> None:
    host = raw_host()
    assert host.wire.hears(ip(proto=1) / Raw(bytes(icmp(ECHO))[:length])) == []
    assert host.stack.stats.icmp.InErrors == 1


@rule("RFC 1122 3.2.2.6", "An echo to a broadcast or multicast address may be silently discarded", code="ip/icmp.py")
@pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255", "224.0.0.1"])
def test_an_echo_to_everybody_is_not_answered(destination: str) -> None:
    # net.ipv4.icmp_echo_ignore_broadcasts
    host = ethernet_host()
    host.wire.learns(2)
    frame = ether(dst=EVERYBODY) / ping(b"x", destination=destination)
    assert host.wire.hears(frame) == []
    assert host.stack.stats.icmp.InEchos == 1


@pytest.mark.parametrize("source", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1"])
def test_an_echo_from_nobody_in_particular_is_not_answered(source: str) -> None:
    assert raw_host().wire.hears(ping(b"x", source=source)) == []


@rule("RFC 1122 3.2.2", "A message of unknown type is silently discarded", code="ip/icmp.py")
@pytest.mark.parametrize("kind", [0, 1, 2, 4, 5, 6, 7, 9, 10, 15, 16, 17, 18, 37, 41, 255])
def test_other_messages_are_silently_ignored(kind: int) -> None:
    # RFC 1122 3.2.2: a message of unknown type MUST be silently discarded
    host = raw_host()
    assert host.wire.hears(ip(proto=1) / icmp(kind, 0, 0, bytes(28))) == []
    assert host.stack.stats.icmp.InMsgs == 1


def test_an_answer_to_nobodys_question_is_counted_and_dropped() -> None:
    host = raw_host()
    assert host.wire.hears(ip(proto=1) / icmp(ECHO_REPLY)) == []
    assert host.stack.stats.icmp.InEchoReps == 1


# ---- errors: what they quote


@rule("RFC 1812 4.3.2.3", "An error quotes as much of the packet as fits 576 octets", code="ip/icmp.py")
@pytest.mark.parametrize("size", [0, 1, 8, 519, 520])
def test_an_error_quotes_the_whole_packet_if_it_is_short(size: int) -> None:
    host = raw_host()
    packet = bytes(ip() / datagram(bytes(range(256))[: min(size, 256)] + bytes(max(size - 256, 0)), dport=9))
    (said,) = host.wire.hears(packet)
    assert octets(said)[:2] == b"\3\3"
    assert octets(said)[4:8] == bytes(4)
    assert octets(said)[8:] == packet


@pytest.mark.parametrize("size", [521, 1000, 1472])
def test_an_error_is_never_longer_than_576_octets(size: int) -> None:
    # RFC 1812 4.3.2.3: as much of the original as possible without exceeding 576
    packet = bytes(ip() / datagram(b"q" * size, dport=9))
    (said,) = raw_host().wire.hears(packet)
    assert said.len == 576
    assert octets(said)[8:] == packet[:548]


@rule("RFC 792", "What an error does not use of its header is 0", code="ip/icmp.py")
def test_what_an_error_does_not_use_of_its_header_is_zero() -> None:
    (said,) = raw_host().wire.hears(ip() / datagram(dport=9))
    assert octets(said)[4:8] == bytes(4)


def test_padding_is_not_quoted() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    packet = bytes(ip() / datagram(b"", dport=9))
    (said,) = host.wire.hears(ether(type=0x0800) / Raw(packet + bytes(18)))
    assert octets(said)[8:] == packet


def test_port_unreachable_comes_from_the_address_that_was_meant() -> None:
    host = raw_host("10.0.0.1/24", "10.0.0.9/32")
    (said,) = host.wire.hears(ip(destination="10.0.0.9") / datagram(dport=9))
    assert (said.src, said[ICMP].type, said[ICMP].code) == ("10.0.0.9", 3, 3)
    assert host.stack.stats.udp.NoPorts == 1
    assert (host.stack.stats.icmp.OutMsgs, host.stack.stats.icmp.OutDestUnreachs) == (1, 1)


# ---- errors: when none is sent (RFC 1122 3.2.2)

ABOUT_ERRORS = {
    "unreachable": 3, "source quench": 4, "redirect": 5, "time exceeded": 11, "parameter problem": 12,
}  # fmt: skip


@rule("RFC 1122 3.2.2", "No error is sent about an error", code="ip/icmp.py")
@pytest.mark.parametrize("name", ABOUT_ERRORS)
def test_an_error_is_never_answered_with_an_error(name: str) -> None:
    # one for a transport that nobody here speaks, which anything else would be told of
    quote = bytes(ip(OURS, PEER, proto=253) / Raw(bytes(8)))
    assert raw_host().wire.hears(ip(proto=1) / icmp(ABOUT_ERRORS[name], 0, 0, quote)) == []


@rule("RFC 1122 3.2.2", "No error is sent about a packet to a broadcast or multicast address", code="ip/icmp.py")
@pytest.mark.parametrize("destination", ["10.0.0.255", "255.255.255.255", "224.0.0.1"])
@pytest.mark.parametrize("protocol", [17, 253])
def test_what_was_sent_to_everybody_gets_no_error(destination: str, protocol: int) -> None:
    host = raw_host()
    assert host.wire.hears(ip(destination=destination, proto=protocol) / Raw(bytes(datagram(dport=9)))) == []


@rule("RFC 1122 3.2.2", "No error is sent about what came in a broadcast frame", code="ip/icmp.py")
def test_what_came_in_a_broadcast_frame_gets_no_error() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    assert host.wire.hears(ether(dst=EVERYBODY) / ip() / datagram(dport=9)) == []
    assert host.wire.hears(ether(dst="01:00:5e:00:00:01") / ip() / datagram(dport=9)) == []
    assert host.wire.hears(ether(dst=EVERYBODY) / ip() / TCP(sport=1, dport=9, flags="S")) == []


@rule("RFC 1122 3.2.2", "No error is sent to a source that is no single host", code="ip/v4.py")
@pytest.mark.parametrize("source", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "127.0.0.1", "10.0.0.255"])
def test_a_source_that_is_no_single_host_gets_no_error(source: str) -> None:
    assert raw_host().wire.hears(ip(source) / datagram(dport=9)) == []


@pytest.mark.parametrize("fields", [{"frag": 1}, {"frag": 185, "flags": "MF"}])
def test_a_fragment_that_is_not_the_first_gets_no_error(fields: dict[str, Any]) -> None:
    assert raw_host().wire.hears(ip(proto=253, **fields) / Raw(bytes(16))) == []


def test_a_datagram_with_a_wrong_checksum_gets_no_error() -> None:
    host = raw_host()
    assert host.wire.hears(ip() / UDP(sport=1, dport=9, chksum=1) / Raw(b"x")) == []
    assert host.stack.stats.udp.InCsumErrors == 1


def test_there_is_no_error_without_a_way_back() -> None:
    host = raw_host()
    assert host.wire.hears(ip("192.0.2.7") / datagram(dport=9)) == []
    assert host.stack.stats.udp.NoPorts == 1


# ---- rate


def unlimited_to_one() -> Host:
    """A host that limits only what it sends to all together."""
    host = raw_host()
    host.stack.sysctl["net.ipv4.icmp_ratelimit"] = 0
    return host


@rule("RFC 1812 4.3.2.8", "Errors are limited in number by a token bucket: Linux icmp_msgs_burst, icmp_msgs_per_sec",
      code="ip/rate.py")
def test_errors_are_limited_to_a_burst_of_fifty_and_a_thousand_a_second() -> None:
    host = unlimited_to_one()
    lost = [bytes(ip() / datagram(sport=n + 1, dport=9)) for n in range(200)]
    assert len(host.wire.hears(*lost)) == 50
    assert len(host.wire.hears(*lost)) == 0
    host.clock.advance(0.019)
    assert len(host.wire.hears(*lost)) == 0  # Linux icmp_global_allow: looked after every 20 ms
    host.clock.advance(0.001)
    assert len(host.wire.hears(*lost)) == 20
    host.clock.advance(100)
    assert len(host.wire.hears(*lost)) == 50
    assert host.stack.stats.icmp.OutRateLimitGlobal == 150 + 200 + 200 + 180 + 150


def test_a_trickle_under_the_rate_is_not_limited_beyond_the_first_refill() -> None:
    host = unlimited_to_one()
    lost = bytes(ip() / datagram(dport=9))
    for _ in range(300):
        host.clock.advance(0.0011)
        host.wire.interface.receive([lost])
    assert len(host.wire.interface.sent) == 300


@rule("RFC 1812 4.3.2.8", "Errors to one host are limited to one a second, six at once after a while: icmp_ratelimit",
      code="ip/rate.py")
def test_errors_to_one_destination_are_limited_by_themselves() -> None:
    host = raw_host()
    lost = [bytes(ip(source) / datagram(dport=9)) for source in [PEER] * 10 + ["10.0.0.3"] * 2]
    assert [packet.dst for packet in host.wire.hears(*lost)] == [PEER] * 6 + ["10.0.0.3"] * 2
    assert host.stack.stats.icmp.OutRateLimitHost == 4
    host.clock.advance(0.999)
    assert len(host.wire.hears(*lost)) == 2
    host.clock.advance(0.001)
    assert [packet.dst for packet in host.wire.hears(*lost)] == [PEER, "10.0.0.3", "10.0.0.3"]
    host.clock.advance(100)
    assert len(host.wire.hears(*lost)) == 8


def test_which_errors_are_limited_is_settable() -> None:
    host = raw_host()
    host.stack.sysctl["net.ipv4.icmp_ratemask"] = 1 << 11
    lost = bytes(ip() / datagram(dport=9))
    assert len(host.wire.hears(*[lost] * 100)) == 100


def test_fragmentation_needed_is_not_limited() -> None:
    """Linux icmpv4_mask_allow: path MTU discovery must work."""
    host = raw_host()
    host.raw("10.9.0.1/24", mtu=600)
    host.stack.ip.forwarding = True
    long = bytes(ip(destination="10.9.0.2", flags="DF") / datagram(bytes(900)))
    assert len(host.wire.hears(*[long] * 100)) == 100


def test_errors_on_loopback_are_not_limited() -> None:
    host = Host()
    sock = host.udp()
    for _ in range(100):
        sock.sendto(b"x", ("127.0.0.1", 9))
    assert host.stack.stats.icmp.OutDestUnreachs == 100


def test_echoes_are_not_limited() -> None:
    # icmp_ratemask leaves echo replies alone
    host = raw_host()
    host.wire.interface.receive([bytes(ping(b"x"))] * 300)
    assert len(host.wire.interface.sent) == 300


# ---- settings, and what else is asked


def test_echoes_are_ignored_if_so_set() -> None:
    host = raw_host()
    host.stack.sysctl["net.ipv4.icmp_echo_ignore_all"] = 1
    assert host.wire.hears(ping(b"x")) == []


@rule("RFC 1122 3.2.2.6", "An echo to everybody may be answered, from the host's own address", code="ip/icmp.py")
def test_an_echo_to_everybody_is_answered_if_so_set() -> None:
    host = raw_host()
    host.stack.sysctl["net.ipv4.icmp_echo_ignore_broadcasts"] = 0
    (said,) = host.wire.hears(ping(b"x", destination="10.0.0.255"))
    assert (said.src, said.dst) == (OURS, PEER)


@rule("RFC 1122 3.2.2.8", "A timestamp request is answered with the milliseconds since midnight", code="ip/icmp.py")
def test_a_timestamp_request_is_answered() -> None:
    host = raw_host()
    host.clock.advance(86400 + 1.5)
    (said,) = host.wire.hears(ip(proto=1) / icmp(13, 0, 0x10002, b"abcd" + bytes(8)))
    assert octets(said)[:2] == b"\x0e\0"
    assert octets(said)[4:] == bytes((0, 1, 0, 2)) + b"abcd" + (1500).to_bytes(4, "big") * 2


@pytest.mark.parametrize(("length", "answers", "errors"), [(4, 1, 0), (3, 0, 1)])
def test_a_timestamp_request_must_say_when_it_was_sent(length: int, answers: int, errors: int) -> None:
    host = raw_host()
    assert len(host.wire.hears(ip(proto=1) / icmp(13, 0, 0x10002, bytes(length)))) == answers
    assert host.stack.stats.icmp.InErrors == errors


@rule("RFC 1812 4.3.2.5", "An error has the precedence of internetwork control", code="ip/icmp.py")
def test_an_error_is_internetwork_control_with_its_causes_type_of_service() -> None:
    (said,) = raw_host().wire.hears(ip(tos=0x28) / datagram(dport=9))
    assert said.tos == 0xC8
