"""What is read in a frame to be told: the fields of a TCP segment, and one line about whatever it is."""

from typing import NamedTuple

from aionetflow.ethernet import arp
from aionetflow.ethernet.frame import ETHERTYPE_IPV4, ETHERTYPE_IPV6, HEADER_LENGTH, mac_text
from aionetflow.fast import get16, get32
from aionetflow.ip import icmp, icmpv6, ndp
from aionetflow.ip.address import unpack
from aionetflow.ip.v4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP
from aionetflow.ip.v6 import HEADER_LENGTH as HEADER_LENGTH_6
from aionetflow.ip.v6 import PROTOCOL_ICMPV6
from aionetflow.tcp import options
from aionetflow.tcp.segment import ACK, FIN, SYN, flag_names
from aionetflow.tcp.sequence import seq_add

_IP_TYPES = {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}  # by IP version
_ICMP = {
    (PROTOCOL_ICMP, icmp.ECHO): "echo request", (PROTOCOL_ICMP, icmp.ECHO_REPLY): "echo reply",
    (PROTOCOL_ICMP, icmp.DESTINATION_UNREACHABLE): "unreachable", (PROTOCOL_ICMP, icmp.TIME_EXCEEDED): "time exceeded",
    (PROTOCOL_ICMPV6, icmpv6.ECHO): "echo request", (PROTOCOL_ICMPV6, icmpv6.ECHO_REPLY): "echo reply",
    (PROTOCOL_ICMPV6, icmpv6.DESTINATION_UNREACHABLE): "unreachable",
    (PROTOCOL_ICMPV6, icmpv6.PACKET_TOO_BIG): "packet too big",
    (PROTOCOL_ICMPV6, icmpv6.TIME_EXCEEDED): "time exceeded",
    (PROTOCOL_ICMPV6, icmpv6.PARAMETER_PROBLEM): "parameter problem",
    (PROTOCOL_ICMPV6, ndp.ROUTER_SOLICITATION): "router solicitation",
    (PROTOCOL_ICMPV6, ndp.ROUTER_ADVERTISEMENT): "router advertisement",
}  # fmt: skip
_NEIGHBOUR = {ndp.SOLICITATION: "who has", ndp.ADVERTISEMENT: "I have", ndp.REDIRECT: "redirect to"}


class IpPacket(NamedTuple):
    """An IP packet in a frame; start, payload and stop are places in the frame."""

    source: bytes
    destination: bytes
    protocol: int
    start: int
    payload: int
    stop: int


class TcpFrame(NamedTuple):
    """One TCP segment, in its packet, in its frame."""

    destination_mac: bytes
    source_mac: bytes
    ident: int
    ttl: int
    ip_checksum: int
    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    seq: int
    ack: int
    flags: int
    window: int  # as in the header: not scaled
    length: int  # octets of payload
    mss: int  # from the options; 0: not there
    window_scale: int  # from the options; -1: not there

    @property
    def end(self) -> int:
        """The sequence number after the segment, SYN and FIN counted."""
        return seq_add(self.seq, self.length + bool(self.flags & SYN) + bool(self.flags & FIN))

    @property
    def occupies(self) -> bool:
        """Whether it has sequence numbers of its own, and so is sent again if it is lost."""
        return self.end != self.seq

    @property
    def names(self) -> str:
        """The flags in words: "SYN ACK"."""
        return flag_names(self.flags).replace("|", " ")


def read_packet(frame: bytes, start: int = HEADER_LENGTH) -> IpPacket | None:
    """The IP packet that begins at octet `start` of a frame; None if there is none that is whole."""
    if len(frame) < start + 20:
        return None
    version = frame[start] >> 4
    if start == HEADER_LENGTH and get16(frame, 12) != _IP_TYPES.get(version):
        return None
    if version == 4:
        addresses, payload, stop = start + 12, start + (frame[start] & 15) * 4, start + get16(frame, start + 2)
        size, protocol = 4, frame[start + 9]
    elif version == 6 and len(frame) >= start + HEADER_LENGTH_6:
        addresses, payload = start + 8, start + HEADER_LENGTH_6
        stop = payload + get16(frame, start + 4)
        size, protocol = 16, frame[start + 6]
    else:
        return None
    if not start + 20 <= payload <= stop <= len(frame):
        return None
    middle = addresses + size
    return IpPacket(frame[addresses:middle], frame[middle : middle + size], protocol, start, payload, stop)


def read_tcp(frame: bytes, start: int = HEADER_LENGTH) -> TcpFrame | None:
    """The TCP segment in the packet at octet `start` of a frame; None if there is none that is whole."""
    packet = read_packet(frame, start)
    if packet is None or packet.protocol != PROTOCOL_TCP:
        return None
    tcp, stop = packet.payload, packet.stop
    if tcp + 20 > stop:
        return None
    payload = tcp + (frame[tcp + 12] >> 4) * 4
    if payload < tcp + 20 or payload > stop:
        return None
    offered = options.parse(frame, tcp + 20, payload)
    ident, ttl, checksum = 0, frame[start + 7], 0  # as in IPv6
    if len(packet.source) == 4:
        ident, ttl, checksum = get16(frame, start + 4), frame[start + 8], get16(frame, start + 10)
    return TcpFrame(
        frame[:6], frame[6:12], ident, ttl, checksum, packet.source, packet.destination, get16(frame, tcp),
        get16(frame, tcp + 2), get32(frame, tcp + 4), get32(frame, tcp + 8), frame[tcp + 13], get16(frame, tcp + 14),
        stop - payload, offered.mss, offered.window_scale,
    )  # fmt: skip


def describe(frame: bytes, start: int = HEADER_LENGTH) -> str:
    """What a frame is, in one line; `start` is where its IP packet begins: 0 if it has no Ethernet header.

    >>> describe(arp.request(bytes(6), bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])))
    'ARP who has 10.0.0.2? tell 10.0.0.1'
    """
    heard = arp.parse(frame) if start else None
    if heard is not None:
        if heard.operation == arp.REPLY:
            return f"ARP {unpack(heard.sender)} is at {mac_text(heard.sender_mac)}"
        return f"ARP who has {unpack(heard.target)}? tell {unpack(heard.sender)}"
    packet = read_packet(frame, start)
    if packet is None:
        return f"{len(frame)} octets"
    seen = read_tcp(frame, start)
    if seen is not None:
        ack = f" ack {seen.ack}" if seen.flags & ACK else ""
        return f"TCP {_ends(packet, frame)} {flag_names(seen.flags)} seq {seen.seq}{ack} len {seen.length}"
    place, length = packet.payload, packet.stop - packet.payload
    if packet.protocol == PROTOCOL_UDP and length >= 8:
        return f"UDP {_ends(packet, frame)} len {length - 8}"
    between = f"{unpack(packet.source)} > {unpack(packet.destination)}"
    if packet.protocol == PROTOCOL_ICMPV6 and length >= 24 and frame[place] in _NEIGHBOUR:
        return f"ICMP {between} {_NEIGHBOUR[frame[place]]} {unpack(frame[place + 8 : place + 24])}"
    if packet.protocol in (PROTOCOL_ICMP, PROTOCOL_ICMPV6) and length >= 8:
        kind, code = frame[place], frame[place + 1]
        return f"ICMP {between} {_ICMP.get((packet.protocol, kind), f'type {kind}')}{f' code {code}' if code else ''}"
    return f"IP {between} protocol {packet.protocol} len {length}"


def _ends(packet: IpPacket, frame: bytes) -> str:
    """Both ends of a segment or datagram: addresses and ports."""
    ports = get16(frame, packet.payload), get16(frame, packet.payload + 2)
    hosts = (f"[{unpack(ip)}]" if len(ip) == 16 else unpack(ip) for ip in (packet.source, packet.destination))
    return " > ".join(f"{host}:{port}" for host, port in zip(hosts, ports, strict=True))
