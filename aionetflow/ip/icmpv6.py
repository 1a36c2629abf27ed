"""ICMPv6: echo, and errors both ways (RFC 4443). Neighbor Discovery takes its messages from here (ndp.py).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |     type      |     code      |           checksum            |
    +---------------+---------------+-------------------------------+
    |   identifier and sequence, MTU, pointer, flags, or unused     |
    +---------------------------------------------------------------+
    |   echo data, or the IP header and first octets of the packet  |
"""

import errno
from collections.abc import Callable

from aionetflow.config import ICMP_RATE_LIMIT, ICMP_RATE_PER_SECOND, ICMPV6_ERROR_SIZE, ICMPV6_RATE_TIME
from aionetflow.errors import UNREACHABLE6_CODES
from aionetflow.fast import get32, verify
from aionetflow.ip.address import is_scoped
from aionetflow.ip.extension import UNRECOGNIZED_OPTION, transport_of
from aionetflow.ip.rate import RateLimit
from aionetflow.ip.route import LOCAL, UNREACHABLE, Route
from aionetflow.ip.selection import Sources
from aionetflow.ip.v6 import HEADER_LENGTH, MIN_MTU, PROTOCOL_ICMPV6, Icmp6Errors, IPv6
from aionetflow.packet import IcmpOrigin, PacketHandler, RxPacket, TxPacket, packet_end
from aionetflow.stats import Icmp6Stats

DESTINATION_UNREACHABLE = 1
PACKET_TOO_BIG = 2
TIME_EXCEEDED = 3
PARAMETER_PROBLEM = 4
ECHO = 128
ECHO_REPLY = 129
REDIRECT = 137
NO_ROUTE, PROHIBITED, BEYOND_SCOPE, ADDRESS_UNREACHABLE, PORT_UNREACHABLE = range(5)
INFORMATIONAL = 128  # RFC 4443 2.1: types from here on are no errors
_HEADER = 8
_HOP_LIMIT = 64  # net.ipv6.conf.default.hop_limit
# The counters of each type, less In or Out (RFC 4293 and Linux's icmp6type2name)
_NAMES = {
    DESTINATION_UNREACHABLE: "DestUnreachs", PACKET_TOO_BIG: "PktTooBigs", TIME_EXCEEDED: "TimeExcds",
    PARAMETER_PROBLEM: "ParmProblems", ECHO: "Echos", ECHO_REPLY: "EchoReplies", 133: "RouterSolicits",
    134: "RouterAdvertisements", 135: "NeighborSolicits", 136: "NeighborAdvertisements", REDIRECT: "Redirects",
}  # fmt: skip


class Icmpv6(PacketHandler):
    """ICMPv6 of one host: answers echo requests, hands errors to the transport they are about, sends messages."""

    def __init__(self, ip: IPv6, sources: Sources, stats: Icmp6Stats) -> None:
        self.ip = ip
        self.sources = sources
        self.stats = stats
        self.handlers: dict[int, PacketHandler] = {}  # who takes the messages of a type, beside what is done here
        self._rate = RateLimit()
        self._packet = TxPacket()

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a message that was sent to this host, or to a group that it is in."""
        self.stats.InMsgs += 1
        frame, l4 = packet.frame, packet.l4
        if packet.stop - l4 < _HEADER:
            self.stats.InErrors += 1
            return
        if not verify(frame, packet.l3, l4, packet.stop, PROTOCOL_ICMPV6):
            self.stats.InCsumErrors += 1
            self.stats.InErrors += 1
            return
        kind, code = frame[l4], frame[l4 + 1]
        self._count("In", kind)
        if kind == ECHO:
            self._answer_echo(packet, now)
        elif kind == DESTINATION_UNREACHABLE and code < len(UNREACHABLE6_CODES):
            self._receive_error(packet, *UNREACHABLE6_CODES[code], 0, now)
        elif kind == PACKET_TOO_BIG:
            mtu = get32(frame, l4 + 4)
            if mtu >= MIN_MTU:  # RFC 8201 4: less is not to be believed
                self._receive_error(packet, errno.EMSGSIZE, True, min(mtu, 0xFFFF), now)
        elif kind == TIME_EXCEEDED:
            self._receive_error(packet, errno.EHOSTUNREACH, False, 0, now)
        elif kind == PARAMETER_PROBLEM:
            self._receive_error(packet, errno.EPROTO, True, get32(frame, l4 + 4) & 0x7FFFFFFF, now)
        handler = self.handlers.get(kind)
        if handler is not None:
            handler.receive(packet, now)

    def error(
        self, quote: bytes, l4: int, code: int, final: bool, info: int, now: int, origin: IcmpOrigin | None = None
    ) -> None:
        """Another host reports on a message of ours: only of an echo request somebody wants to know."""
        handler = self.handlers.get(ECHO_REPLY)
        if quote[l4] == ECHO and handler is not None:
            handler.error(quote, l4, code, final, info, now, origin)

    def send(
        self, message: bytes, data: bytes, source: bytes, destination: bytes, now: int, *, route: Route | None = None,
        hop_limit: int = _HOP_LIMIT, traffic_class: int = 0,
    ) -> None:  # fmt: skip
        """Sends a message whose first eight octets are given, checksum open, and what follows them.

        An empty source is chosen; without a route the table is asked.
        """
        route = route or self.ip.routes.lookup(destination)
        if route is not None and not source:
            source = self.sources.choose(route, destination)
        if route is None or route.kind == UNREACHABLE or not source:
            self.stats.OutErrors += 1
            return
        packet = self._packet
        packet.reset(PROTOCOL_ICMPV6, _HEADER)
        packet.header[packet.l4 : packet.l5] = message
        packet.payload = data
        packet.length = len(data)
        packet.ttl = hop_limit
        packet.tos = traffic_class
        self.stats.OutMsgs += 1
        self._count("Out", message[0])
        self.ip.output(packet, route, source, destination, now)

    def send_error(
        self, frame: bytes, l3: int, sender: bytes, kind: int, code: int, info: int, now: int, group: bool = False
    ) -> None:
        """Tells the sender of the packet at l3 what became of it, if it may be told (RFC 4443 2.4 (e)).

        group says that the packet was sent to more than one.
        """
        if group and kind != PACKET_TOO_BIG and (kind, code) != (PARAMETER_PROBLEM, UNRECOGNIZED_OPTION):
            return
        if sender == bytes(16) or sender[0] == 0xFF:
            return
        stop = packet_end(frame, l3)
        protocol, at, _ = transport_of(frame, l3, min(stop, len(frame)))
        if protocol == PROTOCOL_ICMPV6 and (
            at >= len(frame) or frame[at] < INFORMATIONAL or frame[at] == REDIRECT
        ):  # fmt: skip
            return
        route = self.ip.routes.lookup(sender)
        if route is not None and self._is_limited(route, kind) and not self.may_send(sender, route.prefix_length, now):
            return
        quote = frame[l3 : min(stop, l3 + ICMPV6_ERROR_SIZE - HEADER_LENGTH - _HEADER)]
        message = bytes((kind, code, 0, 0)) + info.to_bytes(4, "big")
        self.send(message, quote, self._error_source(frame, l3), sender, now)

    def reassembly_time_exceeded(self, fragment: bytes, sender: bytes, now: int) -> None:
        """Type 3 code 1, RFC 8200 4.5."""
        self.send_error(fragment, 0, sender, TIME_EXCEEDED, 1, 0, now)

    def may_send(self, destination: bytes, prefix_length: int, now: int) -> bool:
        """RFC 4443 2.4 (f), Linux icmpv6_xrlim_allow: whether one more may go; the wider its route, the more often.

        One that may not is counted.
        """
        interval = ICMPV6_RATE_TIME >> ((128 - prefix_length) >> 5)
        rate = self._rate
        may = rate.allows(ICMP_RATE_PER_SECOND, ICMP_RATE_LIMIT, now) and rate.allows_to(destination, interval, now)
        if not may:
            self.stats.OutRateLimitHost += 1
        return may

    def _is_limited(self, route: Route, kind: int) -> bool:
        """Not what stays on the host, nor what path-MTU discovery needs: net.ipv6.icmp.ratemask leaves type 2 out."""
        return route.interface is not self.ip.loopback and kind != PACKET_TOO_BIG

    def _answer_echo(self, packet: RxPacket, now: int) -> None:
        """RFC 4443 4.2: from the address that was asked; a group's members each from their own."""
        frame, l3, l4 = packet.frame, packet.l3, packet.l4
        source = b"" if packet.destination[0] == 0xFF else packet.destination
        message = bytes((ECHO_REPLY, 0, 0, 0)) + frame[l4 + 4 : l4 + 8]
        data = frame[l4 + _HEADER : packet.stop]
        traffic_class = (frame[l3] & 15) << 4 | frame[l3 + 1] >> 4  # Linux icmpv6_echo_reply
        self.send(message, data, source, packet.source, now, traffic_class=traffic_class)

    def _receive_error(self, packet: RxPacket, code: int, final: bool, info: int, now: int) -> None:
        """Tells the transport that the quoted packet is of."""
        quote = packet.frame[packet.l4 + _HEADER : packet.stop]
        if len(quote) < HEADER_LENGTH or quote[0] >> 4 != 6:
            self.stats.InErrors += 1
            return
        protocol, l4, _ = transport_of(quote, 0, len(quote))
        if len(quote) < l4 + 8:
            self.stats.InErrors += 1
            return
        handler = self.ip.handlers.get(protocol)
        if handler is not None:
            ip, link = self.ip, packet.interface
            kind, number = packet.frame[packet.l4], packet.frame[packet.l4 + 1]
            origin = IcmpOrigin(kind, number, packet.source, packet.ttl << 8 | packet.service())
            ends = ip.on_link(quote[8:24], link) + ip.on_link(quote[24:40], link)
            handler.error(quote[:8] + ends + quote[40:], l4, code, final, info, now, origin)

    def _error_source(self, frame: bytes, l3: int) -> bytes:
        """RFC 4443 2.2: the address the packet was sent to, if it is ours; else the one that is best."""
        destination = frame[l3 + 24 : l3 + 40]
        if is_scoped(destination):
            return b""
        route = self.ip.routes.lookup(destination)
        return destination if route is not None and route.kind == LOCAL else b""

    def _count(self, direction: str, kind: int) -> None:
        name = _NAMES.get(kind)
        if name is not None:
            name = direction + name
            setattr(self.stats, name, getattr(self.stats, name) + 1)


class Icmp6ErrorSender(Icmp6Errors):
    """The errors that IPv6 and the transports ask ICMPv6 to send."""

    def __init__(self, icmp: Icmpv6, redirect: Callable[[RxPacket, Route, int], None]) -> None:
        self._icmp = icmp
        self._redirect = redirect  # Neighbor Discovery's

    def redirect(self, packet: RxPacket, route: Route, now: int) -> None:
        """Type 137, RFC 4861 8.2."""
        self._redirect(packet, route, now)

    def port_unreachable(self, packet: RxPacket, now: int) -> None:
        """Type 1 code 4, RFC 4443 3.1."""
        self._answer(packet, DESTINATION_UNREACHABLE, PORT_UNREACHABLE, 0, now)

    def no_route(self, packet: RxPacket, now: int) -> None:
        """Type 1 code 0."""
        self._answer(packet, DESTINATION_UNREACHABLE, NO_ROUTE, 0, now)

    def beyond_scope(self, packet: RxPacket, now: int) -> None:
        """Type 1 code 2."""
        self._answer(packet, DESTINATION_UNREACHABLE, BEYOND_SCOPE, 0, now)

    def packet_too_big(self, packet: RxPacket, mtu: int, now: int) -> None:
        """Type 2, RFC 4443 3.2."""
        self._answer(packet, PACKET_TOO_BIG, 0, mtu, now)

    def time_exceeded(self, packet: RxPacket, now: int) -> None:
        """Type 3 code 0, RFC 4443 3.3."""
        self._answer(packet, TIME_EXCEEDED, 0, 0, now)

    def parameter_problem(self, packet: RxPacket, code: int, pointer: int, now: int) -> None:
        """Type 4, RFC 4443 3.4."""
        self._answer(packet, PARAMETER_PROBLEM, code, pointer, now)

    def address_unreachable(self, frame: bytes, l3: int, now: int) -> None:
        """Type 1 code 3, for a frame that waited in vain for its next hop's MAC."""
        ip = self._icmp.ip
        sender = ip.on_link(frame[l3 + 8 : l3 + 24], ip.loopback)
        self._icmp.send_error(frame, l3, sender, DESTINATION_UNREACHABLE, ADDRESS_UNREACHABLE, 0, now)

    def _answer(self, packet: RxPacket, kind: int, code: int, info: int, now: int) -> None:
        group = packet.broadcast or packet.destination[0] == 0xFF
        self._icmp.send_error(packet.frame, packet.l3, packet.source, kind, code, info, now, group)
