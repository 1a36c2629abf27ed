"""A host under test, and the test as the rest of its network.

Host is one stack on a manual clock. Wire is one of its interfaces with the test plugged in: `hears` hands frames in,
`says` tells what came out, taken apart by scapy (and read by the suite's decoder, as every frame is). `plug` puts a
memory link between two interfaces instead.
"""

from __future__ import annotations

import random
import struct
from contextlib import suppress
from typing import Any

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from aionetflow.clock import ManualClock
from aionetflow.ethernet.interface import LINKTYPE_ETHERNET, EthernetInterface, Interface
from aionetflow.ethernet.neighbour import Neighbour
from aionetflow.ip.address import pack
from aionetflow.link.memory import MemoryLink
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.options import SOCK_DGRAM
from aionetflow.socket.stream import StreamSocket
from aionetflow.stack import Stack
from aionetflow.tcp.isn import InitialNumbers

Address = tuple[str, int]

SECOND = 1_000_000_000
ISS = 0xFFFFFFF0  # the test's own initial sequence number, and the host's: every connection crosses the wrap
OURS = "10.0.0.1"  # the host under test, unless a test says otherwise
PEER = "10.0.0.2"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


class Numbers(InitialNumbers):
    """Initial sequence numbers that are all ISS."""

    def initial(self, key: bytes, now: int) -> int:
        """ISS."""
        return ISS


def mac(number: int) -> str:
    """The MAC of the host whose address ends in that number."""
    return f"02:00:00:00:{number >> 8:02x}:{number & 255:02x}"


def mac_octets(number: int) -> bytes:
    """The same as octets."""
    return bytes((2, 0, 0, 0, number >> 8, number & 255))


class Wire:
    """One interface of a host under test; at the other end is the test."""

    def __init__(self, host: Host, interface: Interface) -> None:
        self.host = host
        self.interface = interface

    def hears(self, *packets: Packet | bytes) -> list[Packet]:
        """Hands frames in, as one batch, and returns what was said at once."""
        self.interface.receive([bytes(packet) for packet in packets])
        return self.says()

    def says(self) -> list[Packet]:
        """What the host has sent here since it was last asked."""
        return [packet for _, packet in self.says_when()]

    def says_when(self) -> list[tuple[float, Packet]]:
        """The same, each with the second at which it was sent."""
        said = self.interface.sent[:]
        self.interface.sent.clear()
        decode = Ether if self.interface.linktype == LINKTYPE_ETHERNET else IP
        return [(when / SECOND, decode(frame)) for when, frame in said]

    def neighbour(self, address: str) -> Neighbour | None:
        """The host's entry for a neighbour on this Ethernet."""
        assert isinstance(self.interface, EthernetInterface)
        return self.interface.neighbours.entries.get(pack(address))

    def learns(self, number: int, address: str = "") -> None:
        """Lets the host hear a neighbour's question, so that it knows its MAC without asking."""
        own = next(entry.address for entry in self.interface.addresses)
        self.hears(question(number, ".".join(map(str, own)), address or f"10.0.0.{number}"))


class Host:
    """One stack, its manual clock and its wires."""

    def __init__(self, clock: ManualClock | None = None, seed: int = 1) -> None:
        self.clock = clock or ManualClock()
        self.stack = Stack(self.clock, random.Random(seed))
        self.stack.isn = Numbers(random.Random(seed))
        self.wires: list[Wire] = []

    @property
    def wire(self) -> Wire:
        """The only wire there is, or the first."""
        return self.wires[0]

    def raw(self, *addresses: str, mtu: int = 1500) -> Wire:
        """One more interface that carries bare IP packets."""
        return self._plugged(self.stack.attach_raw(f"tun{len(self.wires)}", mtu), addresses)

    def ethernet(self, *addresses: str, number: int = 1, mtu: int = 1500) -> Wire:
        """One more Ethernet interface, with the MAC of that number; what it announces is not kept."""
        return self._plugged(self.stack.attach_ethernet(f"eth{len(self.wires)}", mac_octets(number), mtu), addresses)

    def udp(self, *address: Address) -> DatagramSocket:
        """A datagram socket, bound if an address is given."""
        sock = self.stack.socket(kind=SOCK_DGRAM)
        assert isinstance(sock, DatagramSocket)
        for each in address:
            sock.bind(each)
        return sock

    def tcp(self, *address: Address) -> StreamSocket:
        """A stream socket, bound if an address is given."""
        sock = self.stack.socket()
        assert isinstance(sock, StreamSocket)
        for each in address:
            sock.bind(each)
        return sock

    def listening(self, address: Address, backlog: int = 16) -> StreamSocket:
        """A stream socket that accepts connections."""
        sock = self.tcp(address)
        sock.listen(backlog)
        return sock

    def connecting(self, address: Address = (PEER, 80), sock: StreamSocket | None = None) -> StreamSocket:
        """A stream socket whose handshake has begun."""
        sock = sock or self.tcp()
        with suppress(BlockingIOError):
            sock.connect(address)
        return sock

    def connected(self, address: Address = (PEER, 80)) -> tuple[StreamSocket, Packet]:
        """A stream socket whose handshake with the test, over the first wire, is done; and its SYN."""
        sock = self.connecting(address)
        (syn,) = self.wire.says()
        self.wire.hears(back(syn, TCP(flags="SA", seq=ISS, options=[("MSS", 1460)])))
        sock.connect(address)
        return sock, syn

    def _plugged(self, interface: Interface, addresses: tuple[str, ...]) -> Wire:
        for address in addresses:
            self.stack.add_address(interface, address)
        interface.sent.clear()
        self.wires.append(Wire(self, interface))
        return self.wires[-1]


def raw_host(*addresses: str, mtu: int = 1500) -> Host:
    """A host with one raw interface, 10.0.0.1/24 unless told."""
    host = Host()
    host.raw(*(addresses or (OURS + "/24",)), mtu=mtu)
    return host


def ethernet_host(*addresses: str, mtu: int = 1500) -> Host:
    """A host with one Ethernet interface, 10.0.0.1/24 unless told."""
    host = Host()
    host.ethernet(*(addresses or (OURS + "/24",)), mtu=mtu)
    return host


def plug(a: Wire, b: Wire, **settings: Any) -> MemoryLink:
    """Puts a memory link between two interfaces."""
    link = MemoryLink(a.host.clock, random.Random(7), f"{a.interface.name}-{b.interface.name}", **settings)
    for wire, end in ((a, link.a), (b, link.b)):
        wire.interface.link = end
        end.attach(wire.interface)
    return link


# ---- frames


def ether(source: int = 2, destination: int = 1, **fields: Any) -> Packet:
    """An Ethernet header between two hosts of the network."""
    return Ether(**{"src": mac(source), "dst": mac(destination), **fields})


def ip(source: str = PEER, destination: str = OURS, **fields: Any) -> Packet:
    """An IP header, from the peer to the host unless told."""
    return IP(src=source, dst=destination, **fields)


def datagram(data: bytes = b"data", sport: int = 4000, dport: int = 5000, **fields: Any) -> Packet:
    """A UDP datagram, without what carries it."""
    return UDP(sport=sport, dport=dport, **fields) / Raw(data)


def back(packet: Packet, transport: Packet) -> Packet:
    """A segment of the test's to whoever sent the packet, which it acknowledges unless told otherwise."""
    sent = packet[TCP]
    transport.sport, transport.dport = sent.dport, sent.sport
    if transport.flags.A and transport.ack == 0:
        taken = len(sent.payload) + bool(sent.flags.S) + bool(sent.flags.F)
        transport.ack = (sent.seq + taken) & 0xFFFFFFFF
    return IP(src=packet[IP].dst, dst=packet[IP].src) / transport


def icmp(kind: int, code: int = 0, info: int = 0, data: bytes = b"") -> Packet:
    """An ICMP message, without the IP header: its second word is info."""
    message = struct.pack(">BBHI", kind, code, 0, info) + data
    return Raw(message[:2] + checksum(message) + message[4:])


def icmp_error(about: Packet, kind: int = 3, code: int = 1, info: int = 0, source: str = PEER) -> Packet:
    """What a router says of a packet of the host's: its header and eight octets are quoted (RFC 792)."""
    packet = about[IP]
    quote = bytes(packet)[: packet.ihl * 4 + 8]
    return IP(src=source, dst=packet.src, proto=1) / icmp(kind, code, info, quote)


def checksum(octets: bytes) -> bytes:
    """RFC 1071's sum, the slow and obvious way."""
    padded = octets + b"\0" * (len(octets) % 2)
    total = sum(int.from_bytes(padded[i : i + 2], "big") for i in range(0, len(padded), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return (~total & 0xFFFF).to_bytes(2, "big")


def arp(operation: int, sender: int, address: str, target: str, **fields: Any) -> Packet:
    """An ARP packet of a neighbour's, to all unless told."""
    frame = {"dst": fields.pop("dst", EVERYBODY), "src": mac(sender)}
    said = {"hwsrc": mac(sender), "psrc": address, "hwdst": "00:00:00:00:00:00", "pdst": target, **fields}
    return Ether(**frame) / ARP(op=operation, **said)


def question(sender: int, target: str = OURS, address: str = "", **fields: Any) -> Packet:
    """Who has target? Tell 10.0.0.sender."""
    return arp(1, sender, address or f"10.0.0.{sender}", target, **fields)


def answer(sender: int, address: str = "", to: int = 1, target: str = OURS, **fields: Any) -> Packet:
    """10.0.0.sender is at the MAC of that number."""
    said = {"hwdst": mac(to), "dst": mac(to), **fields}
    return arp(2, sender, address or f"10.0.0.{sender}", target, **said)
