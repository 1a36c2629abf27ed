"""IPv6 between the sockets of one host: every frame is read by scapy and by the suite's decoder."""

from __future__ import annotations

import errno

import pytest
from scapy.layers.inet import TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, IPv6
from scapy.packet import Packet, Raw

from aionetflow.config import LOOPBACK_MTU
from aionetflow.ip.address import AF_INET6
from aionetflow.socket.base import OUT
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import (
    IPPROTO_IPV6,
    IPV6_TCLASS,
    IPV6_UNICAST_HOPS,
    SO_ERROR,
    SOCK_DGRAM,
    SOCK_STREAM,
    SOL_SOCKET,
)
from aionetflow.socket.stream import StreamSocket
from support.decode import RAW_IP, check_frame
from support.lan import Host, raw_host
from support.rules import rule

LO6 = "::1"


class Loop:
    """A host, and all that has passed over its lo."""

    def __init__(self) -> None:
        self.host = raw_host()
        self.frames: list[bytes] = []
        self.host.stack.lo.taps.append(self._tap)

    def _tap(self, now: int, frame: bytes, outbound: bool) -> None:
        if outbound:
            check_frame(frame, RAW_IP)
            self.frames.append(frame)

    def said(self) -> list[Packet]:
        """What has been sent since the last time."""
        frames, self.frames = self.frames, []
        return [IPv6(frame) for frame in frames]

    def hears(self, *packets: Packet) -> list[Packet]:
        """Hands packets to lo, as one batch; returns what that called forth."""
        self.host.stack.lo.receive([bytes(packet) for packet in packets])
        return self.said()

    def udp(self) -> DatagramSocket:
        """An IPv6 datagram socket."""
        sock = self.host.stack.socket(AF_INET6, SOCK_DGRAM)
        assert isinstance(sock, DatagramSocket)
        return sock

    def tcp(self) -> StreamSocket:
        """An IPv6 stream socket."""
        sock = self.host.stack.socket(AF_INET6, SOCK_STREAM)
        assert isinstance(sock, StreamSocket)
        return sock

    def pair(self) -> tuple[StreamSocket, StreamSocket]:
        """Both ends of a connection."""
        listener, client = self.tcp(), self.tcp()
        listener.bind((LO6, 80))
        listener.listen(1)
        self.host.connecting((LO6, 80), client)
        accepted, _ = listener.accept()
        listener.close()
        self.said()
        return client, accepted


@rule(
    "RFC 8200 3", "The header has version 6, the payload's length, the next header and the hop limit",
    code="ip/v6.py",
)  # fmt: skip
def test_a_datagram_has_the_header_of_rfc_8200() -> None:
    loop = Loop()
    receiver, sender = loop.udp(), loop.udp()
    receiver.bind((LO6, 5000))
    sender.setsockopt(IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7)
    sender.setsockopt(IPPROTO_IPV6, IPV6_TCLASS, 0xA9)
    sender.sendto(b"data", (LO6, 5000))
    (packet,) = loop.said()
    assert (packet.version, packet.tc, packet.plen, packet.nh, packet.hlim) == (6, 0xA9, 12, 17, 7)
    assert (packet.src, packet.dst, packet[UDP].dport, packet[Raw].load) == (LO6, LO6, 5000, b"data")
    assert receiver.recvfrom(10) == (b"data", (LO6, packet[UDP].sport, 0, 0))
    stats = loop.host.stack.stats.as_dict()
    assert (stats["Udp6"]["InDatagrams"], stats["Udp6"]["OutDatagrams"]) == (1, 1)
    assert (stats["Ip6"]["InDelivers"], stats["Ip6"]["OutRequests"]) == (1, 1)
    assert stats["Udp"]["OutDatagrams"] == stats["Ip"]["OutRequests"] == 0


@rule("RFC 6437 3", "The packets of a flow have one flow label, those of others another", code="ip/v6.py")
def test_each_flow_has_its_label() -> None:
    loop = Loop()
    one, other = loop.udp(), loop.udp()
    for sock in (one, other):
        sock.bind((LO6, 0))
        sock.sendto(b"x", (LO6, 5000))
        sock.sendto(b"y", (LO6, 5000))
    labels = [packet.fl for packet in loop.said() if UDP in packet]
    assert labels[0] == labels[1] != labels[2] == labels[3]
    assert all(label >> 19 == 1 for label in labels)  # Linux IPV6_FLOWLABEL_STATELESS_FLAG


@pytest.mark.parametrize("size", [0, 1, 1232, LOOPBACK_MTU - 48, LOOPBACK_MTU - 47, 65527])
def test_datagrams_of_every_size(size: int) -> None:
    loop = Loop()
    receiver = loop.udp()
    receiver.bind((LO6, 5000))
    data = bytes(k * 7 & 255 for k in range(size))
    loop.udp().sendto(data, (LO6, 5000))
    assert receiver.recv(1 << 17) == data


def test_a_datagram_longer_than_a_packet_can_be_is_refused() -> None:
    with pytest.raises(OSError, match="too long") as failure:
        Loop().udp().sendto(bytes(65528), (LO6, 5000))
    assert failure.value.errno == errno.EMSGSIZE


@rule("RFC 8200 8.3", "The MSS is the MTU less the headers of IPv6 and TCP", code="tcp/connection.py")
def test_a_handshake_offers_the_mss_that_is_left_of_the_mtu() -> None:
    loop = Loop()
    listener = loop.tcp()
    listener.bind((LO6, 80))
    listener.listen(1)
    loop.host.connecting((LO6, 80), loop.tcp())
    syn, syn_ack, _ = loop.said()
    assert [str(packet[TCP].flags) for packet in (syn, syn_ack)] == ["S", "SA"]
    assert dict(syn[TCP].options)["MSS"] == 65535 - 60


def test_much_data_arrives_whole() -> None:
    loop = Loop()
    client, server = loop.pair()
    data = bytes(k * 11 & 255 for k in range(1_000_003))
    sent, received = 0, b""
    while len(received) < len(data):
        if sent < len(data) and client.events() & OUT:
            sent += client.send(data[sent:])
        try:
            received += server.recv(1 << 16)
        except BlockingIOError:
            loop.host.clock.advance(0.05)
    assert received == data
    assert all(packet.haslayer(TCP) for packet in loop.said())


def test_a_batch_of_segments_is_taken_as_one() -> None:
    loop = Loop()
    client, server = loop.pair()
    client.send(b"x")
    first = loop.said()[0]
    assert server.recv(10) == b"x"
    tcp = first[TCP]
    pieces = [
        IPv6(src=LO6, dst=LO6) / TCP(sport=tcp.sport, dport=tcp.dport, flags="A", seq=(tcp.seq + 1 + 100 * k) % 2**32,
                                     ack=tcp.ack, window=tcp.window) / Raw(bytes([k]) * 100)
        for k in range(5)
    ]  # fmt: skip
    server.setsockopt(6, 12, 0)  # TCP_QUICKACK
    before = loop.host.stack.stats.ip6.InReceives
    loop.hears(*pieces)
    assert server.recv(1000) == b"".join(bytes([k]) * 100 for k in range(5))
    # one run of five, and the acknowledgment
    assert loop.host.stack.stats.ip6.InReceives - before <= 2


def test_a_segment_to_a_closed_port_is_answered_with_a_rst() -> None:
    loop = Loop()
    client = loop.host.connecting((LO6, 81), loop.tcp())
    syn, rst = loop.said()
    assert (str(rst[TCP].flags), rst[TCP].ack) == ("RA", (syn[TCP].seq + 1) % 2**32)
    assert client.getsockopt(SOL_SOCKET, SO_ERROR) == errno.ECONNREFUSED


@rule("RFC 4443 3.1", "A datagram to a closed port is answered with port unreachable", code="ip/icmpv6.py")
def test_a_datagram_to_a_closed_port_is_answered_by_icmp() -> None:
    loop = Loop()
    sender = loop.udp()
    sender.connect((LO6, 81))
    sender.send(bytes(3000))
    packet, error = loop.said()
    assert (error[ICMPv6DestUnreach].code, error.hlim, error.src) == (4, 64, LO6)
    # RFC 4443 2.4 (c)
    assert len(error) == 1280
    assert bytes(error[ICMPv6DestUnreach])[8:] == bytes(packet)[:1232]
    with pytest.raises(ConnectionRefusedError):
        sender.send(b"again")
    assert loop.host.stack.stats.icmp6.OutDestUnreachs == loop.host.stack.stats.icmp6.InDestUnreachs == 1


def test_an_error_about_somebody_elses_datagram_is_not_told() -> None:
    loop = Loop()
    sender = loop.udp()
    sender.connect((LO6, 81))
    quote = IPv6(src=LO6, dst=LO6) / UDP(sport=sender.getsockname()[1], dport=82) / Raw(b"x")
    loop.hears(IPv6(src=LO6, dst=LO6) / ICMPv6DestUnreach(code=4) / quote)
    assert sender.getsockopt(SOL_SOCKET, SO_ERROR) == 0


@rule("RFC 4443 4.2", "An echo request is answered with all its data", code="ip/icmpv6.py")
def test_an_echo_is_answered() -> None:
    loop = Loop()
    (reply,) = loop.hears(IPv6(src=LO6, dst=LO6) / ICMPv6EchoRequest(id=7, seq=9, data=b"ping"))
    assert (reply[ICMPv6EchoReply].id, reply[ICMPv6EchoReply].seq, reply[ICMPv6EchoReply].data) == (7, 9, b"ping")
    assert loop.host.stack.stats.icmp6.InEchoReplies == 1


def damaged(packet: Packet, at: int, value: int) -> bytes:
    octets = bytearray(bytes(packet))
    octets[at] = value
    return bytes(octets)


UNANSWERED = {
    "a short header": (bytes(IPv6(src=LO6, dst=LO6))[:39], "Ip6", "InHdrErrors"),
    "a payload that is not there": (damaged(IPv6(src=LO6, dst=LO6) / UDP(), 5, 9), "Ip6", "InTruncatedPkts"),
    "another host": (bytes(IPv6(src=LO6, dst="2001:db8::1") / UDP()), "Ip6", "InAddrErrors"),
    "from a group": (bytes(IPv6(src="ff02::1", dst=LO6) / UDP()), "Ip6", "InAddrErrors"),
    "a wrong checksum": (damaged(IPv6(src=LO6, dst=LO6) / UDP() / Raw(b"x"), 46, 0x12), "Udp6", "InCsumErrors"),
    "no checksum": (bytes(IPv6(src=LO6, dst=LO6) / UDP(chksum=0) / Raw(b"x")), "Udp6", "InCsumErrors"),
    "a short message": (bytes(IPv6(src=LO6, dst=LO6, nh=58) / Raw(b"1234567")), "Icmp6", "InErrors"),
    "a damaged message": (damaged(IPv6(src=LO6, dst=LO6) / ICMPv6EchoRequest(), 42, 1), "Icmp6", "InCsumErrors"),
    "a quote that says nothing": (
        bytes(IPv6(src=LO6, dst=LO6) / ICMPv6DestUnreach(code=4) / Raw(b"x")), "Icmp6", "InErrors"
    ),
    "a source without a way back": (
        bytes(IPv6(src="2001:db8::1", dst=LO6) / ICMPv6EchoRequest()), "Icmp6", "OutErrors"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", UNANSWERED)
def test_bad_packets_are_counted_and_not_answered(what: str) -> None:
    frame, group, counter = UNANSWERED[what]
    loop = Loop()
    assert loop.hears(Raw(frame)) == []
    assert loop.host.stack.stats.as_dict()[group][counter] == 1


@pytest.mark.parametrize("address", ["2001:db8::1", "fd00::1", "::2", "fe80::1%lo"])
def test_there_is_no_route_to_anywhere_else(address: str) -> None:
    loop = Loop()
    for sock in (loop.tcp(), loop.udp()):
        with pytest.raises(OSError, match="unreachable") as failure:
            sock.connect((address, 80))
        assert failure.value.errno == errno.ENETUNREACH


def test_an_ipv6_address_on_a_wire_is_reached_from_the_host_alone() -> None:
    loop = Loop()
    loop.host.stack.add_address(loop.host.wire.interface, "2001:db8::1/64")
    receiver, sender = loop.udp(), loop.udp()
    receiver.bind(("2001:db8::1", 5000))
    sender.sendto(b"data", ("2001:db8::1", 5000))
    assert receiver.recvfrom(10)[1][0] == "2001:db8::1"
    assert loop.host.wire.says() == []


@rule("RFC 4291 2.5.3", "A packet from or to ::1 that comes from a link is dropped", code="ip/v6.py")
@pytest.mark.parametrize(("source", "destination"), [("2001:db8::2", LO6), (LO6, "2001:db8::1")])
def test_loopbacks_address_is_on_no_wire(source: str, destination: str) -> None:
    host = raw_host("2001:db8::1/64")
    receiver = host.stack.socket(AF_INET6, SOCK_DGRAM)
    receiver.bind(("::", 5000))
    assert host.wire.hears(bytes(IPv6(src=source, dst=destination) / UDP(dport=5000) / Raw(b"x"))) == []
    assert host.stack.stats.ip6.InAddrErrors == 1
    assert not receiver.events() & 1


def test_loopback_is_there_before_any_other_interface() -> None:
    host = Host()
    assert [str(route) for route in host.stack.routes if ":" in str(route)] == ["local ::1/128 dev lo src ::1"]
