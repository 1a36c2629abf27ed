"""The decoder that judges our frames is judged here, with frames that a third party made."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_RR
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from support.decode import RAW_IP, check_frame


def ether(**fields: Any) -> Packet:
    return Ether(**{"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02", **fields})


ETHER = ether()
V4 = IP(src="10.0.0.1", dst="10.0.1.2", id=7)
V6 = IPv6(src="fd00::1", dst="fd00:1::2")
SYN = TCP(sport=40000, dport=80, seq=0xFFFFFFF0, flags="S")
DATA = TCP(sport=40000, dport=80, seq=0xFFFFFFF0, ack=1, flags="PA")
SYN_OPTIONS = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (1, 0)), ("NOP", None), ("WScale", 7)]
SACK_OPTIONS = [("NOP", None), ("NOP", None), ("SAck", (1, 2, 3, 4))]

GOOD = {
    "arp": ETHER / ARP(hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", pdst="10.0.0.2"),
    "syn": ETHER / V4 / TCP(sport=40000, dport=80, seq=0xFFFFFFF0, flags="S", options=SYN_OPTIONS),
    "data": ETHER / V4 / DATA / Raw(b"seven!!"),
    "sack": ETHER / V4 / TCP(sport=1, dport=2, flags="A", options=SACK_OPTIONS),
    "reset": ETHER / V4 / TCP(sport=1, dport=2, flags="R"),
    "udp": ETHER / V4 / UDP(sport=53, dport=53) / Raw(b"odd"),
    "echo": ETHER / V4 / ICMP(type=8, id=1, seq=2) / Raw(b"ping"),
    "unreachable": ETHER / V4 / ICMP(type=3, code=3) / V4 / UDP(sport=1, dport=2) / Raw(b"lost"),
    "ip options": ETHER / IP(src="10.0.0.1", options=[IPOption_RR(routers=["0.0.0.0"])]) / SYN,
    "unknown protocol": ETHER / IP(src="10.0.0.1", dst="10.0.1.2", proto=253) / Raw(b"experiment"),
    "syn over IPv6": ETHER / V6 / SYN,
    "udp over IPv6": ETHER / V6 / UDP(sport=53, dport=53) / Raw(b"odd"),
    "echo over IPv6": ETHER / V6 / ICMPv6EchoRequest(id=1, seq=2, data=b"ping"),
    "fragment": ETHER / IP(src="10.0.0.1", dst="10.0.1.2", proto=17, frag=2) / Raw(b"the rest of it"),
    "fragment over IPv6": ETHER / V6 / IPv6ExtHdrFragment(nh=17, offset=2) / Raw(b"the rest of it"),
}
# Their checksums cover every octet after the Ethernet header, and no value of them is special.
COVERED = ["syn", "data", "sack", "echo"]

MACS = 12
L3 = 14


@pytest.mark.parametrize("name", GOOD)
def test_accepts_what_a_third_party_makes(name: str) -> None:
    frame = bytes(GOOD[name])
    check_frame(frame)
    if name != "arp":
        check_frame(frame[L3:], RAW_IP)


@pytest.mark.parametrize("name", GOOD)
def test_refuses_octets_after_the_end(name: str) -> None:
    with pytest.raises(AssertionError):
        check_frame(bytes(GOOD[name]) + b"\0")


@pytest.mark.parametrize("name", GOOD)
def test_refuses_every_truncation(name: str) -> None:
    frame = bytes(GOOD[name])
    for length in range(len(frame)):
        with pytest.raises(AssertionError):
            check_frame(frame[:length])


@pytest.mark.parametrize("name", COVERED)
def test_refuses_every_flipped_bit(name: str) -> None:
    frame = bytes(GOOD[name])
    for position in range(MACS * 8, len(frame) * 8):
        damaged = bytearray(frame)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(AssertionError):
            check_frame(bytes(damaged))


@given(st.binary(max_size=120), st.sampled_from([1, 101]))
def test_says_no_in_one_way(noise: bytes, linktype: int) -> None:
    with contextlib.suppress(AssertionError):
        check_frame(noise, linktype)


def tcp(flags: str = "A", area: bytes = b"", **fields: Any) -> Packet:
    """A segment whose checksums are right, whatever else is wrong; area is the options, as they are."""
    header = TCP(sport=1, dport=2, flags=flags, dataofs=5 + len(area) // 4, **fields)
    return ETHER / V4 / header / Raw(area)


def ip(**fields: Any) -> Packet:
    return ETHER / IP(src="10.0.0.1", dst="10.0.1.2", proto=253, **fields) / Raw(b"eleven in it")


def arp(**fields: Any) -> Packet:
    return ETHER / ARP(**{"hwsrc": "02:00:00:00:00:01", "psrc": "10.0.0.1", "pdst": "10.0.0.2", **fields})


WRONG = {
    "an option longer than the header": (tcp(area=b"\x08\x0a\0\0"), "option 8 has a bad length"),
    "an option of length zero": (tcp(area=b"\x08\x00\0\0"), "option 8 has a bad length"),
    "an option of length one": (tcp(area=b"\x08\x01\0\0"), "option 8 has a bad length"),
    "an option without a length": (tcp(area=b"\x01\x01\x01\x08"), "option 8 has a bad length"),
    "an option of another length": (tcp("S", area=b"\x02\x03\0\0"), "option 2 of 3 octets"),
    "an option for SYN only": (tcp(area=b"\x02\x04\x05\xb4"), "option 2 without SYN"),
    "an option twice": (tcp("S", area=b"\x02\x04\x05\xb4" * 2), "option 2 twice"),
    "options after their end": (tcp(area=b"\x00\x01\x01\x01"), "go on after their end"),
    "a header longer than the segment": (ETHER / V4 / TCP(dataofs=6, flags="A"), "TCP header length 24"),
    "a header shorter than the fields": (ETHER / V4 / TCP(dataofs=4, flags="A"), "no header of protocol 6"),
    "reserved bits": (tcp(reserved=1), "reserved TCP bits"),
    "SYN and FIN": (tcp("SF"), "TCP flags 0x03"),
    "SYN and RST": (tcp("SR"), "TCP flags 0x06"),
    "no flag at all": (tcp(""), "no ACK"),
    "an urgent pointer without URG": (tcp(urgptr=1), "urgent pointer"),
    "an acknowledgment without ACK": (tcp("S", ack=1), "acknowledgment number"),
    "a wrong UDP length": (ETHER / V4 / UDP(len=9) / Raw(b"ab"), "UDP length 9, in fact 10"),
    "a wrong UDP checksum": (ETHER / V4 / UDP(chksum=1), "protocol 17: checksum 0x0001"),
    "no UDP checksum over IPv6": (ETHER / IPv6(nh=17) / Raw(b"\0\1\0\2\0\x08\0\0"), "checksum 0x0000"),
    "a wrong ICMP checksum": (ETHER / V4 / ICMP(chksum=1), "protocol 1: checksum 0x0001"),
    "ICMPv6 in IPv4": (ETHER / IP(proto=58) / Raw(b"\x80\0\0\0\0\0\0\0"), "other IP version"),
    "TTL 0": (ip(ttl=0), "TTL 0"),
    "hop limit 0": (ETHER / IPv6(hlim=0, nh=59), "hop limit 0"),
    "the reserved flag": (ip(flags=4), "reserved IPv4 flag"),
    "a fragment with DF": (ip(flags=2, frag=1), "must not be one"),
    "a fragment of odd size": (ip(flags=1), "8-octet units"),
    "an IP version that is not the type's": (ether(type=0x86DD) / V4 / SYN, "version"),
    "another EtherType": (ether(type=0x88B5) / Raw(b"hello"), "EtherType 0x88b5"),
    "a group address as source": (ether(src="03:00:00:00:00:01") / V4 / SYN, "group address"),
    "an ARP operation": (arp(op=3), "ARP operation 3"),
    "ARP for something else": (ether(type=0x0806) / Raw(b"\0\6" + bytes(ARP())[2:]), "not for IPv4"),
    "another ARP sender": (arp(hwsrc="02:00:00:00:00:09"), "not the frame's source"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refuses(name: str) -> None:
    packet, complaint = WRONG[name]
    with pytest.raises(AssertionError, match=complaint):
        check_frame(bytes(packet))


def test_does_not_blame_a_router_for_a_damaged_payload() -> None:
    damaged = bytearray(bytes(GOOD["data"]))
    damaged[-1] ^= 1
    check_frame(bytes(damaged), forwarded=True)
    damaged[L3 + 8] ^= 1
    with pytest.raises(AssertionError, match="IPv4 header checksum"):
        check_frame(bytes(damaged), forwarded=True)


def test_refuses_another_link_type() -> None:
    with pytest.raises(AssertionError, match="link type 113"):
        check_frame(bytes(GOOD["data"]), 113)
