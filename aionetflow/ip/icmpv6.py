"""ICMPv6 on loopback: echo, and port unreachable both ways (RFC 4443).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |     type      |     code      |           checksum            |
    +---------------+---------------+-------------------------------+
    |            identifier and sequence, or unused                 |
    +---------------------------------------------------------------+
    |   echo data, or the IP header and first octets of the packet  |
"""

import errno

from aionetflow.config import ICMPV6_ERROR_SIZE
from aionetflow.fast import verify
from aionetflow.ip.v6 import HEADER_LENGTH, PROTOCOL_ICMPV6, IPv6
from aionetflow.packet import PacketHandler, RxPacket, TxPacket
from aionetflow.stats import Icmp6Stats

DESTINATION_UNREACHABLE = 1
ECHO = 128
ECHO_REPLY = 129
PORT_UNREACHABLE = 4
_HEADER = 8
_HOP_LIMIT = 64


class Icmpv6(PacketHandler):
    """ICMPv6 of one host. Errors are not limited in number: Linux does not limit those on loopback either."""

    def __init__(self, ip: IPv6, stats: Icmp6Stats) -> None:
        self.ip = ip
        self.stats = stats
        self._packet = TxPacket()

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a message that was sent to this host."""
        self.stats.InMsgs += 1
        frame, l4 = packet.frame, packet.l4
        if packet.stop - l4 < _HEADER:
            self.stats.InErrors += 1
        elif not verify(frame, packet.l3, l4, packet.stop, PROTOCOL_ICMPV6):
            self.stats.InCsumErrors += 1
            self.stats.InErrors += 1
        elif frame[l4] == ECHO:
            self.stats.InEchos += 1
            self.stats.OutEchoReplies += 1
            data = frame[l4 + _HEADER : packet.stop]
            self._send(packet, bytes((ECHO_REPLY, 0, 0, 0)) + frame[l4 + 4 : l4 + 8], data, now)
        elif frame[l4] == ECHO_REPLY:
            self.stats.InEchoReplies += 1
        elif frame[l4] == DESTINATION_UNREACHABLE:
            self.stats.InDestUnreachs += 1
            if frame[l4 + 1] == PORT_UNREACHABLE:
                self._receive_refusal(frame[l4 + _HEADER : packet.stop], now)

    def port_unreachable(self, packet: RxPacket, now: int) -> None:
        """Tells a datagram's sender that nobody has the port (RFC 4443 3.1)."""
        self.stats.OutDestUnreachs += 1
        stop = min(packet.stop, packet.l3 + ICMPV6_ERROR_SIZE - HEADER_LENGTH - _HEADER)
        start = bytes((DESTINATION_UNREACHABLE, PORT_UNREACHABLE, 0, 0, 0, 0, 0, 0))
        self._send(packet, start, packet.frame[packet.l3 : stop], now)

    def _receive_refusal(self, quote: bytes, now: int) -> None:
        if len(quote) < HEADER_LENGTH + 8:
            self.stats.InErrors += 1
            return
        handler = self.ip.handlers.get(quote[6])
        if handler is not None:
            handler.error(quote, HEADER_LENGTH, errno.ECONNREFUSED, True, 0, now)

    def _send(self, cause: RxPacket, start: bytes, data: bytes, now: int) -> None:
        """Sends a message to whom a packet came from, from the address that it was sent to."""
        route = self.ip.routes.lookup(cause.source)
        if route is None:
            self.stats.OutErrors += 1
            return
        packet = self._packet
        packet.reset(PROTOCOL_ICMPV6, _HEADER)
        packet.header[packet.l4 : packet.l5] = start
        packet.payload = data
        packet.length = len(data)
        packet.ttl = _HOP_LIMIT
        packet.tos = 0
        self.stats.OutMsgs += 1
        self.ip.output(packet, route, cause.destination, cause.source, now)
