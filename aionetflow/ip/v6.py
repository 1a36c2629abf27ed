"""IPv6 on the host's own loopback: headers in and out, delivery to the transports (RFC 8200).

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

No packet leaves the host or is forwarded. Extension headers are not read: a packet that has one is counted and dropped,
as one for a protocol that nobody takes.
"""

from aionetflow.fast import get16
from aionetflow.ip.route import LOCAL, Route, RoutingTable
from aionetflow.packet import PacketHandler, RxPacket, TxPacket
from aionetflow.stats import Ip6Stats
from aionetflow.widths import i64

HEADER_LENGTH = 40
PROTOCOL_ICMPV6 = 58
_TCP = 6


class IPv6(PacketHandler):
    """The IPv6 layer of one host."""

    def __init__(self, routes: RoutingTable, stats: Ip6Stats) -> None:
        self.routes = routes
        self.stats = stats
        self.handlers: dict[int, PacketHandler] = {}  # by protocol number

    def receive(self, packet: RxPacket, now: i64) -> None:
        """Takes a packet, finds how many of the frames behind it continue it, and delivers them."""
        self.stats.InReceives += 1
        if not self._parse(packet):
            self.stats.InHdrErrors += 1
            return
        frame, l3 = packet.frame, packet.l3
        packet.source = frame[l3 + 8 : l3 + 24]
        packet.destination = frame[l3 + 24 : l3 + 40]
        route = self.routes.lookup(packet.destination)
        if frame[l3 + 8] == 0xFF or route is None or route.kind != LOCAL:  # RFC 4291 2.7: a group sends nothing
            self.stats.InAddrErrors += 1
            return
        handler = self.handlers.get(packet.protocol)
        if handler is None:
            self.stats.InUnknownProtos += 1
            return
        self.stats.InDelivers += 1
        handler.receive(packet, now)

    def output(self, packet: TxPacket, route: Route, source: bytes, destination: bytes, now: i64) -> None:
        """Writes the header in front of a transport's and hands the packet to the route's interface."""
        header = packet.header
        l3 = packet.l4 - 40
        packet.l3 = l3
        header[l3] = 0x60 | packet.tos >> 4
        header[l3 + 1] = packet.tos << 4 & 0xF0
        header[l3 + 2] = 0
        header[l3 + 3] = 0
        header[l3 + 6] = packet.protocol
        header[l3 + 7] = packet.ttl
        header[l3 + 8 : l3 + 24] = source
        header[l3 + 24 : l3 + 40] = destination
        self.stats.OutRequests += 1
        route.interface.output(packet, route.via or destination, now)  # which writes the payload's length

    def _parse(self, packet: RxPacket) -> bool:
        """RFC 8200 3: version and length."""
        frame, l3 = packet.frame, packet.l3
        if len(frame) < l3 + 40 or frame[l3] >> 4 != 6:
            return False
        packet.l4 = l3 + 40
        packet.stop = packet.l4 + get16(frame, l3 + 4)
        packet.protocol = frame[l3 + 6]
        packet.ttl = frame[l3 + 7]
        if packet.stop > len(frame):
            return False
        if packet.protocol == _TCP:
            packet.merge()
        return True
