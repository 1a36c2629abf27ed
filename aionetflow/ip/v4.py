"""IPv4: headers in and out, delivery to the transports, forwarding between interfaces (RFC 791, 1122, 1812).

     0               1               2               3
    +-------+-------+---------------+-------------------------------+
  0 |   4   |  IHL  |      TOS      |         total length          |
    +-------+-------+---------------+-----+-------------------------+
  4 |        identification         |0 D M|    fragment offset      |
    +---------------+---------------+-----+-------------------------+
  8 |      TTL      |   protocol    |        header checksum        |
    +---------------+---------------+-------------------------------+
 12 |                        source address                         |
    +---------------------------------------------------------------+
 16 |                      destination address                      |
    +---------------------------------------------------------------+
 20 |                 options, padded to 4 octets                   |
"""

from typing import Any

from aionetflow.alarms import Alarms
from aionetflow.config import SECOND
from aionetflow.ethernet.interface import LIMITED_BROADCAST, Interface
from aionetflow.fast import checksum, equal, forward, get16, part, put_ipv4_header, segment
from aionetflow.fast_paths import FAST
from aionetflow.ip import options
from aionetflow.ip.fragment import Limits, Pile, Reassembly, cut_ipv4, ipv4_joined, ipv4_piece
from aionetflow.ip.identification import Identifications
from aionetflow.ip.route import BROADCAST, LOCAL, MULTICAST, UNREACHABLE, Route, RoutingTable
from aionetflow.packet import PacketHandler, RxPacket, TxPacket
from aionetflow.stats import IpStats
from aionetflow.sysctl import Sysctl
from aionetflow.widths import i64

HEADER_LENGTH = 20
PROTOCOL_ICMP = 1
PROTOCOL_TCP = 6
PROTOCOL_UDP = 17
DONT_FRAGMENT = 0x4000
_DONT_FRAGMENT = DONT_FRAGMENT
_FRAGMENT = 0x3FFF  # more-fragments and the offset: either makes it a piece of a datagram
_TCP = PROTOCOL_TCP
_IPV6_MIN_MTU = 1280  # RFC 8200 5
_SECOND = SECOND
_FOR_ALL = (LIMITED_BROADCAST, bytes((224, 0, 0, 1)))  # RFC 1112 4: every host is in the group of all hosts


class IcmpErrors:
    """What the IP layer needs of ICMP: telling a sender why its packet goes no further (see ip/icmp.py)."""

    def protocol_unreachable(self, packet: RxPacket, now: i64) -> None:
        """Nobody here takes this protocol."""

    def net_unreachable(self, packet: RxPacket, now: i64) -> None:
        """There is no route."""

    def host_unreachable(self, frame: bytes, l3: int, now: i64) -> None:
        """The next hop does not answer."""

    def time_exceeded(self, packet: RxPacket, now: i64) -> None:
        """The TTL ran out on the way."""

    def reassembly_time_exceeded(self, fragment: bytes, now: i64) -> None:
        """The other fragments of the packet that begins with this one have not come in time."""

    def redirect(self, packet: RxPacket, gateway: bytes, now: i64) -> None:
        """The packet leaves by the interface that it came by: its sender has a better way."""

    def parameter_problem(self, packet: RxPacket, pointer: int, now: i64) -> None:
        """An option in the header is wrong, at that octet."""

    def fragmentation_needed(self, packet: RxPacket, mtu: int, now: i64) -> None:
        """The packet is longer than the next link's MTU."""


def looped_copy(packet: TxPacket) -> bytes:
    """A packet whose IP header is written, as it goes out."""
    (whole,) = segment(
        packet.header, packet.l3, packet.l3, packet.l4, packet.l5, packet.payload, packet.start, packet.length, 0,
        max(packet.ident, 0),
    )  # fmt: skip
    return whole


class IPv4(PacketHandler):
    """The IPv4 layer of one host."""

    def __init__(self, routes: RoutingTable, stats: IpStats, sysctl: Sysctl, alarms: Alarms) -> None:
        self.routes = routes
        self.stats = stats
        self.sysctl = sysctl
        self.alarms = alarms
        self.handlers: dict[int, PacketHandler] = {}  # by protocol number
        self.errors = IcmpErrors()
        self.loopback: Interface | None = None  # the interface whose packets are our own
        self.forwarding = False
        self.idents = Identifications()
        self.looped: list[tuple[Interface, bytes]] = []  # packets to groups that are to be heard on this host too
        self._looping = False
        self.reassembly = Reassembly(alarms, self._limits, self._give_up)
        self._joined = RxPacket()
        self._looped_packet = RxPacket()
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
            self.stats.InHdrErrors += 1
            return
        if FAST.last_addresses and self._has_last_addresses(packet):
            packet.source, packet.destination = self._last_source, self._last_destination
            self.stats.InDelivers += 1
            self._last_handler.receive(packet, now)
            return
        frame, l3 = packet.frame, packet.l3
        packet.source = part(frame, l3 + 12, l3 + 16)
        packet.destination = destination = part(frame, l3 + 16, l3 + 20)
        if packet.l4 > l3 + 20 and not self._may_have_options(packet, now):
            return
        route = self.routes.lookup(destination)
        if not self._may_come_from(packet, destination):
            self.stats.InAddrErrors += 1
        elif route is not None and route.kind == LOCAL:
            self._deliver(packet, now)
            self._remember(packet)
        elif (route is not None and route.kind == BROADCAST) or destination in _FOR_ALL:
            packet.broadcast = True
            self._deliver(packet, now)
        elif destination[0] >> 4 == 14:
            self._receive_group(packet, destination, now)
        elif self.forwarding and not packet.broadcast and 0 < destination[0] < 224:
            self._forward(packet, route, destination, now)
        else:
            self.stats.InAddrErrors += 1

    def output(self, packet: TxPacket, route: Route, source: bytes, destination: bytes, now: i64) -> None:
        """Writes the header in front of a transport's and hands the packet to the route's interface."""
        packet.l3 = packet.l4 - 20
        put_ipv4_header(packet.header, packet.l3, packet.tos, packet.ttl, packet.protocol, source, destination)
        if packet.ident < 0:
            packet.ident = self.idents.next(source, destination, packet.protocol)
        self.stats.OutRequests += 1
        if route.kind == MULTICAST:
            if packet.loop and destination in route.interface.groups and route.interface is not self.loopback:
                self.looped.append((route.interface, looped_copy(packet)))  # Linux ip_mc_output
            if packet.ttl > 0 or route.interface is self.loopback:  # RFC 1112 6.1: such a datagram stays on this host
                self._send(packet, route.interface, destination, packet.mtu or route.interface.mtu, now)
        elif route.kind == BROADCAST:
            if self.loopback is not None and self.loopback is not route.interface:
                # Linux ip_mc_output: the sender's host hears it too
                self._send(packet, self.loopback, destination, self.loopback.mtu, now)
            self._send(packet, route.interface, LIMITED_BROADCAST, packet.mtu or route.interface.mtu, now)
        elif packet.dont_fragment:
            # the interface writes length and checksum, and numbers the frames that it cuts one by one
            route.interface.output(packet, route.via or destination, now)
        else:
            self._send(packet, route.interface, route.via or destination, packet.mtu or route.path_mtu(now), now)

    def _send(self, packet: TxPacket, interface: Interface, next_hop: bytes, mtu: i64, now: i64) -> None:
        """Sends a packet that may be cut into fragments, if it must be (Linux ip_fragment)."""
        if not packet.dont_fragment:
            packet.header[packet.l3 + 6] = 0
        payload = packet.length if packet.mss <= 0 else min(packet.length, packet.mss)  # of a frame
        if packet.dont_fragment or packet.l5 - packet.l3 + payload <= mtu:
            interface.output(packet, next_hop, now)
            return
        (whole,) = segment(
            packet.header, packet.l3, packet.l3, packet.l4, packet.l5, packet.payload, packet.start, packet.length, 0,
            packet.ident,
        )  # fmt: skip
        self._send_pieces(whole, interface, next_hop, mtu, now)

    def _send_pieces(self, whole: bytes, interface: Interface, next_hop: bytes, mtu: i64, now: i64) -> None:
        pieces = cut_ipv4(whole, mtu)
        if not pieces:
            self.stats.FragFails += 1
            return
        self.stats.FragOKs += 1
        self.stats.FragCreates += len(pieces)
        interface.output_whole(pieces, next_hop, now)

    def learn_mtu(self, destination: bytes, mtu: i64, now: i64) -> Route | None:
        """ICMP, of either family, says what the way to a destination takes (RFC 1191, RFC 8201): the route to it."""
        sysctl = self.sysctl
        minimum = sysctl.min_pmtu if len(destination) == 4 else _IPV6_MIN_MTU
        return self.routes.learn_mtu(destination, mtu, minimum, now + sysctl.mtu_expires * _SECOND, now)

    def take_looped(self, interface: Interface, frame: bytes, now: i64) -> None:
        """Receives a packet of this host's to a group on an interface, as if it had come in there."""
        packet = self._looped_packet
        packet.take(interface, [frame], 0, 0, 0, True)
        self._looping = True
        try:
            self.receive(packet, now)
        finally:
            self._looping = False

    def unreachable(self, frame: bytes, l3: int, now: i64) -> None:
        """A queued frame's next hop does not answer: its sender, here or elsewhere, is told (RFC 1812 5.2.7.1)."""
        self.errors.host_unreachable(frame, l3, now)

    def _has_last_addresses(self, packet: RxPacket) -> bool:
        """Whether it comes from and goes to the same as the last that was for this host, the same way: so is it."""
        return (
            packet.interface is self._last_interface
            and packet.protocol == self._last_protocol
            and not get16(packet.frame, packet.l3 + 6) & _FRAGMENT
            and packet.l4 == packet.l3 + 20
            and self.routes.version == self._last_version
            and equal(packet.frame, packet.l3 + 12, self._last_addresses, 0, 8)
        )

    def _remember(self, packet: RxPacket) -> None:
        handler = self.handlers.get(packet.protocol)
        if handler is None:
            return
        self._last_handler = handler
        self._last_protocol = packet.protocol
        self._last_interface = packet.interface
        self._last_version = self.routes.version
        self._last_source, self._last_destination = packet.source, packet.destination
        self._last_addresses = packet.source + packet.destination

    def _parse(self, packet: RxPacket) -> bool:
        """RFC 1122 3.2.1: version, lengths, checksum. Options are skipped."""
        frame, l3 = packet.frame, packet.l3
        if len(frame) < l3 + 20:
            return False
        header_length = (frame[l3] & 15) * 4
        stop = l3 + get16(frame, l3 + 2)
        packet.l4 = l3 + header_length
        packet.stop = stop
        packet.protocol = frame[l3 + 9]
        packet.ttl = frame[l3 + 8]
        if frame[l3] >> 4 != 4 or header_length < 20 or packet.l4 > stop or stop > len(frame):
            return False
        if checksum(frame, l3, packet.l4) != 0:
            return False
        if packet.protocol == _TCP:
            packet.merge()
        return True

    def _may_come_from(self, packet: RxPacket, destination: bytes) -> bool:
        """Whether the addresses can be right for where the packet was heard (Linux fib_validate_source).

        RFC 1122 3.2.1.3: groups and broadcast addresses send nothing, and loopback's appear on no wire. Nor does our
        own address come from elsewhere.
        """
        source = packet.source
        if source[0] >= 224 or (source[0] == 0 and destination not in _FOR_ALL):
            return False  # RFC 1122 3.2.1.3 (a): who has no address yet speaks to all
        if packet.interface is self.loopback or self._looping:
            return True
        route = self.routes.lookup(source)
        return destination[0] != 127 and (route is None or (route.kind != LOCAL and route.kind != BROADCAST))

    def _receive_group(self, packet: RxPacket, destination: bytes, now: i64) -> None:
        """RFC 1112 7.1: what is sent to a group is for its members on the interface that hears it."""
        interface: Any = packet.interface
        if destination not in interface.groups:
            self.stats.InAddrErrors += 1
            return
        packet.broadcast = True
        self.stats.InMcastPkts += 1
        self._deliver(packet, now)

    def _may_have_options(self, packet: RxPacket, now: i64) -> bool:
        """Whether the options, which are not looked at any more, are such as one may have (Linux ip_rcv_options)."""
        verdict = options.check(packet.frame, packet.l3, packet.l4)
        if verdict > 0:
            self.stats.InHdrErrors += 1
            self.errors.parameter_problem(packet, verdict, now)
        return verdict == options.FINE

    def _deliver(self, packet: RxPacket, now: i64) -> None:
        if get16(packet.frame, packet.l3 + 6) & _FRAGMENT:
            self._deliver_piece(packet, now)
            return
        handler = self.handlers.get(packet.protocol)
        if handler is None:
            self.stats.InUnknownProtos += 1
            self.errors.protocol_unreachable(packet, now)
            return
        self.stats.InDelivers += 1
        handler.receive(packet, now)

    def _deliver_piece(self, packet: RxPacket, now: i64) -> None:
        """Keeps a fragment, or delivers the packet that it was the last to complete (RFC 791 3.2)."""
        self.stats.ReasmReqds += 1
        frame = packet.frame[packet.l3 : packet.stop]
        # Linux ip4_frag_compare: of one number, between two, of one protocol, by one interface
        key = frame[4:6] + frame[12:20], packet.protocol, packet.interface
        overlaps = self.reassembly.overlaps
        pile, lost = self.reassembly.add(key, packet.source, ipv4_piece(frame), now)
        self.stats.ReasmFails += lost
        self.stats.ReasmOverlaps += self.reassembly.overlaps - overlaps
        if pile is None:
            return
        frame = ipv4_joined(pile)
        if not frame:
            self.stats.ReasmFails += 1
            return
        self.stats.ReasmOKs += 1
        joined = self._joined
        joined.take(packet.interface, [frame], 0, 0, 0, packet.broadcast)
        if self._parse(joined):
            joined.source, joined.destination = packet.source, packet.destination
            self._deliver(joined, now)

    def _limits(self) -> Limits:
        sysctl = self.sysctl
        return Limits(sysctl.ipfrag_high_thresh, sysctl.ipfrag_time * SECOND, sysctl.ipfrag_max_dist)

    def _give_up(self, pile: Pile, now: int) -> None:
        """RFC 792, type 11 code 1: only whoever has the first fragment can say what was lost (Linux ip_expire)."""
        self.stats.ReasmFails += 1
        self.stats.ReasmTimeout += 1
        first = pile.first
        if first is not None:
            self.errors.reassembly_time_exceeded(first.header + first.data, now)

    def _forward(self, packet: RxPacket, route: Route | None, destination: bytes, now: i64) -> None:
        """RFC 1812 5.2: towards the next hop, unless the TTL, the route or the MTU says no."""
        if packet.ttl <= 1:
            self.stats.InHdrErrors += 1
            self.errors.time_exceeded(packet, now)
        elif route is None:
            self.stats.OutNoRoutes += 1
            self.errors.net_unreachable(packet, now)
        elif route.kind == UNREACHABLE:
            self.stats.OutNoRoutes += 1
            self.errors.host_unreachable(packet.frame, packet.l3, now)
        elif packet.stop - packet.l3 > route.interface.mtu:
            self._forward_too_long(packet, route, destination, now)
        else:
            if route.interface is packet.interface:
                self.errors.redirect(packet, route.via or destination, now)
            self.stats.ForwDatagrams += packet.count
            route.interface.forward(packet, route.via or destination, now)

    def _forward_too_long(self, packet: RxPacket, route: Route, destination: bytes, now: i64) -> None:
        """RFC 1812 5.2.6: cut into fragments, unless its sender wants to be told instead."""
        interface = route.interface
        if get16(packet.frame, packet.l3 + 6) & _DONT_FRAGMENT:
            self.stats.FragFails += 1
            self.errors.fragmentation_needed(packet, interface.mtu, now)
            return
        self.stats.ForwDatagrams += 1
        whole = forward(packet.frame, packet.l3, packet.stop, b"")
        self._send_pieces(whole, interface, route.via or destination, interface.mtu, now)
