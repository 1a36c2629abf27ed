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

from aionetflow.config import ICMP_ERROR_QUOTE, ICMP_RATE_LIMIT, ICMP_RATE_PER_SECOND, SECOND
from aionetflow.errors import UNREACHABLE_CODES
from aionetflow.fast import get16, put16, verify
from aionetflow.ip.route import LOCAL, UNREACHABLE
from aionetflow.ip.v4 import PROTOCOL_ICMP, IcmpErrors, IPv4
from aionetflow.packet import PacketHandler, RxPacket, TxPacket, packet_end
from aionetflow.stats import IcmpStats

ECHO_REPLY = 0
DESTINATION_UNREACHABLE = 3
REDIRECT = 5
ECHO = 8
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12
NET_UNREACHABLE, HOST_UNREACHABLE, PROTOCOL_UNREACHABLE, PORT_UNREACHABLE, FRAGMENTATION_NEEDED = range(5)
_HEADER = 8
_ERRORS = (DESTINATION_UNREACHABLE, REDIRECT, 4, TIME_EXCEEDED, PARAMETER_PROBLEM)


class Icmp(PacketHandler):
    """ICMP of one host: answers echo requests, hands errors to the transport they are about, sends errors."""

    def __init__(self, ip: IPv4, stats: IcmpStats) -> None:
        self.ip = ip
        self.stats = stats
        self._packet = TxPacket()
        self._tokens = ICMP_RATE_LIMIT
        self._refilled_at = 0

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
        elif kind == DESTINATION_UNREACHABLE:
            self.stats.InDestUnreachs += 1
            if frame[l4 + 1] < len(UNREACHABLE_CODES):
                code, final = UNREACHABLE_CODES[frame[l4 + 1]]
                self._receive_error(packet, code, final, get16(frame, l4 + 6), now)
        elif kind == TIME_EXCEEDED:
            self.stats.InTimeExcds += 1
            self._receive_error(packet, errno.EHOSTUNREACH, False, 0, now)
        elif kind == PARAMETER_PROBLEM:
            self._receive_error(packet, errno.EPROTO, True, 0, now)

    def send_error(self, frame: bytes, l3: int, kind: int, code: int, info: int, now: int) -> None:
        """Tells the sender of the packet at l3 what became of it, if it may be told (RFC 1122 3.2.2)."""
        l4 = l3 + (frame[l3] & 15) * 4
        if get16(frame, l3 + 6) & 0x1FFF:
            return  # not the first fragment: it does not say whose it is
        if frame[l3 + 9] == PROTOCOL_ICMP and (l4 >= len(frame) or frame[l4] in _ERRORS):
            return
        sender = frame[l3 + 12 : l3 + 16]
        if sender == bytes(4) or sender[0] >= 224 or not self._allowed(now):
            return
        stop = min(packet_end(frame, l3), l3 + ICMP_ERROR_QUOTE)
        packet = self._message(kind, code, frame[l3:stop])
        put16(packet.header, packet.l4 + 6, info)
        if kind == DESTINATION_UNREACHABLE:
            self.stats.OutDestUnreachs += 1
        elif kind == TIME_EXCEEDED:
            self.stats.OutTimeExcds += 1
        self._send(packet, self._error_source(frame, l3), sender, now)

    def _receive_echo(self, packet: RxPacket, now: int) -> None:
        self.stats.InEchos += 1
        if packet.broadcast:
            return  # net.ipv4.icmp_echo_ignore_broadcasts
        frame, l3, l4 = packet.frame, packet.l3, packet.l4
        answer = self._message(ECHO_REPLY, 0, frame[l4 + _HEADER : packet.stop])
        answer.header[answer.l4 + 4 : answer.l4 + 8] = frame[l4 + 4 : l4 + 8]
        answer.tos = frame[l3 + 1]  # RFC 1122 3.2.2.6
        self.stats.OutEchoReps += 1
        self._send(answer, frame[l3 + 16 : l3 + 20], frame[l3 + 12 : l3 + 16], now)

    def _receive_error(self, packet: RxPacket, code: int, final: bool, info: int, now: int) -> None:
        quote = packet.frame[packet.l4 + _HEADER : packet.stop]
        l4 = (quote[0] & 15) * 4 if quote else 0
        if l4 < 20 or len(quote) < l4 + 8:  # RFC 792 quotes the header and eight octets
            self.stats.InErrors += 1
            return
        handler = self.ip.handlers.get(quote[9])
        if handler is not None:
            handler.error(quote, l4, code, final, info if code == errno.EMSGSIZE else 0, now)

    def _message(self, kind: int, code: int, data: bytes) -> TxPacket:
        packet = self._packet
        packet.reset(PROTOCOL_ICMP, _HEADER)
        packet.header[packet.l4 : packet.l5] = bytes((kind, code, 0, 0, 0, 0, 0, 0))
        packet.payload = data
        packet.length = len(data)
        packet.ttl = self.ip.ttl
        packet.tos = 0
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

    def _allowed(self, now: int) -> bool:
        """RFC 1812 4.3.2.8: errors are limited by a token bucket."""
        refill = (now - self._refilled_at) * ICMP_RATE_PER_SECOND // SECOND
        if refill > 0:
            self._tokens = min(ICMP_RATE_LIMIT, self._tokens + refill)
            self._refilled_at += refill * SECOND // ICMP_RATE_PER_SECOND
        if self._tokens == 0:
            self.stats.OutRateLimitGlobal += 1
            return False
        self._tokens -= 1
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

    def fragmentation_needed(self, packet: RxPacket, mtu: int, now: int) -> None:
        """Code 4 with the next hop's MTU, RFC 1191 4."""
        self._answer(packet, DESTINATION_UNREACHABLE, FRAGMENTATION_NEEDED, mtu, now)

    def host_unreachable(self, frame: bytes, l3: int, now: int) -> None:
        """Code 1, for a frame that waited in vain for its next hop's MAC."""
        self._icmp.send_error(frame, l3, DESTINATION_UNREACHABLE, HOST_UNREACHABLE, 0, now)

    def _answer(self, packet: RxPacket, kind: int, code: int, info: int, now: int) -> None:
        if not packet.broadcast:
            self._icmp.send_error(packet.frame, packet.l3, kind, code, info, now)
