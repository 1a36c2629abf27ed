"""Drives the connections of one host: sends what they have to send, wakes their users, keeps their timers.

Connections wait on a list while something about them has changed, and in a heap for their next deadline. Re-arming a
timer is storing a number in the connection; the heap's entry is put right when it comes up (or at once, if the new
deadline is earlier).
"""

from heapq import heappop, heappush

from aionetflow.config import NEVER, TIME_WAIT_TIME
from aionetflow.ip.route import IP_PMTUDISC_DO, IP_PMTUDISC_WANT, UNREACHABLE, Route, RoutingTable
from aionetflow.ip.v4 import PROTOCOL_TCP, IPv4
from aionetflow.ip.v6 import IPv6
from aionetflow.packet import TxPacket
from aionetflow.socket.table import SocketTable
from aionetflow.stats import TcpStats
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.departure import expire, output
from aionetflow.tcp.states import CLOSED, FIN_WAIT_2, TIME_WAIT, Event
from aionetflow.tcp.timewait import may_reuse, next_iss
from aionetflow.widths import i64

_TIMEOUT = int(Event.TIMEOUT)
_WANT = IP_PMTUDISC_WANT
_DO = IP_PMTUDISC_DO


class Driver:
    """What keeps the connections of one host going."""

    def __init__(self, ip: IPv4, ip6: IPv6, routes: RoutingTable, table: SocketTable, stats: TcpStats) -> None:
        self.ip = ip
        self.ip6 = ip6
        self.routes = routes
        self.table = table
        self.stats = stats
        self.packet = TxPacket()
        self.time_wait = 0  # connections in TIME-WAIT
        self._changed: list[Connection] = []
        self._spare: list[Connection] = []  # becomes the list of changes while that is worked on
        self._heap: list[tuple[int, int, Connection]] = []
        self._unscheduled: list[Connection] = []  # their next deadline may be before their entry in the heap
        self._order: i64 = 0

    def touch(self, connection: Connection) -> None:
        """Something about the connection has changed: it may have segments to send, or news for its user."""
        if not connection.queued:
            connection.queued = True
            self._changed.append(connection)

    def run(self, now: i64) -> None:
        """Wakes the users of all that has changed, then sends what is due.

        In that order, so that data which a user writes at once carries the acknowledgment of what woke it.
        """
        while self._changed:
            changed, self._changed = self._changed, self._spare
            try:
                for connection in changed:
                    connection.queued = False
                    if connection.wake:
                        self._tell(connection)
                for connection in changed:
                    self._send(connection, now)
            finally:
                changed.clear()
                self._spare = changed

    def deadline(self) -> i64:
        """When expire is to be called: no connection's deadline is earlier."""
        if self._unscheduled:
            self._schedule_all()
        return self._heap[0][0] if self._heap else NEVER

    def expire(self, now: i64) -> None:
        """Lets the connections whose deadline has come do what is due."""
        self._schedule_all()
        while self._heap and self._heap[0][0] <= now:
            when, _, connection = heappop(self._heap)
            if when != connection.scheduled_at:
                continue  # an earlier entry took its place
            connection.scheduled_at = NEVER
            if connection.timers.deadline() <= now:
                expire(connection, now)
                self.touch(connection)
            else:
                self._schedule(connection)

    def learn_mtu(self, destination: bytes, mtu: int, now: i64) -> None:
        """ICMP says that the way to a destination takes packets of mtu octets: all connections to there go by that."""
        route = self.ip.learn_mtu(destination, mtu, now)
        for connection in self.table.connections.values():
            if route is not None and connection.remote == destination:
                connection.route = route

    def take_over(self, key: bytes, now: i64) -> i64:
        """Ends what is in TIME-WAIT under a key, if that is allowed: the number to go on with, or -1."""
        old = self.table.connections.get(key)
        if old is None or not may_reuse(old, now):
            return -1
        old.fail(_TIMEOUT, 0)
        self.forget(old)
        self.stats.TWRecycled += 1
        return next_iss(old)

    def transmit(self, packet: TxPacket, route: Route, source: bytes, destination: bytes, now: i64) -> None:
        """Hands a packet of a transport to the IP layer of its addresses' family."""
        if len(destination) == 4:
            self.ip.output(packet, route, source, destination, now)
        else:
            self.ip6.output(packet, route, source, destination, now)

    def _tell(self, connection: Connection) -> None:
        connection.wake = False
        user = connection.user
        if user is not None:
            user.changed(connection)

    def _send(self, connection: Connection, now: i64) -> None:
        if connection.retries > 0:
            # the way may have changed since it worked (Linux dst_negative_advice)
            route = self.routes.lookup_by(connection.remote, connection.device)
            if route is not None and route.kind != UNREACHABLE:
                connection.route = route
        packet = self.packet
        while output(connection, packet, now):
            packet.ttl = connection.ttl
            packet.tos = connection.tos | packet.ecn
            count = packet.count()
            self.stats.OutSegs += count
            connection.segs_out += count
            if packet.length:
                connection.data_segs_out += count
            if not connection.numbered:
                packet.ident = 0  # Linux: numbers are the socket's, and there is none left, nor need for any
            elif packet.ident == connection.ident:
                connection.ident = (connection.ident + count) & 0xFFFF
            if connection.mtu_discover != _WANT:
                packet.dont_fragment = connection.mtu_discover == _DO
            elif connection.route.locked:
                packet.dont_fragment = not connection.route.is_locked(now)
            self.transmit(packet, connection.route, connection.local, connection.remote, now)
        if connection.state == TIME_WAIT or connection.state == FIN_WAIT_2:
            self._let_go(connection, now)
        if connection.state == CLOSED:
            self.forget(connection)
        elif connection.timers.deadline() < connection.scheduled_at and not connection.unscheduled:
            # not before all is done that happens now: what it waits for may be on its way
            connection.unscheduled = True
            self._unscheduled.append(connection)

    def _let_go(self, connection: Connection, now: i64) -> None:
        """Linux tcp_time_wait: what waits for 2 MSL, or without a user for the peer's FIN, is no socket any more."""
        if connection.state == TIME_WAIT:
            connection.numbered = False
            if not connection.waiting:
                self._count_waiting(connection)
        elif connection.user is None and connection.timers.wait <= now + TIME_WAIT_TIME:
            connection.numbered = False

    def _count_waiting(self, connection: Connection) -> None:
        """Linux inet_twsk_alloc: a host keeps only so many connections in TIME-WAIT."""
        connection.waiting = True
        self.time_wait += 1
        self.stats.TW += 1
        if self.time_wait > self.table.sysctl.tcp_max_tw_buckets:
            self.stats.TCPTimeWaitOverflow += 1
            connection.fail(_TIMEOUT, 0)

    def _schedule_all(self) -> None:
        for connection in self._unscheduled:
            connection.unscheduled = False
            self._schedule(connection)
        self._unscheduled.clear()

    def _schedule(self, connection: Connection) -> None:
        deadline = connection.timers.deadline()
        if deadline < connection.scheduled_at:
            connection.scheduled_at = deadline
            self._order += 1
            heappush(self._heap, (deadline, self._order, connection))

    def forget(self, connection: Connection) -> None:
        """A connection is over: its place in the table is free, and its port if no socket keeps it."""
        hold = self.table.remove(connection)
        if connection.waiting:
            connection.waiting = False
            self.time_wait -= 1
        if hold is not None and not (hold.locked and connection.user is not None):
            self.table.release(PROTOCOL_TCP, hold)
