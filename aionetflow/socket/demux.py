"""From an IP packet to the socket that it is for, or to the answer that there is none."""

import errno

from aionetflow.fast import get16, get32
from aionetflow.ip.icmp import IcmpErrorSender
from aionetflow.ip.icmpv6 import Icmp6ErrorSender
from aionetflow.ip.route import IP_PMTUDISC_INTERFACE, UNREACHABLE
from aionetflow.packet import IcmpOrigin, PacketHandler, RxPacket, TxPacket, packet_end
from aionetflow.socket.driver import Driver
from aionetflow.socket.half_open import HalfOpen
from aionetflow.socket.listener import Listener
from aionetflow.socket.ports import connection_key
from aionetflow.socket.table import SocketTable
from aionetflow.stats import TcpStats, UdpStats
from aionetflow.tcp import arrival, reset, timewait
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.segment import ACK, RST, SYN, Segment
from aionetflow.tcp.sequence import seq_between
from aionetflow.tcp.states import CLOSED, TIME_WAIT, Event
from aionetflow.udp.datagram import HEADER_LENGTH, is_intact, is_whole
from aionetflow.widths import i64

_TIMEOUT = int(Event.TIMEOUT)
EMSGSIZE = errno.EMSGSIZE
_UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH)


class TcpDemux(PacketHandler):
    """Hands TCP segments to connections and listeners; answers the rest with a RST."""

    def __init__(self, driver: Driver, half_open: HalfOpen, table: SocketTable, stats: TcpStats) -> None:
        self.driver = driver
        self.half_open = half_open
        self.table = table
        self.stats = stats
        self.segment = Segment()
        self.answer = TxPacket()

    def receive(self, packet: RxPacket, now: i64) -> None:
        """Takes a segment, or a run of them, that was sent to this host."""
        self.stats.InSegs += packet.segments()
        if packet.broadcast:
            return  # RFC 9293 3.9.2.3: TCP is between two
        segment = self.segment
        if not segment.parse(packet):
            self.stats.InErrs += 1
        elif segment.take_payload(packet):
            self._dispatch(packet, segment, now)
        elif packet.count > 1:
            self._receive_each(packet, now)
        else:
            self.stats.InCsumErrors += 1
            self.stats.InErrs += 1

    def error(
        self, quote: bytes, l4: int, code: int, final: bool, info: int, now: i64, origin: IcmpOrigin | None = None
    ) -> None:
        """ICMP reports on a segment of ours (RFC 5927 4.1: only if it is one that is in flight)."""
        key = _quoted_key(quote, l4)
        connection = self.table.connections.get(key)
        if connection is None:
            request = self.half_open.requests.get(key)
            if request is not None:
                gone = code == errno.EPROTO or (code in _UNREACHABLE and not final)
                self.half_open.fail(request, get32(quote, l4 + 4), gone)
            return
        first = connection.snd.iss if connection.is_early() else connection.snd.snd_una
        if seq_between(first, get32(quote, l4 + 4), connection.snd.snd_nxt):
            if code == EMSGSIZE and connection.mtu_discover < IP_PMTUDISC_INTERFACE:
                self.driver.learn_mtu(connection.remote, info, now)
            user = connection.user
            at_once = user is not None and user.hear_icmp(connection, quote[l4:], code, info, origin)
            arrival.receive_icmp(connection, code, at_once, now)
            self.driver.touch(connection)
        else:
            self.stats.OutOfWindowIcmps += 1

    def _dispatch(self, packet: RxPacket, segment: Segment, now: i64) -> None:
        connection = self.table.connection_of(packet)
        if connection is None:
            self._begin(packet, segment, -1, now)
        elif connection.state == TIME_WAIT and self._is_succeeded(connection, segment, now):
            connection.fail(_TIMEOUT, 0)
            self.driver.forget(connection)
            self._begin(packet, segment, timewait.next_iss(connection), now)
        else:
            if connection.state == TIME_WAIT:
                timewait.receive(connection, segment, now)
            else:
                arrival.receive(connection, segment, now)
            self.driver.touch(connection)
            if connection.state == CLOSED:
                self.driver.forget(connection)  # the next segment of this batch finds nobody

    def _begin(self, packet: RxPacket, segment: Segment, iss: i64, now: i64) -> None:
        """A segment for no connection: it may be for one that is half open, or a listener may make one of it.

        iss is the number to begin with, -1 for any.
        """
        half_open = self.half_open
        if half_open.requests:
            request = half_open.requests.get(self.table.key_of_packet(packet))
            if request is not None and half_open.receive(request, packet, segment, now):
                return
        listener = self.table.listener_of(
            packet.destination, segment.destination_port, packet.source, segment.source_port, packet.interface.index
        )  # fmt: skip
        flags = segment.flags & (SYN | ACK | RST)
        if listener is not None and flags == SYN:
            half_open.begin(listener, packet, segment, iss, now)
        elif listener is None or (flags & ACK and not self._returns_cookie(listener, packet, segment, now)):
            self._refuse(packet, segment, now)

    def _returns_cookie(self, listener: Listener, packet: RxPacket, segment: Segment, now: i64) -> bool:
        return segment.flags & (SYN | RST) == 0 and self.half_open.receive_cookie(listener, packet, segment, now)

    def _is_succeeded(self, connection: Connection, segment: Segment, now: i64) -> bool:
        """Whether a segment for a connection in TIME-WAIT begins another instead."""
        if not timewait.is_succeeded_by(connection, segment, now):
            return False
        return self.table.listener_of(connection.local, connection.local_port) is not None

    def _refuse(self, packet: RxPacket, segment: Segment, now: i64) -> None:
        if not reset.answer(self.answer, segment):
            return
        route = self.driver.routes.lookup(packet.source)
        if route is None or route.kind == UNREACHABLE:
            return
        self.stats.OutRsts += 1
        self.stats.OutSegs += 1
        self.driver.transmit(self.answer, route, packet.destination, packet.source, now)

    def _receive_each(self, packet: RxPacket, now: i64) -> None:
        """One of a run has a wrong checksum: each for itself."""
        first, count = packet.first, packet.count
        self.stats.InSegs -= packet.segments()
        packet.count = 1
        for i in range(first, first + count):
            packet.first = i
            packet.frame = packet.frames[i]
            packet.stop = packet_end(packet.frame, packet.l3)
            self.receive(packet, now)
        packet.first = first
        packet.count = count


class UdpDemux(PacketHandler):
    """Hands the datagrams of one IP version to their sockets; answers the rest with ICMP port unreachable."""

    def __init__(self, table: SocketTable, stats: UdpStats, errors: IcmpErrorSender | Icmp6ErrorSender) -> None:
        self.table = table
        self.stats = stats
        self.errors = errors

    def receive(self, packet: RxPacket, now: i64) -> None:
        """Takes a datagram that was sent to this host."""
        if not is_whole(packet):
            self.stats.InErrors += 1
            return
        if not is_intact(packet):
            self.stats.InCsumErrors += 1
            self.stats.InErrors += 1
            return
        frame, l4 = packet.frame, packet.l4
        source, port = packet.source, get16(frame, l4)
        sockets = self.table.datagrams_of(
            source, port, packet.destination, get16(frame, l4 + 2), packet.broadcast, packet.interface.index
        )  # fmt: skip
        if packet.broadcast:
            sockets = [sock for sock in sockets if sock.hears(packet)]
        if not sockets:
            self.stats.NoPorts += 1
            self.errors.port_unreachable(packet, now)
        for sock in sockets:
            if sock.deliver(frame[l4 + HEADER_LENGTH : packet.stop], packet, port, now):
                self.stats.InDatagrams += 1
            else:
                self.stats.RcvbufErrors += 1
                self.stats.InErrors += 1

    def error(
        self, quote: bytes, l4: int, code: int, final: bool, info: int, now: i64, origin: IcmpOrigin | None = None
    ) -> None:
        """ICMP reports on a datagram of ours: its socket is told (Linux __udp4_lib_err)."""
        local, remote = _quoted_addresses(quote)
        port, remote_port = get16(quote, l4), get16(quote, l4 + 2)
        for sock in self.table.datagrams_of(remote, remote_port, local, port, False):
            sock.receive_icmp(quote[l4 + HEADER_LENGTH :], remote, remote_port, code, final, info, origin, now)


def _quoted_key(quote: bytes, l4: int) -> bytes:
    """The key of the connection that sent the segment quoted by an ICMP error."""
    local, remote = _quoted_addresses(quote)
    return connection_key(remote, local, get16(quote, l4 + 2), get16(quote, l4))


def _quoted_addresses(quote: bytes) -> tuple[bytes, bytes]:
    """Source and destination of the packet quoted by an ICMP error."""
    if quote[0] >> 4 == 4:
        return quote[12:16], quote[16:20]
    return quote[8:24], quote[24:40]
