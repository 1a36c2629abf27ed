"""Which frames an Ethernet interface takes in, which it drops, and what it counts (RFC 894, RFC 1122 2.3.3)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from aionetflow.config import NEVER
from support.lan import EVERYBODY, OURS, PEER, datagram, ether, ethernet_host, ip, mac, question, raw_host
from support.rules import rule

TO_US = ip() / datagram(b"hello")


def test_a_frame_for_our_mac_is_delivered_and_counted() -> None:
    host = ethernet_host()
    sock = host.udp((OURS, 5000))
    frame = ether() / TO_US
    host.wire.hears(frame)
    assert sock.recvfrom(100) == (b"hello", (PEER, 4000))
    counters = host.wire.interface.counters()
    assert (counters["rx_packets"], counters["rx_bytes"]) == (1, len(bytes(frame)))
    assert counters["rx_otherhost_dropped"] == counters["rx_dropped"] == counters["rx_errors"] == 0


def test_a_frame_for_another_mac_is_dropped_and_counted() -> None:
    host = ethernet_host()
    sock = host.udp((OURS, 5000))
    assert host.wire.hears(ether(2, 3) / TO_US) == []
    with pytest.raises(BlockingIOError):
        sock.recv(100)
    assert host.wire.interface.counters()["rx_otherhost_dropped"] == 1
    assert host.stack.stats.ip.InReceives == 0


def test_a_question_in_a_frame_for_another_mac_is_not_answered() -> None:
    host = ethernet_host()
    assert host.wire.hears(question(2, dst=mac(3))) == []
    assert host.wire.neighbour(PEER) is None


def test_a_broadcast_frame_is_taken() -> None:
    host = ethernet_host()
    sock = host.udp(("", 5000))
    host.wire.hears(ether(dst=EVERYBODY) / ip(destination="10.0.0.255") / datagram(b"all"))
    assert sock.recv(100) == b"all"


@pytest.mark.parametrize("length", range(14))
def test_a_runt_is_counted_as_an_error(length: int) -> None:
    host = ethernet_host()
    assert host.wire.hears(bytes(ether() / TO_US)[:length]) == []
    assert host.wire.interface.counters()["rx_errors"] == 1


@pytest.mark.parametrize("length", range(14, 14 + 28))
def test_a_frame_cut_short_is_dropped_without_harm(length: int) -> None:
    host = ethernet_host()
    sock = host.udp((OURS, 5000))
    assert host.wire.hears(bytes(ether() / TO_US)[:length]) == []
    with pytest.raises(BlockingIOError):
        sock.recv(100)
    assert host.stack.stats.ip.InHdrErrors == 1


@pytest.mark.parametrize("length", range(14, 14 + 28))
def test_an_arp_packet_cut_short_is_an_error(length: int) -> None:
    host = ethernet_host()
    assert host.wire.hears(bytes(question(2))[:length]) == []
    assert host.wire.interface.counters()["rx_errors"] == 1


STRANGE = {
    "unknown": Ether(type=0x88B5) / Raw(b"experiment"),
    "loop test": Ether(type=0x9000) / Raw(bytes(46)),
    "IEEE 802.3 length": Ether(type=46) / Raw(bytes(46)),
    "VLAN": Dot1Q(vlan=7) / TO_US,
    "RARP": Ether(type=0x8035) / ARP(op=3),
}


@pytest.mark.parametrize("name", STRANGE)
def test_an_ethertype_that_nobody_speaks_is_dropped_and_counted(name: str) -> None:
    host = ethernet_host()
    packet = STRANGE[name]
    frame = ether() / packet if name == "VLAN" else Ether(src=mac(2), dst=mac(1), type=packet.type) / packet.payload
    assert host.wire.hears(frame) == []
    counters = host.wire.interface.counters()
    assert (counters["rx_packets"], counters["rx_dropped"]) == (1, 1)
    assert host.stack.stats.ip.InReceives == 0


def test_an_ipv4_packet_under_the_type_of_ipv6_is_not_delivered() -> None:
    # RFC 894 and RFC 2464 3: the type says which protocol it is
    host = ethernet_host()
    sock = host.udp((OURS, 5000))
    host.wire.hears(ether(type=0x86DD) / Raw(bytes(TO_US)))
    with pytest.raises(BlockingIOError):
        sock.recv(100)


def test_an_ipv6_packet_for_a_host_without_ipv6_is_dropped_without_an_answer() -> None:
    host = ethernet_host()
    packet = IPv6(src="fe80::2", dst="fe80::1") / UDP(sport=1, dport=2) / Raw(b"six")
    assert host.wire.hears(ether() / packet, ether(type=0x0800) / Raw(bytes(packet))) == []


@rule("RFC 894 Frame Format", "Padding is not part of the IP packet", code="ip/v4.py")
@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"E"])
def test_padding_is_tolerated_and_is_not_data(filler: bytes) -> None:
    # RFC 894: padding is no part of the IP packet, whose own length field tells
    host = ethernet_host()
    sock = host.udp((OURS, 5000))
    frame = bytes(ether() / ip() / datagram(b"abc"))
    host.wire.hears(frame + filler * (60 - len(frame)), bytes(ether() / TO_US) + filler * 700)
    assert [sock.recv(100), sock.recv(100)] == [b"abc", b"hello"]


def test_a_padded_question_is_answered_with_a_frame_that_is_not_padded() -> None:
    host = ethernet_host()
    (said,) = host.wire.hears(bytes(question(2)) + bytes(18))
    assert (said[ARP].op, said[ARP].psrc, said[ARP].hwsrc, said[ARP].hwdst) == (2, OURS, mac(1), mac(2))
    assert len(bytes(said)) == 42


def test_a_padded_segment_without_data_carries_none() -> None:
    host = ethernet_host()
    server = host.listening((OURS, 80))
    syn = ether() / ip() / TCP(sport=4000, dport=80, flags="S", seq=0xFFFFFFF0)
    (syn_ack,) = host.wire.hears(question(2), bytes(syn) + bytes(6))[1:]
    ack = TCP(sport=4000, dport=80, flags="A", seq=0xFFFFFFF1, ack=(syn_ack[TCP].seq + 1) & 0xFFFFFFFF)
    host.wire.hears(bytes(ether() / ip() / ack) + b"XXXXXX")
    sock, _ = server.accept()
    with pytest.raises(BlockingIOError):
        sock.recv(100)


@rule("RFC 894 Frame Format", "IP packets go in frames of type 0x0800", code="ethernet/frame.py")
def test_what_is_sent_goes_to_the_next_hops_mac_unpadded() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    host.udp().sendto(b"x", (PEER, 9))
    (said,) = host.wire.says()
    assert (said.dst, said.src, said.type) == (mac(2), mac(1), 0x0800)
    assert len(bytes(said)) == 14 + 20 + 8 + 1
    assert host.wire.interface.counters()["tx_packets"] == 3  # announcement, answer, and this


def test_an_interface_that_is_down_neither_hears_nor_speaks() -> None:
    host = ethernet_host()
    host.wire.learns(2)
    sock = host.udp(("", 5000))
    host.stack.set_up(host.wire.interface, False)
    assert host.wire.hears(ether() / TO_US, question(2)) == []
    assert host.wire.interface.counters()["rx_dropped"] == 2
    with pytest.raises(BlockingIOError):
        sock.recv(100)
    host.stack.set_up(host.wire.interface, True)
    assert [frame[ARP].psrc for frame in host.wire.says()] == [OURS]  # it tells the neighbours again
    host.wire.hears(ether() / TO_US)
    assert sock.recv(100) == b"hello"


def test_a_batch_is_taken_in_order_whatever_is_among_it() -> None:
    host = ethernet_host()
    sock = host.udp((OURS, 5000))
    good = [ether() / ip() / datagram(bytes([n])) for n in range(8)]
    batch: list[Packet | bytes] = [b"", ether(2, 3) / TO_US, question(2), Ether(dst=mac(1), type=0x88B5) / Raw(b"?")]
    mixed = [frame for pair in zip(good[:4], batch, strict=True) for frame in pair] + good[4:]
    host.wire.hears(*mixed)
    assert [sock.recv(9) for _ in range(8)] == [bytes([n]) for n in range(8)]


def test_a_tap_sees_both_directions_with_the_time() -> None:
    host = ethernet_host()
    seen: list[tuple[int, int, bool]] = []
    host.wire.interface.taps.append(lambda when, frame, out: seen.append((when, len(frame), out)))
    host.clock.advance(1.5)
    host.wire.hears(question(2))
    assert seen == [(1_500_000_000, 42, False), (1_500_000_000, 42, True)]


def test_a_raw_interface_carries_bare_packets() -> None:
    host = raw_host()
    assert host.stack.deadline() == NEVER
    sock = host.udp((OURS, 5000))
    host.wire.hears(TO_US)
    assert sock.recv(9) == b"hello"
    sock.sendto(b"back", (PEER, 4000))
    (said,) = host.wire.says()
    assert (said[IP].src, said[IP].dst, bytes(said[UDP].payload)) == (OURS, PEER, b"back")
