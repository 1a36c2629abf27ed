"""ICMP for IPv4: echo, and errors both ways (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |     type      |     code      |           checksum            |
    +---------------+---------------+-------------------------------+
    |        identifier and sequence, or unused and next MTU        |
    +---------------------------------------------------------------+
    |   echo data, or the IP header and first octets of the packet  |
"""

import errno

from aionetflow.config import ICMP_ERROR_QUOTE, MILLISECOND
from aionetflow.errors import UNREACHABLE_CODES
from aionetflow.fast import get16, verify
from aionetflow.ip.rate import RateLimit
from aionetflow.ip.route import LOCAL, UNICAST, UNREACHABLE, Route
from aionetflow.ip.v4 import PROTOCOL_ICMP, IcmpErrors, IPv4
from aionetflow.packet import IcmpOrigin, PacketHandler, RxPacket, TxPacket, packet_end
from aionetflow.stats import IcmpStats

ECHO_REPLY = 0
DESTINATION_UNREACHABLE = 3
SOURCE_QUENCH = 4
REDIRECT = 5
ECHO = 8
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12
TIMESTAMP = 13
TIMESTAMP_REPLY = 14
_LAST_KNOWN = 18
NET_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE, FRAGMENTATION_NEEDED = range(5)
_REDIRECT_HOST = 1
_HEADER = 8
_ERRORS = (DESTINATION_UNREACHABLE, REDIRECT, SOURCE_QUENCH, TIME_EXCEEDED, PARAMETER_PROBLEM)
_COUNTED = {
    DESTINATION_UNREACHABLE: "DestUnreachs", TIME_EXCEEDED: "TimeExcds", PARAMETER_PROBLEM: "ParmProbs",
    REDIRECT: "Redirects",
}  # fmt: skip
_TYPE_OF_SERVICE = 0x1E  # what an error has of its cause's; the rest says: internetwork control (RFC 1812 4.3.2.5)
_INTERNETWORK_CONTROL = 0xC0
_DAY = 86_400_000  # ms


class Icmp(PacketHandler):
    """ICMP of one host: answers echo requests, hands errors to the transport they are about, sends errors.

    `pings` takes the replies to the host's own echo requests, and the errors about them.
    """

    def __init__(self, ip: IPv4, stats: IcmpStats) -> None:
        self.ip = ip
        self.stats = stats
        self.pings = PacketHandler()
        self._packet = TxPacket()
        self._rate = RateLimit()

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a message that was sent to this host."""
        self.stats.InMsgs += 1
        frame, l4 = packet.frame, packet.l4
        if packet.stop - l4 < _HEADER:
            self.stats.InErrors += 1
            return
        if not verify(frame, packet.l3, l4, packet.stop, PROTOCOL_ICMP):
            self.stats.InCsumErrors += 1
            self.stats.InErrors += 1
            return
        kind = frame[l4]
        if kind == ECHO:
            self._receive_echo(packet, now)
        elif kind == ECHO_REPLY:
            self.stats.InEchoReps += 1
            self.pings.receive(packet, now)
        elif kind == TIMESTAMP:
            self._receive_timestamp(packet, now)
        elif kind == TIMESTAMP_REPLY:
            self.stats.InTimestampReps += 1
        elif kind in _ERRORS:
            self._receive_error(packet, kind, frame[l4 + 1], now)

    def error(
        self, quote: bytes, l4: int, code: int, final: bool, info: int, now: int, origin: IcmpOrigin | None = None
    ) -> None:
        """Another host reports on a message of ours: only of an echo request somebody wants to know."""
        if quote[l4] == ECHO:
            self.pings.error(quote, l4, code, final, info, now, origin)

    def send_error(self, frame: bytes, l3: int, kind: int, code: int, info: int, now: int) -> None:
        """Tells the sender of the packet at l3 what became of it, if it may be told (RFC 1122 3.2.2).

        info is what stands in the second word, behind type, code and checksum.
        """
        l4 = l3 + (frame[l3] & 15) * 4
        if get16(frame, l3 + 6) & 0x1FFF:
            return  # not the first fragment: it does not say whose it is
        if frame[l3 + 9] == PROTOCOL_ICMP and (l4 >= len(frame) or frame[l4] in _ERRORS or frame[l4] > _LAST_KNOWN):
            return
        sender = frame[l3 + 12 : l3 + 16]
        route = self.ip.routes.lookup(sender)
        if sender == bytes(4) or sender[0] >= 224 or not self._may_send(kind, code, sender, route, now):
            return
        stop = min(packet_end(frame, l3), l3 + ICMP_ERROR_QUOTE)
        packet = self._message(kind, code, info.to_bytes(4, "big"), frame[l3:stop])
        packet.tos = frame[l3 + 1] & _TYPE_OF_SERVICE | _INTERNETWORK_CONTROL
        if kind in _COUNTED:
            name = f"Out{_COUNTED[kind]}"
            setattr(self.stats, name, getattr(self.stats, name) + 1)
        self._send(packet, self._error_source(frame, l3), sender, now)

    def send_redirect(self, packet: RxPacket, gateway: bytes, now: int) -> None:
        """Tells the sender of a packet that a gateway on its own link is nearer to where the packet goes."""
        route = self.ip.routes.lookup(packet.source)
        if route is None or route.via or route.interface is not packet.interface:
            return  # it is not on that link itself
        if self._rate.allows_redirect(packet.source, now):
            info = int.from_bytes(gateway, "big")
            self.send_error(packet.frame, packet.l3, REDIRECT, _REDIRECT_HOST, info, now)

    def _receive_echo(self, packet: RxPacket, now: int) -> None:
        self.stats.InEchos += 1
        sysctl = self.ip.sysctl
        if sysctl.icmp_echo_ignore_all or (packet.broadcast and sysctl.icmp_echo_ignore_broadcasts):
            return
        frame, l4 = packet.frame, packet.l4
        answer = self._message(ECHO_REPLY, 0, frame[l4 + 4 : l4 + 8], frame[l4 + _HEADER : packet.stop])
        self.stats.OutEchoReps += 1
        self._answer(packet, answer, now)

    def _receive_timestamp(self, packet: RxPacket, now: int) -> None:
        """RFC 1122 3.2.2.8: when it was sent, as it says, and when it came and was answered, in ms of the day."""
        self.stats.InTimestamps += 1
        frame, l4 = packet.frame, packet.l4
        if packet.broadcast and self.ip.sysctl.icmp_echo_ignore_broadcasts:
            return
        if packet.stop - l4 < _HEADER + 4:
            self.stats.InErrors += 1
            return
        today = (now // MILLISECOND % _DAY).to_bytes(4, "big")
        times = frame[l4 + _HEADER : l4 + _HEADER + 4] + today + today
        answer = self._message(TIMESTAMP_REPLY, 0, frame[l4 + 4 : l4 + 8], times)
        self.stats.OutTimestampReps += 1
        self._answer(packet, answer, now)

    def _answer(self, question: RxPacket, answer: TxPacket, now: int) -> None:
        """Sends the answer to a question, from the address that was asked if that is one host's alone."""
        answer.tos = question.frame[question.l3 + 1]  # RFC 1122 3.2.2.6
        self._send(answer, b"" if question.broadcast else question.destination, question.source, now)

    def _receive_error(self, packet: RxPacket, kind: int, code: int, now: int) -> None:
        frame, l4 = packet.frame, packet.l4
        if packet.broadcast:
            return  # Linux icmp_rcv: it is to one host alone
        if kind == SOURCE_QUENCH:
            self.stats.InSrcQuenchs += 1  # RFC 6633: has no effect
            return
        if kind == REDIRECT:
            self.stats.InRedirects += 1
            self._receive_redirect(packet)
            return
        number, final, info = errno.EHOSTUNREACH, False, 0
        if kind == DESTINATION_UNREACHABLE:
            self.stats.InDestUnreachs += 1
            if code >= len(UNREACHABLE_CODES):
                return
            number, final = UNREACHABLE_CODES[code]
            info = get16(frame, l4 + 6) if number == errno.EMSGSIZE else 0
        elif kind == TIME_EXCEEDED:
            self.stats.InTimeExcds += 1
        else:
            self.stats.InParmProbs += 1
            number, final, info = errno.EPROTO, True, frame[l4 + 4]
        quote = frame[l4 + _HEADER : packet.stop]
        top = (quote[0] & 15) * 4 if quote else 0
        if top < 20 or len(quote) < top + 8:  # RFC 792 quotes the header and eight octets
            self.stats.InErrors += 1
            return
        if number == errno.EMSGSIZE and self.ip.sysctl.ip_no_pmtu_disc > 1:
            return
        handler = self.ip.handlers.get(quote[9])
        if handler is not None:
            origin = IcmpOrigin(kind, code, packet.source, packet.ttl << 8 | packet.service())
            handler.error(quote, top, number, final, info, now, origin)

    def _receive_redirect(self, packet: RxPacket) -> None:
        """RFC 1122 3.2.2.2: a host goes by what the gateway that it uses says of another on the same link."""
        frame, l4 = packet.frame, packet.l4
        quote = frame[l4 + _HEADER : packet.stop]
        gateway = frame[l4 + 4 : l4 + 8]
        if len(quote) < 28 or self.ip.forwarding:
            return
        routes = self.ip.routes
        used, better = routes.lookup(quote[16:20]), routes.lookup(gateway)
        if used is None or used.via != packet.source or better is None or better.kind != UNICAST:
            return
        if better.interface is used.interface and not better.via:
            routes.redirect(quote[16:20], gateway)

    def _message(self, kind: int, code: int, rest: bytes, data: bytes) -> TxPacket:
        """A message whose header ends in those four octets, with its data; the checksum is written on the way out."""
        packet = self._packet
        packet.reset(PROTOCOL_ICMP, _HEADER)
        packet.header[packet.l4 : packet.l5] = bytes((kind, code, 0, 0)) + rest
        packet.payload = data
        packet.length = len(data)
        packet.ttl = self.ip.sysctl.ip_default_ttl
        packet.tos = 0
        packet.ident = -1
        packet.dont_fragment = False  # Linux icmp_sk_init
        return packet

    def _send(self, packet: TxPacket, source: bytes, destination: bytes, now: int) -> None:
        route = self.ip.routes.lookup(destination)
        source = source or (route.source if route is not None else b"")
        if route is None or route.kind == UNREACHABLE or not source:
            self.stats.OutErrors += 1
            return
        self.stats.OutMsgs += 1
        self.ip.output(packet, route, source, destination, now)

    def _error_source(self, frame: bytes, l3: int) -> bytes:
        """RFC 1812 4.3.2.4: the address the packet was sent to, if it is ours; else that of the interface used."""
        destination = frame[l3 + 16 : l3 + 20]
        route = self.ip.routes.lookup(destination)
        return destination if route is not None and route.kind == LOCAL else b""

    def _may_send(self, kind: int, code: int, sender: bytes, route: Route | None, now: int) -> bool:
        """RFC 1812 4.3.2.8: errors are limited by token buckets, one for all and one for each host they go to.

        Not what the path MTU is found by, nor what stays on this host (Linux icmpv4_global_allow, icmpv4_xrlim_allow).
        """
        sysctl = self.ip.sysctl
        if (kind, code) == (DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED) or not sysctl.icmp_ratemask >> kind & 1:
            return True
        if route is not None and route.interface is self.ip.loopback:
            return True
        if not self._rate.allows(sysctl.icmp_msgs_per_sec, sysctl.icmp_msgs_burst, now):
            self.stats.OutRateLimitGlobal += 1
            return False
        if not self._rate.allows_to(sender, sysctl.icmp_ratelimit * MILLISECOND, now):
            self.stats.OutRateLimitHost += 1
            return False
        return True


class IcmpErrorSender(IcmpErrors):
    """The errors that IP and the transports ask ICMP to send."""

    def __init__(self, icmp: Icmp) -> None:
        self._icmp = icmp

    def protocol_unreachable(self, packet: RxPacket, now: int) -> None:
        """Code 2, RFC 1122 3.2.2.1."""
        self._answer(packet, DESTINATION_UNREACHABLE, PROTOCOL_UNREACHABLE, 0, now)

    def port_unreachable(self, packet: RxPacket, now: int) -> None:
        """Code 3, RFC 1122 4.1.3.1."""
        self._answer(packet, DESTINATION_UNREACHABLE, PORT_UNREACHABLE, 0, now)

    def net_unreachable(self, packet: RxPacket, now: int) -> None:
        """Code 0, RFC 1812 5.2.7.1."""
        self._answer(packet, DESTINATION_UNREACHABLE, NET_UNREACHABLE, 0, now)

    def time_exceeded(self, packet: RxPacket, now: int) -> None:
        """Type 11 code 0, RFC 1812 5.2.7.3."""
        self._answer(packet, TIME_EXCEEDED, 0, 0, now)

    def reassembly_time_exceeded(self, fragment: bytes, now: int) -> None:
        """Type 11 code 1, RFC 1122 3.3.2."""
        self._icmp.send_error(fragment, 0, TIME_EXCEEDED, 1, 0, now)

    def parameter_problem(self, packet: RxPacket, pointer: int, now: int) -> None:
        """Type 12, RFC 1122 3.2.2.5."""
        self._answer(packet, PARAMETER_PROBLEM, 0, pointer << 24, now)

    def redirect(self, packet: RxPacket, gateway: bytes, now: int) -> None:
        """Type 5 code 1, RFC 1812 5.2.7.2."""
        self._icmp.send_redirect(packet, gateway, now)

    def fragmentation_needed(self, packet: RxPacket, mtu: int, now: int) -> None:
        """Code 4 with the next hop's MTU, RFC 1191 4."""
        self._answer(packet, DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, mtu & 0xFFFF, now)

    def host_unreachable(self, frame: bytes, l3: int, now: int) -> None:
        """Code 1, for a frame that waited in vain for its next hop's MAC."""
        self._icmp.send_error(frame, l3, DESTINATION_UNREACHABLE, HOST_UNREACHABLE, 0, now)

    def _answer(self, packet: RxPacket, kind: int, code: int, info: int, now: int) -> None:
        if not packet.broadcast:
            self._icmp.send_error(packet.frame, packet.l3, kind, code, info, now)
