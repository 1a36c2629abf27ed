"""One line about a frame, whatever it is; the frames are made by a library that is not ours."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from aionetflow.cli.frames import describe

V4 = IP(src="10.0.0.1", dst="10.0.0.2")
V6 = IPv6(src="fe80::1", dst="::1")
LINES = {
    "TCP 10.0.0.1:4000 > 10.0.0.2:80 SYN seq 7 len 0": V4 / TCP(sport=4000, dport=80, seq=7, ack=9, flags="S"),
    "TCP 10.0.0.1:4000 > 10.0.0.2:80 PSH|ACK seq 7 ack 9 len 3":
        V4 / TCP(sport=4000, dport=80, seq=7, ack=9, flags="PA", options=[("MSS", 1460)]) / Raw(b"abc"),
    "TCP [fe80::1]:4000 > [::1]:80 RST seq 7 len 0": V6 / TCP(sport=4000, dport=80, seq=7, flags="R"),
    "UDP 10.0.0.1:53 > 10.0.0.2:5353 len 5": V4 / UDP(sport=53, dport=5353) / Raw(b"12345"),
    "UDP [fe80::1]:53 > [::1]:5353 len 5": V6 / UDP(sport=53, dport=5353) / Raw(b"12345"),
    "ICMP 10.0.0.1 > 10.0.0.2 echo request": V4 / ICMP(type=8),
    "ICMP 10.0.0.1 > 10.0.0.2 unreachable code 3": V4 / ICMP(type=3, code=3) / Raw(bytes(28)),
    "ICMP 10.0.0.1 > 10.0.0.2 type 17": V4 / ICMP(type=17) / Raw(bytes(12)),
    "ICMP fe80::1 > ::1 echo request": V6 / ICMPv6EchoRequest(),
    "IP 10.0.0.1 > 10.0.0.2 protocol 132 len 12": IP(src="10.0.0.1", dst="10.0.0.2", proto=132) / Raw(bytes(12)),
}  # fmt: skip


@pytest.mark.parametrize(("line", "packet"), LINES.items(), ids=LINES)
def test_a_packet_is_described_with_and_without_an_ethernet_header(line: str, packet: Packet) -> None:
    assert describe(bytes(packet), 0) == line
    assert describe(bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)) == line


def test_arp_is_described() -> None:
    header = Ether(src="02:00:00:00:00:01", dst="ff:ff:ff:ff:ff:ff")
    ask = ARP(op=1, hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", pdst="10.0.0.2")
    answer = ARP(op=2, hwsrc="02:00:00:00:00:02", psrc="10.0.0.2", pdst="10.0.0.1")
    assert describe(bytes(header / ask)) == "ARP who has 10.0.0.2? tell 10.0.0.1"
    assert describe(bytes(header / answer)) == "ARP 10.0.0.2 is at 02:00:00:00:00:02"


@pytest.mark.parametrize("packet", LINES.values(), ids=LINES)
def test_a_frame_that_is_cut_or_damaged_is_described_somehow(packet: Packet) -> None:
    whole = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / packet)
    for frame, start in ((whole, 14), (whole[14:], 0)):
        assert all(describe(frame[:length], start) == f"{length} octets" for length in range(len(frame)))
        for place in range(len(frame)):
            for value in (0x00, 0x40, 0xFF):
                assert describe(frame[:place] + bytes([value]) + frame[place + 1 :], start)
