"""IGMP: what a host says of its groups, and what routers ask (RFC 3376, and RFC 2236 where a router speaks that).

     0               1               2               3
    +---------------+---------------+-------------------------------+
    |     type      | max resp code |           checksum            |
    +---------------+---------------+-------------------------------+
    |                         group address                         |   ... and in a query of version 3
    +-------+-+-----+---------------+-------------------------------+
    |       |S| QRV |     QQIC      |       number of sources       |
    +-------+-+-----+---------------+-------------------------------+
"""

from typing import Any

from aionetflow.config import SECOND
from aionetflow.ethernet.addresses import source_address
from aionetflow.ethernet.interface import Interface
from aionetflow.fast import checksum, get16, put16
from aionetflow.ip.multicast import Memberships, Record, Speaker
from aionetflow.ip.v4 import IPv4
from aionetflow.packet import PacketHandler, RxPacket

PROTOCOL_IGMP = 2
QUERY, REPORT_V2, LEAVE_V2, REPORT_V3 = 0x11, 0x16, 0x17, 0x22
ALL_ROUTERS = bytes((224, 0, 0, 2))
ALL_REPORTED_TO = bytes((224, 0, 0, 22))  # RFC 3376 4.2.14
_ALERT = bytes((0x94, 4, 0, 0))  # RFC 2113
_DECISECOND = SECOND // 10
_OLD_RESPONSE = 10 * SECOND  # RFC 2236 8.3
_OLD_QUERIER_TIME = 2 * 125 * SECOND + _OLD_RESPONSE  # RFC 3376 8.12
_INTERNETWORK_CONTROL = 0xC0


def code_value(code: int) -> int:
    """What Max Resp Code and QQIC mean (RFC 3376 4.1.1).

    >>> code_value(100), code_value(0x80), code_value(0xFF)
    (100, 128, 31744)
    """
    return code if code < 128 else (code & 15 | 16) << ((code >> 4 & 7) + 3)


def packet_of(source: bytes, destination: bytes, message: bytes) -> bytes:
    """The packet that carries a message, whose checksum is put in (RFC 3376 4): TTL 1, router alert."""
    packet = bytearray(24) + bytearray(message)
    packet[0], packet[1] = 0x46, _INTERNETWORK_CONTROL
    put16(packet, 2, len(packet))
    put16(packet, 6, 0x4000)
    packet[8], packet[9] = 1, PROTOCOL_IGMP
    packet[12:16], packet[16:20], packet[20:24] = source, destination, _ALERT
    put16(packet, 26, checksum(packet, 24, len(packet)))
    put16(packet, 10, checksum(packet, 0, 24))
    return bytes(packet)


class Igmp(Speaker, PacketHandler):
    """IGMP of one host; `memberships` decides what is said."""

    def __init__(self, ip: IPv4) -> None:
        self.ip = ip
        self.memberships: Memberships | None = None

    def receive(self, packet: RxPacket, now: int) -> None:
        """Takes a message; whatever is wrong with it, it is dropped without a word (RFC 3376 4)."""
        message = packet.frame[packet.l4 : packet.stop]
        if len(message) < 8 or checksum(message, 0, len(message)) != 0 or self.memberships is None:
            return
        interface: Any = packet.interface
        group = message[4:8] if any(message[4:8]) else b""
        if message[0] in (REPORT_V2, 0x12):
            if packet.interface is not self.ip.loopback and not self._is_own(packet):
                self.memberships.heard_report(interface, group)
        elif message[0] == QUERY and len(message) == 8:
            longest = message[1] * _DECISECOND or _OLD_RESPONSE
            self.memberships.asked(interface, group, [], longest, True, _OLD_QUERIER_TIME, now)
        elif message[0] == QUERY and len(message) >= 12:
            count = get16(message, 10)
            if len(message) >= 12 + 4 * count:
                sources = [message[12 + 4 * k : 16 + 4 * k] for k in range(count)]
                self.memberships.robustness = message[8] & 7 or self.ip.sysctl.igmp_qrv
                longest = max(code_value(message[1]), 1) * _DECISECOND
                self.memberships.asked(interface, group, sources, longest, False, 0, now)

    def report(self, interface: Interface, records: list[Record], now: int) -> None:
        """Sends version 3 reports, as many as it takes."""
        room = (interface.mtu - 24 - 8) // 4  # words
        message, count = b"", 0
        for record in records:
            sources = record.sources[: room - 2]
            if len(message) // 4 + 2 + len(sources) > room:
                self._send_report(interface, message, count, now)
                message, count = b"", 0
            message += bytes((record.kind, 0)) + len(sources).to_bytes(2, "big") + record.group + b"".join(sources)
            count += 1
        self._send_report(interface, message, count, now)

    def report_old(self, interface: Interface, group: bytes, now: int) -> None:
        """Sends a version 2 report, to the group itself."""
        self._send(interface, group, bytes((REPORT_V2, 0, 0, 0)) + group, now)

    def leave_old(self, interface: Interface, group: bytes, now: int) -> None:
        """Sends a version 2 leave, to all routers."""
        self._send(interface, ALL_ROUTERS, bytes((LEAVE_V2, 0, 0, 0)) + group, now)

    def _send_report(self, interface: Interface, records: bytes, count: int, now: int) -> None:
        start = bytes((REPORT_V3, 0, 0, 0, 0, 0)) + count.to_bytes(2, "big")
        self._send(interface, ALL_REPORTED_TO, start + records, now)

    def _send(self, interface: Interface, destination: bytes, message: bytes, now: int) -> None:
        if interface is self.ip.loopback:
            return
        source = source_address(interface.addresses, destination) or bytes(4)
        self.ip.stats.OutRequests += 1
        interface.output_whole([packet_of(source, destination, message)], destination, now)

    def _is_own(self, packet: RxPacket) -> bool:
        interface: Any = packet.interface
        return any(entry.address == packet.source for entry in interface.addresses)
