"""MLD: what a host says of its IPv6 groups, and what routers ask (RFC 3810, and RFC 2710 where a router speaks that).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |     type      |     code      |           checksum            |
    +---------------+---------------+-------------------------------+
    |       max response code       |           reserved            |
    +-------------------------------+-------------------------------+
    |                      group address (16)                       |   ... and in a query of version 2
    +-------+-+-----+---------------+-------------------------------+
    |       |S| QRV |     QQIC      |       number of sources       |
    +-------+-+-----+---------------+-------------------------------+
"""

from typing import Any

from aionetflow.config import MILLISECOND, SECOND
from aionetflow.ethernet.interface import Interface
from aionetflow.fast import checksum, get16, pseudo_sum, put16
from aionetflow.ip.address import bare, is_link_local
from aionetflow.ip.multicast import Memberships, Record, Speaker
from aionetflow.ip.v6 import PROTOCOL_ICMPV6, IPv6
from aionetflow.packet import PacketHandler, RxPacket
from aionetflow.sysctl import Sysctl

QUERY, REPORT_V1, DONE_V1, REPORT_V2 = 130, 131, 132, 143
ALL_ROUTERS = b"\xff\2" + bytes(13) + b"\2"
ALL_REPORTED_TO = b"\xff\2" + bytes(13) + b"\x16"  # RFC 3810 5.2.14
_HOP_BY_HOP = bytes((PROTOCOL_ICMPV6, 0, 5, 2, 0, 0, 1, 0))  # router alert: MLD (RFC 2711), and padding
_OLD_QUERIER_TIME = 2 * 125 * SECOND + 10 * SECOND  # RFC 3810 9.12


def code_value(code: int) -> int:
    """What a Maximum Response Code means, in ms (RFC 3810 5.1.3).

    >>> code_value(1000), code_value(0x8000), code_value(0xFFFF)
    (1000, 32768, 8387584)
    """
    return code if code < 32768 else (code & 0xFFF | 0x1000) << ((code >> 12 & 7) + 3)


def packet_of(source: bytes, destination: bytes, message: bytes) -> bytes:
    """The packet that carries a message, whose checksum is put in (RFC 3810 5): hop limit 1, router alert."""
    packet = bytearray(40) + bytearray(_HOP_BY_HOP + message)
    packet[0] = 0x60
    put16(packet, 4, len(packet) - 40)
    packet[7] = 1
    packet[8:24], packet[24:40] = source, destination
    total = pseudo_sum(packet, 0, PROTOCOL_ICMPV6, len(message))
    put16(packet, 50, checksum(packet, 48, len(packet), total))
    return bytes(packet)


class Mld(Speaker, PacketHandler):
    """MLD of one host; `memberships` decides what is said."""

    def __init__(self, ip: IPv6, sysctl: Sysctl) -> None:
        self.ip = ip
        self.memberships: Memberships | None = None
        self._sysctl = sysctl

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a message that ICMPv6 has found to be right; only from the link itself (RFC 3810 6.2)."""
        message = packet.frame[packet.l4 : packet.stop]
        if len(message) < 24 or packet.ttl != 1 or not is_link_local(packet.source) or self.memberships is None:
            return
        interface: Any = packet.interface
        group = message[8:24] if any(message[8:24]) else b""
        if message[0] == REPORT_V1:
            self.memberships.heard_report(interface, group)
        elif message[0] == QUERY and len(message) == 24:
            longest = get16(message, 4) * MILLISECOND
            self.memberships.asked(interface, group, [], longest, True, _OLD_QUERIER_TIME, now)
        elif message[0] == QUERY and len(message) >= 28:
            count = get16(message, 26)
            if len(message) >= 28 + 16 * count:
                sources = [message[28 + 16 * k : 44 + 16 * k] for k in range(count)]
                self.memberships.robustness = message[24] & 7 or self._sysctl.mld_qrv
                longest = max(code_value(get16(message, 4)), 1) * MILLISECOND
                self.memberships.asked(interface, group, sources, longest, False, 0, now)

    def report(self, interface: Interface, records: list[Record], now: int) -> None:
        """Sends version 2 reports, as many as it takes."""
        room = interface.mtu - 40 - 8 - 8
        message, count = b"", 0
        for record in records:
            sources = record.sources[: (room - 20) // 16]
            if len(message) + 20 + 16 * len(sources) > room:
                self._send_report(interface, message, count, now)
                message, count = b"", 0
            message += bytes((record.kind, 0)) + len(sources).to_bytes(2, "big") + record.group + b"".join(sources)
            count += 1
        self._send_report(interface, message, count, now)

    def report_old(self, interface: Interface, group: bytes, now: int) -> None:
        """Sends a version 1 report, to the group itself."""
        self._send(interface, group, bytes((REPORT_V1, 0, 0, 0, 0, 0, 0, 0)) + group, now)

    def leave_old(self, interface: Interface, group: bytes, now: int) -> None:
        """Sends a version 1 done, to all routers."""
        self._send(interface, ALL_ROUTERS, bytes((DONE_V1, 0, 0, 0, 0, 0, 0, 0)) + group, now)

    def _send_report(self, interface: Interface, records: bytes, count: int, now: int) -> None:
        start = bytes((REPORT_V2, 0, 0, 0, 0, 0)) + count.to_bytes(2, "big")
        self._send(interface, ALL_REPORTED_TO, start + records, now)

    def _send(self, interface: Interface, destination: bytes, message: bytes, now: int) -> None:
        if interface is self.ip.loopback:
            return
        source = bare(interface.link_local) or bytes(16)
        self.ip.stats.OutRequests += 1
        interface.output_whole([packet_of(source, destination, message)], destination, now)
