"""Echo sockets: SOCK_DGRAM with IPPROTO_ICMP or IPPROTO_ICMPV6, which ping(8) uses (Linux net/ipv4/ping.c).

What is sent is an echo request from its type on, whose identifier and checksum the host writes; what is read is an echo
reply. The identifier is the socket's port. Unlike on Linux, whose net.ipv4.ping_group_range lets nobody by default,
everybody may have one.
"""

import errno
from typing import ClassVar

from aionetflow.errors import os_error
from aionetflow.fast import get16
from aionetflow.ip.address import AF_INET, Address
from aionetflow.ip.icmp import ECHO
from aionetflow.ip.icmpv6 import ECHO as ECHO6
from aionetflow.ip.route import Route
from aionetflow.ip.v4 import PROTOCOL_ICMP
from aionetflow.ip.v6 import PROTOCOL_ICMPV6
from aionetflow.packet import IcmpOrigin, PacketHandler, RxPacket, TxPacket
from aionetflow.socket.base import Owner
from aionetflow.socket.data import Buffer, DataSocket
from aionetflow.socket.datagram import DatagramSocket
from aionetflow.socket.driver import Driver
from aionetflow.socket.services import Services
from aionetflow.stats import Stats
from aionetflow.widths import i64

HEADER_LENGTH = 8
_UDP_HEADER = 8


class Pings(PacketHandler):
    """The echo sockets of one host and one protocol, and who of them gets a reply."""

    def __init__(self, driver: Driver, stats: Stats) -> None:
        self.sockets: dict[int, list[PingSocket]] = {}  # by identifier
        self._driver = driver
        self._stats = stats
        self._packet = TxPacket()

    def send(
        self, sock: "PingSocket", message: bytes, route: Route, source: bytes, remote: bytes, now: i64
    ) -> None:
        """Sends an echo request, whose identifier is the socket's port."""
        packet = self._packet
        packet.reset(sock.proto, HEADER_LENGTH)
        ident = sock.local_port.to_bytes(2, "big")
        packet.header[packet.l4 : packet.l5] = message[:2] + bytes(2) + ident + message[6:8]
        packet.payload = message[HEADER_LENGTH:]
        packet.length = len(packet.payload)
        sock.mark(packet, route, remote, now)
        stats = self._stats.icmp if len(remote) == 4 else self._stats.icmp6
        stats.OutMsgs += 1
        stats.OutEchos += 1
        self._driver.transmit(packet, route, source, remote, now)

    def receive(self, packet: RxPacket, now: i64) -> None:
        """Takes an echo reply that was sent to this host."""
        ident = get16(packet.frame, packet.l4 + 4)
        for sock in self._fitting(ident, packet.source, packet.destination):
            sock.deliver(packet.frame[packet.l4 : packet.stop], packet, 0, now)

    def error(
        self, quote: bytes, l4: int, code: int, final: bool, info: int, now: i64, origin: IcmpOrigin | None = None
    ) -> None:
        """ICMP reports on an echo request (Linux ping_err)."""
        local, remote = (quote[12:16], quote[16:20]) if quote[0] >> 4 == 4 else (quote[8:24], quote[24:40])
        for sock in self._fitting(get16(quote, l4 + 4), remote, local):
            sock.receive_icmp(quote[l4:], remote, 0, code, final, info, origin, now)

    def _fitting(self, ident: int, source: bytes, destination: bytes) -> "list[PingSocket]":
        return [sock for sock in self.sockets.get(ident, []) if sock.fits(source, sock.remote_port, destination)][:1]


class PingSocket(DatagramSocket):
    """An echo socket."""

    netid = "icmp"
    protocols: ClassVar[dict[int, int]] = {PROTOCOL_ICMP: ECHO, PROTOCOL_ICMPV6: ECHO6}

    def __init__(self, services: Services, fd: int, owner: Owner, family: int, pings: Pings) -> None:
        super().__init__(services, fd, owner, family)
        self.proto = PROTOCOL_ICMP if family == AF_INET else PROTOCOL_ICMPV6
        self._pings = pings
        self._connected = False

    def connect(self, address: Address) -> None:
        """Sets where send() sends to, and whose replies are received; the port means nothing."""
        super().connect(address)
        self._connected = True

    def is_connected(self) -> bool:
        """Whether connect() was called."""
        return self._connected

    def sendto(self, data: Buffer, address: Address, flags: int = 0) -> int:
        """Sends an echo request (sendto(2)): its length. The port of the address means nothing.

        Raises OSError: EINVAL if it is none, and as `DatagramSocket.sendto`.
        """
        self.check_open()
        remote, port = self.pack(address)
        return self._send(data, self.reached_by(remote), port, flags)

    def close(self) -> None:
        """Gives the socket and its identifier up (close(2))."""
        if self.closed:
            return
        if self.hold is not None:
            self._pings.sockets[self.local_port].remove(self)
            if not self._pings.sockets[self.local_port]:
                del self._pings.sockets[self.local_port]
            self._services.table.release(self.proto, self.hold)
            self.hold = None
        super().close()

    def _send(self, data: Buffer, remote: bytes, port: int, flags: int) -> int:
        message = bytes(memoryview(data))
        if len(message) < HEADER_LENGTH:
            raise os_error(errno.EINVAL)
        if len(message) > 0xFFFF:
            raise os_error(errno.EMSGSIZE)
        if message[0] != self.protocols[self.proto] or message[1]:
            raise os_error(errno.EINVAL)  # Linux ping_supported
        return super()._send(message, remote, port, flags)

    def _limit(self, route: Route, remote: bytes) -> i64:
        return super()._limit(route, remote) + _UDP_HEADER  # which it has not

    def _transmit(self, payload: bytes, route: Route, source: bytes, remote: bytes, port: int) -> None:
        self._pings.send(self, payload, route, source, remote, self._services.clock.now())
        self._services.run()

    def _hold_port(self, address: bytes, port: int) -> None:
        DataSocket._hold_port(self, address, port)
        self._pings.sockets.setdefault(self.local_port, []).append(self)
