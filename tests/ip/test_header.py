"""What the IP layer takes in, what it drops and counts, and what it writes (RFC 791, RFC 1122 3.2.1)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP, IPOption_RR
from scapy.packet import Packet

from aionetflow.socket.options import IP_TOS, IP_TTL, IPPROTO_IP
from support.lan import ISS, OURS, PEER, Host, back, checksum, datagram, ip, raw_host
from support.rules import rule

GOOD = bytes(ip() / datagram(b"hello"))


def damaged(offset: int, value: bytes, *, mend: bool = True) -> bytes:
    """The good packet with some octets of its header replaced, its checksum right again unless told."""
    packet = bytearray(GOOD)
    packet[offset : offset + len(value)] = value
    if mend:
        packet[10:12] = b"\0\0"
        packet[10:12] = checksum(bytes(packet[: max((packet[0] & 15) * 4, 20)]))
    return bytes(packet)


def listening() -> Host:
    host = raw_host()
    host.udp(("", 5000))
    return host


def delivered(host: Host) -> int:
    return host.stack.stats.udp.InDatagrams


MALFORMED = {
    "empty": b"",
    "one octet": GOOD[:1],
    "a header cut short": GOOD[:19],
    "version 0": damaged(0, b"\x05"),
    "version 5": damaged(0, b"\x55"),
    "version 6": damaged(0, b"\x65"),
    "version 15": damaged(0, b"\xf5"),
    "a header of no words": damaged(0, b"\x40"),
    "a header of four words": damaged(0, b"\x44"),
    "a header longer than the packet": damaged(0, b"\x4f"),
    "a length of zero": damaged(2, b"\0\0"),
    "a length shorter than the header": damaged(2, b"\0\x13"),
    "a length longer than the frame": damaged(2, (len(GOOD) + 1).to_bytes(2, "big")),
    "the longest length": damaged(2, b"\xff\xff"),
    "a frame cut short": GOOD[:-1],
    "a checksum of zero": damaged(10, b"\0\0", mend=False),
    "a checksum one too high": damaged(10, (int.from_bytes(GOOD[10:12], "big") + 1).to_bytes(2, "big"), mend=False),
    "the checksum's octets swapped": damaged(10, GOOD[11:12] + GOOD[10:11], mend=False),
}


@rule("RFC 1122 3.2.1.1", "A packet of another version is silently discarded", code="ip/v4.py")
@rule("RFC 1122 3.2.1.2", "A header whose checksum is wrong is silently discarded", code="ip/v4.py")
@rule("RFC 1812 5.2.2", "Header and total length must fit the frame, and each other", code="ip/v4.py")
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_header_is_counted_and_dropped_without_a_word(name: str) -> None:
    host = listening()
    assert host.wire.hears(MALFORMED[name]) == []
    assert delivered(host) == 0
    ip = host.stack.stats.ip6 if name == "version 6" else host.stack.stats.ip  # a wire without MACs has both
    assert (ip.InReceives, ip.InHdrErrors) == (1, 1)
    assert ip.InDelivers == 0


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_no_damage_to_the_header_is_ever_delivered(offset: int, flip: int) -> None:
    host = listening()
    packet = bytearray(GOOD)
    packet[offset] ^= flip
    host.wire.interface.receive([bytes(packet)])
    # the UDP checksum may be hit at its two octets or in the data it covers: nothing gets through
    assert delivered(host) == 0


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_noise_is_dropped_without_harm(noise: list[bytes]) -> None:
    host = listening()
    host.wire.interface.receive([*noise, GOOD])
    assert delivered(host) == 1


def test_the_right_packet_is_delivered() -> None:
    host = listening()
    host.wire.hears(GOOD)
    assert delivered(host) == 1
    assert host.stack.stats.ip.InHdrErrors == 0


@pytest.mark.parametrize("fields", [{"flags": "MF"}, {"frag": 1}, {"flags": "MF", "frag": 185}, {"frag": 0x1FFF}])
def test_a_fragment_is_not_taken_for_a_whole_packet(fields: dict[str, Any]) -> None:
    host = listening()
    assert host.wire.hears(ip(**fields) / datagram(b"hello")) == []
    assert delivered(host) == 0
    assert host.stack.stats.ip.InDelivers == 0


@pytest.mark.parametrize("flags", [0, "DF"])
def test_dont_fragment_makes_no_difference_to_the_receiver(flags: object) -> None:
    host = listening()
    host.wire.hears(ip(flags=flags) / datagram(b"hello"))
    assert delivered(host) == 1


@rule("RFC 1122 3.2.1.7", "A packet is not discarded for a TTL below 2 where it has arrived", code="ip/v4.py")
@pytest.mark.parametrize("ttl", [0, 1, 255])
def test_a_packet_that_has_arrived_is_taken_whatever_its_ttl(ttl: int) -> None:
    # RFC 1122 3.2.1.7: MUST NOT be discarded just because it was received with TTL less than 2
    host = listening()
    host.wire.hears(ip(ttl=ttl) / datagram(b"hello"))
    assert delivered(host) == 1


OPTIONS = [IPOption_RR(routers=["0.0.0.0"]), *[IPOption_NOP()] * 5]


@rule("RFC 1122 3.2.1.8", "Options that are not understood are silently ignored", code="ip/v4.py")
def test_options_are_skipped() -> None:
    # RFC 1122 3.2.1.8: silently ignored when not understood
    host = raw_host()
    sock = host.udp((OURS, 5000))
    host.wire.hears(ip(options=OPTIONS) / datagram(b"hello"))
    assert sock.recv(99) == b"hello"


def test_a_connection_can_be_made_with_options_in_every_packet() -> None:
    host = raw_host()
    server = host.listening((OURS, 80))
    (syn_ack,) = host.wire.hears(ip(options=OPTIONS) / TCP(sport=4000, dport=80, flags="S", seq=ISS))
    reply = back(syn_ack, TCP(flags="PA", seq=(ISS + 1) & 0xFFFFFFFF))
    host.wire.hears(ip(options=OPTIONS) / reply[TCP] / b"hello")
    sock, _ = server.accept()
    assert sock.recv(99) == b"hello"


# ---- addresses


@rule("RFC 1122 3.2.1.3", "A packet from a broadcast or multicast address is silently discarded", code="ip/v4.py")
@pytest.mark.parametrize("source", ["224.0.0.1", "239.255.255.255", "255.255.255.255", "10.0.0.255"])
def test_a_packet_from_a_group_or_everybody_is_dropped(source: str) -> None:
    # RFC 1122 3.2.1.3: a broadcast or multicast address MUST NOT be a source; MUST silently discard
    host = listening()
    assert host.wire.hears(ip(source) / datagram(b"hello"), ip(source) / datagram(dport=9)) == []
    assert delivered(host) == 0


@rule("RFC 1122 3.2.1.3", "An address of 127/8 never comes from a wire", code="ip/v4.py")
@pytest.mark.parametrize("source", ["127.0.0.1", "127.255.255.254"])
def test_a_loopback_address_never_comes_from_a_wire(source: str) -> None:
    # RFC 1122 3.2.1.3 (g): MUST NOT appear outside a host. An application trusts 127.0.0.1 to be itself.
    host = listening()
    assert host.wire.hears(ip(source) / datagram(b"hello")) == []
    assert delivered(host) == 0


@rule("RFC 1122 3.2.1.3", "0.0.0.0 is the source of who has no address yet, and speaks to all", code="ip/v4.py")
@pytest.mark.parametrize(("destination", "taken"), [("255.255.255.255", True), ("10.0.0.1", False)])
def test_who_has_no_address_yet_may_speak_to_all_and_only_to_all(destination: str, taken: bool) -> None:
    # RFC 1122 3.2.1.3 (a): 0.0.0.0 as a source, while an address is being asked for
    host = listening()
    assert host.wire.hears(ip("0.0.0.0", destination) / datagram(b"discover")) == []
    assert delivered(host) == taken


@rule("RFC 1122 3.2.1.3", "Nothing for 127/8 is taken from a wire", code="ip/v4.py")
@pytest.mark.parametrize("destination", ["127.0.0.1", "127.0.0.2", "127.255.255.255"])
def test_nothing_for_a_loopback_address_is_taken_from_a_wire(destination: str) -> None:
    host = listening()
    assert host.wire.hears(ip(destination=destination) / datagram(b"hello")) == []
    assert delivered(host) == 0
    assert host.stack.stats.ip.InAddrErrors == 1


def test_a_packet_from_our_own_address_is_not_taken_from_a_wire() -> None:
    # Linux fib_validate_source: a local source on a wire is a martian
    host = listening()
    assert host.wire.hears(ip(OURS) / datagram(b"hello")) == []
    assert delivered(host) == 0


def test_a_syn_from_our_own_address_and_port_begins_nothing() -> None:
    host = raw_host()
    server = host.listening((OURS, 80))
    assert host.wire.hears(ip(OURS) / TCP(sport=80, dport=80, flags="S", seq=ISS)) == []
    host.clock.advance(10)
    assert host.wire.says() == []
    with pytest.raises(BlockingIOError):
        server.accept()


@rule("RFC 1122 3.2.1.3", "A host discards in silence what is for someone else", code="ip/v4.py")
@pytest.mark.parametrize("destination", ["10.0.0.3", "192.0.2.1", "8.8.8.8"])
def test_a_packet_for_someone_else_is_dropped_and_counted_not_answered(destination: str) -> None:
    # RFC 1122 3.2.1.3: a host that is no router MUST silently discard
    host = listening()
    host.stack.routes.add("default", via=PEER)
    assert host.wire.hears(ip(destination=destination) / datagram(b"hello")) == []
    assert delivered(host) == 0
    assert host.stack.stats.ip.InAddrErrors == 1


@rule("RFC 1112 7.2", "A packet for a group that nobody joined is discarded", code="ip/v4.py")
@pytest.mark.parametrize("destination", ["239.1.2.3", "224.0.0.251", "240.0.0.1"])
def test_a_group_that_nobody_joined_reaches_no_socket(destination: str) -> None:
    # RFC 1122 3.2.1.3, RFC 1112 7.2
    host = listening()
    assert host.wire.hears(ip(destination=destination) / datagram(b"hello")) == []
    assert delivered(host) == 0


@rule("RFC 1122 3.2.2.1", "A protocol that nobody speaks is answered with protocol unreachable", code="ip/v4.py")
def test_a_protocol_that_nobody_speaks_is_answered_with_code_two() -> None:
    host = raw_host()
    (said,) = host.wire.hears(ip(proto=253) / b"experiment")
    assert (said["ICMP"].type, said["ICMP"].code, said[IP].dst) == (3, 2, PEER)
    assert host.stack.stats.ip.InUnknownProtos == 1


# ---- what is sent


def sent_by_sockets() -> list[Packet]:
    host = raw_host()
    sock = host.udp((OURS, 5000))
    for number in range(4):
        sock.sendto(bytes([number]), (PEER, 9))
    host.connecting((PEER, 80))
    said = host.wire.says()
    assert len(said) == 5
    return said


@rule("RFC 6864 4.3", "Packets of one source, destination and protocol that may be cut differ in number",
      code="ip/identification.py")
def test_identification_grows_by_one_a_packet_to_one_destination() -> None:
    ids = [packet.id for packet in sent_by_sockets() if packet.proto == 17]
    assert [(ident - ids[0]) & 0xFFFF for ident in ids] == list(range(len(ids)))


@rule("RFC 7739 5", "What is sent to one destination tells nothing of what is sent to another",
      code="ip/identification.py")
def test_identification_of_one_destination_says_nothing_of_another() -> None:
    host = raw_host()
    sock = host.udp((OURS, 5000))
    ids: dict[str, list[int]] = {PEER: [], "10.0.0.3": []}
    for destination in (PEER, "10.0.0.3", "10.0.0.3", PEER):
        sock.sendto(b"x", (destination, 9))
        ids[destination] += [packet.id for packet in host.wire.says()]
    assert [(second - first) & 0xFFFF for first, second in ids.values()] == [1, 1]
    assert abs(ids[PEER][0] - ids["10.0.0.3"][0]) > 1


def test_identification_goes_on_over_the_segments_of_one_write_and_through_the_wrap() -> None:
    host = raw_host()
    sock, _ = host.connected()
    assert sock.connection is not None
    sock.connection.ident = 0xFFFE
    sock.send(bytes(5 * 1460))
    said = host.wire.says()
    sock.close()
    assert [packet.id for packet in said] == [0xFFFE, 0xFFFF, 0, 1, 2]
    assert [len(packet[TCP].payload) for packet in said] == [1460] * 5


@rule("RFC 1191 2", "All packets are sent with DF", code="ip/v4.py")
def test_every_packet_forbids_fragmentation() -> None:
    # RFC 1191 6.5 and Linux ip_no_pmtu_disc=0
    assert {str(packet.flags) for packet in sent_by_sockets()} == {"DF"}


@rule("RFC 1122 3.2.1.7", "The default TTL is 64", code="ip/v4.py")
def test_the_default_ttl_is_64_and_there_are_no_options() -> None:
    packets = sent_by_sockets()
    assert {packet.ttl for packet in packets} == {64}  # RFC 1122 3.2.1.7, net.ipv4.ip_default_ttl
    assert {packet.ihl for packet in packets} == {5}
    assert {packet.tos for packet in packets} == {0}


@rule("RFC 1122 4.2.4.2", "The transport can set the TOS and the TTL of what it sends", code="ip/v4.py")
def test_ttl_and_tos_of_the_socket_are_in_the_header() -> None:
    host = raw_host()
    stream, plain = host.tcp(), host.udp()
    for sock in (stream, plain):
        sock.setsockopt(IPPROTO_IP, IP_TTL, 3)
        sock.setsockopt(IPPROTO_IP, IP_TOS, 0x10)
    host.connecting((PEER, 80), stream)
    plain.sendto(b"x", (PEER, 9))
    assert [(packet.ttl, packet.tos) for packet in host.wire.says()] == [(3, 0x10)] * 2


@rule("RFC 791 3.1", "The total length counts header and data", code="ip/v4.py")
def test_the_length_is_the_packets() -> None:
    host = raw_host()
    host.udp().sendto(bytes(100), (PEER, 9))
    (said,) = host.wire.says()
    assert (said.len, said[UDP].len) == (128, 108)
