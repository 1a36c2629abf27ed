"""IPv6: headers in and out, delivery to the transports, forwarding between interfaces (RFC 8200, RFC 4291).

     0               1               2               3
    +-------+---------------+---------------------------------------+
  0 |   6   | traffic class |              flow label               |
    +-------+---------------+-------+---------------+---------------+
  4 |        payload length         |  next header  |   hop limit   |
    +-------------------------------+---------------+---------------+
  8 |                     source address (16)                       |
    +---------------------------------------------------------------+
 24 |                  destination address (16)                     |
    +---------------------------------------------------------------+

Extension headers (extension.py) are passed on the way to the transport's; a fragment goes to `fragments`.
"""

from typing import Any

from aionetflow.ethernet.interface import Interface
from aionetflow.fast import equal, get16, get32, part, put_ipv6_header, segment
from aionetflow.fast_paths import FAST
from aionetflow.ip import extension
from aionetflow.ip.address import AF_INET6, ANY, LOOPBACK, MAPPED, bare, is_scoped, scope_of, scoped
from aionetflow.ip.route import LOCAL, UNREACHABLE, Route, RoutingTable
from aionetflow.ip.v4 import looped_copy
from aionetflow.packet import PacketHandler, RxPacket, TxPacket
from aionetflow.stats import Ip6Stats
from aionetflow.widths import i64, u32

HEADER_LENGTH = 40
MIN_MTU = 1280  # RFC 8200 5: every link takes that much
PROTOCOL_ICMPV6 = 58
_TCP = 6
_M32 = 0xFFFFFFFF
_GOLDEN = 0x9E3779B1  # 2**32 divided by the golden ratio: odd, its bits without a pattern ...
_MIXED = 0x85EBCA6B  # ... and another such number
_HOP_BY_HOP = extension.HOP_BY_HOP
_LOOPBACK = LOOPBACK[AF_INET6]
_ANY = ANY[AF_INET6]


class Icmp6Errors:
    """What the IPv6 layer needs of ICMPv6: telling a sender what became of its packet (see ip/icmpv6.py)."""

    def parameter_problem(self, packet: RxPacket, code: int, pointer: int, now: i64) -> None:
        """Something in the headers is not understood; pointer is where in the packet it stands."""

    def time_exceeded(self, packet: RxPacket, now: i64) -> None:
        """The hop limit ran out on the way."""

    def packet_too_big(self, packet: RxPacket, mtu: int, now: i64) -> None:
        """The packet is longer than the next link's MTU."""

    def no_route(self, packet: RxPacket, now: i64) -> None:
        """There is no route."""

    def beyond_scope(self, packet: RxPacket, now: i64) -> None:
        """The source address means nothing where the packet would go."""

    def address_unreachable(self, frame: bytes, l3: int, now: i64) -> None:
        """The next hop does not answer."""

    def redirect(self, packet: RxPacket, route: Route, now: i64) -> None:
        """The packet leaves by the interface that it came by: its sender has a better way."""


class Fragments:
    """What the IPv6 layer needs of reassembly: somebody who takes a fragment that was sent to this host."""

    def take(self, packet: RxPacket, at: int, named_at: int, now: i64) -> bool:
        """Takes a packet whose fragment header is at `at`, named by the octet at named_at.

        Returns whether it did; a packet that it completes comes back by `IPv6.receive`.
        """
        return False

    def cut(self, packet: bytes, mtu: int) -> list[bytes]:
        """The fragments of a packet, none longer than mtu octets."""
        return []


def flow_label(source: bytes, destination: bytes, ports: u32) -> u32:
    """The label of a flow's packets: the same for all, another for others (RFC 6437 3, net.ipv6.auto_flowlabels).

    The hash is ours; that the first bit is set is Linux's mark of a label without state.
    """
    mixed: u32 = (get32(source, 12) * _GOLDEN & _M32) ^ (get32(destination, 12) * _MIXED & _M32) ^ ports
    return ((mixed * _GOLDEN & _M32) >> 13) | 0x80000


class IPv6(PacketHandler):
    """The IPv6 layer of one host."""

    def __init__(self, routes: RoutingTable, stats: Ip6Stats) -> None:
        self.routes = routes
        self.stats = stats
        self.handlers: dict[int, PacketHandler] = {}  # by protocol number
        self.errors = Icmp6Errors()
        self.fragments = Fragments()
        self._joined = RxPacket()
        self._looped_packet = RxPacket()
        self.looped: list[tuple[Interface, bytes]] = []  # packets to groups that are to be heard on this host too
        self.loopback: Interface | None = None  # the interface whose packets are our own
        self.forwarding = False
        # of the last packet that was for this host: where it came in, who took it, and its addresses
        self._last_handler = PacketHandler()
        self._last_protocol = -1
        self._last_interface: object = None
        self._last_version: i64 = -1  # of the routes that said so
        self._last_source = self._last_destination = self._last_addresses = b""

    def receive(self, packet: RxPacket, now: i64) -> None:
        """Takes a packet, finds how many of the frames behind it continue it, and delivers or forwards them."""
        self.stats.InReceives += 1
        if not self._parse(packet):
            return
        if FAST.last_addresses and self._has_last_addresses(packet):
            packet.source, packet.destination = self._last_source, self._last_destination
            self.stats.InDelivers += 1
            self._last_handler.receive(packet, now)
            return
        if not self._take_addresses(packet):
            self.stats.InAddrErrors += 1
            return
        if packet.protocol == _HOP_BY_HOP and not self._pass_header(packet, packet.l3 + 6, now):
            return
        destination = packet.destination
        if destination[0] == 0xFF:
            self._receive_group(packet, now)
            return
        route = self.routes.lookup(destination)
        if route is not None and route.kind == LOCAL:
            self._deliver(packet, now)
            self._remember(packet)
        elif self.forwarding and not packet.broadcast and not is_scoped(destination):
            self._forward(packet, route, destination, now)
        else:
            self.stats.InAddrErrors += 1

    def output(self, packet: TxPacket, route: Route, source: bytes, destination: bytes, now: i64) -> None:
        """Writes the header in front of a transport's and hands the packet to the route's interface."""
        packet.l3 = packet.l4 - 40
        flow = packet.tos << 20 | flow_label(source, destination, get32(packet.header, packet.l4))
        put_ipv6_header(packet.header, packet.l3, flow, packet.ttl, packet.protocol, source, destination)
        self.stats.OutRequests += 1
        if destination[0] == 0xFF and route.interface is not self.loopback:  # Linux ip6_finish_output2
            if packet.loop and bare(destination) in route.interface.groups:
                self.looped.append((route.interface, looped_copy(packet)))
            if packet.ttl == 0:
                return  # it stays on this host
        if packet.mss <= 0 and packet.l5 - packet.l3 + packet.length > (packet.mtu or route.path_mtu(now)):
            self._output_in_pieces(packet, route, destination, now)
            return
        route.interface.output(packet, route.via or destination, now)  # which writes the payload's length

    def _output_in_pieces(self, packet: TxPacket, route: Route, destination: bytes, now: i64) -> None:
        """RFC 8200 4.5: only whoever sends a packet may cut it."""
        (whole,) = segment(
            packet.header, packet.l3, packet.l3, packet.l4, packet.l5, packet.payload, packet.start, packet.length, 0, 0
        )  # fmt: skip
        pieces = self.fragments.cut(whole, max(packet.mtu or route.path_mtu(now), MIN_MTU))
        self.stats.FragOKs += 1
        self.stats.FragCreates += len(pieces)
        route.interface.output_whole(pieces, route.via or destination, now)

    def take_looped(self, interface: Interface, frame: bytes, now: i64) -> None:
        """Receives a packet of this host's to a group on an interface, as if it had come in there."""
        packet = self._looped_packet
        packet.take(interface, [frame], 0, 0, 0, True)
        self.receive(packet, now)

    def deliver_whole(self, frame: bytes, piece: RxPacket, now: i64) -> None:
        """Delivers a packet that was put together; piece is the last of its fragments."""
        packet = self._joined
        packet.take(piece.interface, [frame], 0, 0, 0, piece.broadcast)
        packet.source, packet.destination = piece.source, piece.destination
        if self._parse(packet):
            self._deliver(packet, now)

    def unreachable(self, frame: bytes, l3: int, now: i64) -> None:
        """A queued frame's next hop does not answer: its sender, here or elsewhere, is told (RFC 4861 7.2.2)."""
        self.errors.address_unreachable(frame, l3, now)

    def _parse(self, packet: RxPacket) -> bool:
        """RFC 8200 3: version and length; counts what is wrong."""
        frame, l3 = packet.frame, packet.l3
        if len(frame) < l3 + 40 or frame[l3] >> 4 != 6:
            self.stats.InHdrErrors += 1
            return False
        packet.l4 = l3 + 40
        packet.stop = packet.l4 + get16(frame, l3 + 4)
        packet.protocol = frame[l3 + 6]
        packet.ttl = frame[l3 + 7]
        if packet.stop > len(frame):
            self.stats.InTruncatedPkts += 1
            return False
        if packet.protocol == _TCP:
            packet.merge()
        return True

    def _has_last_addresses(self, packet: RxPacket) -> bool:
        """Whether it comes from and goes to the same as the last that was for this host, the same way: so is it."""
        return (
            packet.interface is self._last_interface
            and packet.protocol == self._last_protocol
            and self.routes.version == self._last_version
            and equal(packet.frame, packet.l3 + 8, self._last_addresses, 0, 32)
        )

    def _remember(self, packet: RxPacket) -> None:
        handler = self.handlers.get(packet.frame[packet.l3 + 6])
        if handler is None:
            return  # extension headers are looked at each time
        self._last_handler = handler
        self._last_protocol = packet.protocol
        self._last_interface = packet.interface
        self._last_version = self.routes.version
        self._last_source, self._last_destination = packet.source, packet.destination
        self._last_addresses = bare(packet.source) + bare(packet.destination)

    def _take_addresses(self, packet: RxPacket) -> bool:
        """Notes the addresses, on the link that they were heard on if that matters; False if they cannot be right.

        RFC 4291 2.5.3, 2.7 and Linux ip6_rcv_core: groups send nothing, loopback's address is on no wire, nor are
        groups of its scope or of none, and a mapped address is for sockets alone.
        """
        frame, l3 = packet.frame, packet.l3
        source, destination = part(frame, l3 + 8, l3 + 24), part(frame, l3 + 24, l3 + 40)
        if source[0] == 0xFF or source[:12] == MAPPED or destination == _ANY:
            return False
        nowhere = _LOOPBACK in (source, destination) or (destination[0] == 0xFF and destination[1] & 15 < 2)
        if nowhere and packet.interface is not self.loopback:
            return False
        if scope_of(source) or scope_of(destination):
            return False
        packet.source = self.on_link(source, packet.interface)
        packet.destination = self.on_link(destination, packet.interface)
        return True

    def on_link(self, address: bytes, heard_by: Any) -> bytes:
        """An address from the wire as it is inside the stack; what came by loopback is one of the host's own."""
        if not is_scoped(address):
            return address
        if heard_by is self.loopback and address[0] == 0xFE:
            for route in self.routes:
                if route.kind == LOCAL and bare(route.prefix) == address:
                    return route.prefix
            return address
        return scoped(address, heard_by.index)

    def _receive_group(self, packet: RxPacket, now: i64) -> None:
        interface: Any = packet.interface
        if bare(packet.destination) not in interface.groups:
            self.stats.InDiscards += 1
            return
        packet.broadcast = True
        self.stats.InMcastPkts += 1
        self._deliver(packet, now)

    def _deliver(self, packet: RxPacket, now: i64) -> None:
        """RFC 8200 4.1: passes the headers before the transport's, each in its turn."""
        named_at = packet.l3 + 6 if packet.l4 == packet.l3 + 40 else packet.l3 + 40
        handler = self.handlers.get(packet.protocol)
        while handler is None:
            here = packet.l4
            if not self._pass_header(packet, named_at, now):
                return
            named_at = here
            handler = self.handlers.get(packet.protocol)
        self.stats.InDelivers += 1
        handler.receive(packet, now)

    def _pass_header(self, packet: RxPacket, named_at: int, now: i64) -> bool:
        """Looks at the header at l4 and goes on to what follows; False if the packet ends here."""
        frame, at, protocol = packet.frame, packet.l4, packet.protocol
        refusal: extension.Refusal | None = extension.Refusal(extension.SILENT, 0)
        length = 0
        if protocol == extension.FRAGMENT:
            if not self.fragments.take(packet, at, named_at, now):
                self.stats.InDiscards += 1
            return False
        if protocol == extension.NO_NEXT_HEADER:
            return False  # RFC 8200 4.7
        if protocol in (extension.ROUTING, extension.DESTINATION) or (protocol == 0 and named_at == packet.l3 + 6):
            length = extension.length_of(frame, at, packet.stop)
            if length and protocol == extension.ROUTING:
                refusal = extension.check_routing(frame, at)
            elif length:
                refusal = extension.check_options(frame, at, length, packet.destination[0] == 0xFF)
        else:
            self.stats.InUnknownProtos += 1
            self.errors.parameter_problem(
                packet, extension.UNRECOGNIZED_NEXT_HEADER, named_at - packet.l3, now
            )  # fmt: skip
            return False
        if refusal is None:
            packet.protocol = frame[at]
            packet.l4 = at + length
            return True
        self.stats.InHdrErrors += 1
        if refusal.code != extension.SILENT:
            self.errors.parameter_problem(packet, refusal.code, refusal.pointer - packet.l3, now)
        return False

    def _forward(self, packet: RxPacket, route: Route | None, destination: bytes, now: i64) -> None:
        """Linux ip6_forward: towards the next hop, unless the hop limit, the route, a scope or the MTU says no."""
        source = packet.source
        if route is None or route.kind == UNREACHABLE:
            self.stats.InNoRoutes += 1
            self.errors.no_route(packet, now)
        elif packet.ttl <= 1:
            self.stats.InHdrErrors += 1
            self.errors.time_exceeded(packet, now)
        elif source == _ANY:
            self.stats.InAddrErrors += 1  # RFC 4291 2.5.2
        elif is_scoped(source):
            self.stats.InAddrErrors += 1
            self.errors.beyond_scope(packet, now)
        elif packet.stop - packet.l3 > max(route.interface.mtu, MIN_MTU):
            self.stats.InTooBigErrors += 1
            self.errors.packet_too_big(packet, max(route.interface.mtu, MIN_MTU), now)
        else:
            if route.interface is packet.interface:
                self.errors.redirect(packet, route, now)
            self.stats.OutForwDatagrams += packet.count
            route.interface.forward(packet, route.via or destination, now)
