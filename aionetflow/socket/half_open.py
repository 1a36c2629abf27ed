"""What a host does with SYNs to its listeners, and with what comes for the half-open connections that they make.

As Linux: tcp_conn_request, tcp_check_req, reqsk_timer_handler. A half-open connection is a Request; it becomes a
Connection when its handshake ends. When a listener has too many of them, none is kept: the answer's sequence number
says all that must be known when it comes back (tcp/syncookies.py).
"""

from aionetflow.config import MILLISECOND, NEVER, RTO_INITIAL, RTO_MAX
from aionetflow.ip.route import UNREACHABLE, Route
from aionetflow.packet import RxPacket, TxPacket
from aionetflow.socket.driver import Driver
from aionetflow.socket.listener import Listener
from aionetflow.socket.services import Services
from aionetflow.stats import TcpStats
from aionetflow.sysctl import Sysctl
from aionetflow.tcp import arrival, departure, reset
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.early_data import take_syn
from aionetflow.tcp.handshake import emit_syn, open_passively, resume_passively
from aionetflow.tcp.request import Request, Row
from aionetflow.tcp.segment import ACK, FIN, PROTOCOL, RST, SYN, Segment
from aionetflow.tcp.sequence import seq_add, seq_sub
from aionetflow.tcp.states import SYN_RECEIVED
from aionetflow.tcp.syncookies import Carried, SynCookies, stamp
from aionetflow.widths import i64, u32

_SYN_COOKIES_ALWAYS = 2
_FEW = 8  # Linux: so many half-open connections are never too many


class HalfOpen:
    """The half-open connections of one host."""

    def __init__(self, services: Services, driver: Driver) -> None:
        self.driver = driver
        self.requests: dict[bytes, Request] = {}
        self.deadline: i64 = NEVER  # when to call expire: no request is due earlier
        self._services = services
        self._cookies: SynCookies | None = None
        self._rows: list[Row] = []  # by how often they were not acknowledged in time
        self._syn = Segment()
        self._packet = TxPacket()
        self._stats: TcpStats = driver.stats
        self._sysctl: Sysctl = driver.table.sysctl

    # A SYN ----------------------------------------------------------------------------------------------------------

    def begin(self, listener: Listener, packet: RxPacket, segment: Segment, iss: i64, now: i64) -> None:
        """RFC 9293 3.10.7.2, Linux tcp_conn_request: a SYN for a listener.

        iss is the number to begin with, -1 for any; where one is given the peer is real, and finds room.
        """
        if segment.flags & FIN:
            return  # Linux tcp_rcv_state_process
        cookie = False
        if iss < 0 and (self._sysctl.tcp_syncookies == _SYN_COOKIES_ALWAYS or listener.half_open > listener.backlog):
            if self._sysctl.tcp_syncookies == 0:
                self._stats.TCPReqQFullDrop += 1
                self._stats.ListenDrops += 1
                return
            self._stats.TCPReqQFullDoCookies += 1
            cookie = True
        route = self.driver.routes.lookup_by(packet.source, listener.device)
        if listener.is_full() or route is None or route.kind == UNREACHABLE or self._is_crowded(listener, iss):
            self._stats.ListenDrops += 1
            return
        key = self.driver.table.key_of_packet(packet)
        local, remote = packet.destination, packet.source
        if cookie:
            self._send_cookie(listener, key, route, packet, segment, now)
            return
        first = iss if iss >= 0 else self._services.isn.initial(key, now)
        if listener.fast_open is not None and listener.fast_open.admits(segment, remote, local, now):
            self._open_early(listener, route, packet, segment, first, now)
            return
        request = Request(listener, key, route, local, remote, first, segment, now)
        self.requests[key] = request
        listener.half_open += 1
        listener.young += 1
        self._wait(request, now)
        self._send_syn_ack(listener, request, segment, now)

    def _open_early(
        self, listener: Listener, route: Route, packet: RxPacket, segment: Segment, iss: u32, now: i64
    ) -> None:
        """RFC 7413 4.2.2: a SYN makes a connection, which can be accepted before its SYN-ACK is acknowledged."""
        queue = listener.fast_open
        assert queue is not None
        connection = self._connection(
            listener, route, packet.destination, packet.source, segment.source_port, iss
        )  # fmt: skip
        open_passively(connection, segment, now)
        take_syn(connection, segment, queue.child())
        connection.user = listener
        self._stats.PassiveOpens += 1
        listener.enqueue(connection)
        self.driver.touch(connection)

    def _is_crowded(self, listener: Listener, iss: i64) -> bool:
        """Without cookies the last quarter of the queue is for peers that are known, which here none is."""
        if iss >= 0 or self._sysctl.tcp_syncookies:
            return False
        most = self._sysctl.tcp_max_syn_backlog
        return most - listener.half_open < most >> 2

    def _send_cookie(
        self, listener: Listener, key: bytes, route: Route, packet: RxPacket, segment: Segment, now: i64
    ) -> None:
        if self._cookies is None:
            self._cookies = SynCookies(self._services.random)
        iss = self._cookies.make(key, segment, self._syn, now)
        listener.overflowed_at = now
        self._stats.SyncookiesSent += 1
        template = self._template(listener, route, packet.destination, packet.source, segment.source_port, iss)
        open_passively(template, self._syn, now)
        if template.timestamps:
            scale = template.snd.snd_wscale if template.scaling else -1
            clock = seq_sub(template.tsval(now), template.ts_offset)
            stamped = stamp(clock, Carried(scale, template.recovery.selective, template.ecn))
            template.ts_offset = seq_sub(seq_add(template.ts_offset, stamped), clock)
        emit_syn(template, self._packet, now)
        self._transmit(template, now)

    # An answer ------------------------------------------------------------------------------------------------------

    def receive(self, request: Request, packet: RxPacket, segment: Segment, now: i64) -> bool:
        """A segment for a half-open connection (Linux tcp_check_req); False if it is rather one for the listener."""
        listener: Listener = request.listener
        if listener.closed:
            self._drop(request)
            return False
        flags = segment.flags
        if flags & (SYN | ACK | RST) == SYN and request.is_repeated_by(segment):
            if not self._was_answered(request, segment, now):
                self._leave(request)
                self._wait(request, now)
                self._send_again(listener, request, now)
            return True
        if flags & ACK and segment.ack != seq_add(request.iss, 1):
            return False
        if not request.acceptable(segment, listener.window()) or flags & (SYN | RST):
            self._refuse(listener, request, segment, now)
        elif flags & ACK:
            self._finish(listener, request, segment, now)
        return True

    def _refuse(self, listener: Listener, request: Request, segment: Segment, now: i64) -> None:
        """What is out of the window is answered by an ACK; so is a RST in it whose number is not exact, and, other
        than by Linux, a SYN in it (RFC 5961 3.2, 4.2), as otherwise a guess among 65536 would do.
        """
        if request.is_reset_by(segment):
            self._stats.AttemptFails += 1
            self._stats.EmbryonicRsts += 1
            self._drop(request)
            return
        if segment.flags & RST and not request.acceptable(segment, listener.window()):
            return
        if not self._was_answered(request, segment, now):
            if segment.flags & RST:
                self._stats.TCPChallengeACK += 1
            template = self._answering(listener, request)
            open_passively(template, self._syn, now)
            template.syn_due = False
            template.need_ack = True
            if departure.output(template, self._packet, now):
                self._transmit(template, now)

    def _finish(self, listener: Listener, request: Request, segment: Segment, now: i64) -> None:
        """The handshake's last ACK: TCP_DEFER_ACCEPT may want more, and the accept queue must have room."""
        bare = segment.length == 0 and not segment.flags & FIN
        if request.timeouts < listener.defer_rounds and bare:
            request.acknowledged = True
            self._stats.TCPDeferAcceptDrop += 1
            return
        if listener.is_full():
            self._stats.ListenDrops += 1
            if self._sysctl.tcp_abort_on_overflow:
                self._stats.EmbryonicRsts += 1
                self._drop(request)
                self._reset(request, segment, now)
            else:
                request.acknowledged = True  # and the answer will be sent again, in the hope of room
            return
        connection = self._connection(
            listener, request.route, request.local, request.remote, request.remote_port, request.iss
        )  # fmt: skip
        request.fill(self._syn)
        sent_at = NEVER if request.retransmitted else request.sent_at
        resume_passively(connection, self._syn, sent_at, request.timeouts, now)
        if self._establish(listener, connection, segment, now):
            self._drop(request)
        else:
            self._refuse(listener, request, segment, now)

    def receive_cookie(self, listener: Listener, packet: RxPacket, segment: Segment, now: i64) -> bool:
        """An ACK that belongs to nothing may return a cookie (Linux cookie_v4_check); False if it does not."""
        cookies = self._cookies
        if cookies is None or not self._sysctl.tcp_syncookies or not cookies.are_awaited(listener.overflowed_at, now):
            return False
        key = self.driver.table.key_of_packet(packet)
        offset = self._services.timestamp_offset(packet.destination, packet.source)
        if not cookies.take(key, segment, self._syn, offset, now):
            self._stats.SyncookiesFailed += 1
            return False
        self._stats.SyncookiesRecv += 1
        route = self.driver.routes.lookup_by(packet.source, listener.device)
        if route is None or route.kind == UNREACHABLE or listener.is_full():
            self._stats.ListenDrops += 1
            return True
        iss = seq_sub(segment.ack, 1)
        connection = self._connection(
            listener, route, packet.destination, packet.source, segment.source_port, iss
        )  # fmt: skip
        resume_passively(connection, self._syn, NEVER, 0, now)
        self._establish(listener, connection, segment, now)
        return True

    def _connection(
        self, listener: Listener, route: Route, local: bytes, remote: bytes, remote_port: int, iss: u32
    ) -> Connection:
        """The control block of a connection to a listener, entered into the table."""
        port = listener.hold.port
        connection: Connection = listener.make(route, local, port, remote, remote_port, iss)
        table = self.driver.table
        table.add(connection, table.share(PROTOCOL, local, port, listener.reuse, listener.reuse_port))
        return connection

    def _establish(self, listener: Listener, connection: Connection, segment: Segment, now: i64) -> bool:
        """Lets a connection have the ACK that opens it; False if it did not take it (RFC 7323 5: an old one)."""
        connection.user = listener
        arrival.receive(connection, segment, now)
        if connection.state == SYN_RECEIVED:
            connection.user = None
            self.driver.forget(connection)
            return False
        self._stats.PassiveOpens += 1
        listener.enqueue(connection)
        self.driver.touch(connection)
        return True

    def fail(self, request: Request, seq: u32, final: bool) -> None:
        """ICMP reports on our SYN-ACK (Linux tcp_req_err); final: nothing will get there."""
        if seq != request.iss:
            self._stats.OutOfWindowIcmps += 1
        elif final:
            self._stats.ListenDrops += 1
            self._drop(request)

    # Time -----------------------------------------------------------------------------------------------------------

    def expire(self, now: i64) -> None:
        """Sends again what was not acknowledged in time, or gives it up."""
        for row in tuple(self._rows):
            while row.first is not None and row.first.due <= now:
                self._expire(row.first, now)
        self.deadline = NEVER
        for row in self._rows:
            if row.first is not None:
                self.deadline = min(self.deadline, row.first.due)

    def _expire(self, request: Request, now: i64) -> None:
        """Linux reqsk_timer_handler and syn_ack_recalc."""
        listener: Listener = request.listener
        if listener.closed:
            self._drop(request)
            return
        self._stats.TCPTimeouts += 1
        again, over = True, request.timeouts >= self._patience(listener)
        if listener.defer_rounds:
            over = over and (not request.acknowledged or request.timeouts >= listener.defer_rounds)
            again = not request.acknowledged or request.timeouts >= listener.defer_rounds - 1
        if over:
            self._drop(request)
            return
        self._leave(request)
        if request.timeouts == 0:
            listener.young -= 1
        request.timeouts += 1
        self._wait(request, now)
        if again:
            self._send_again(listener, request, now)

    def _patience(self, listener: Listener) -> int:
        """How often an answer is sent again: less often when old requests take the room of young ones."""
        patience = listener.syn_retries or self._sysctl.tcp_synack_retries
        if 2 * listener.half_open > max(_FEW, listener.backlog):
            young = 2 * listener.young
            while patience > 2 and listener.half_open >= young:
                patience -= 1
                young *= 2
        return patience

    def _wait(self, request: Request, now: i64) -> None:
        while len(self._rows) <= request.timeouts:
            self._rows.append(Row())
        delay = RTO_MAX if request.timeouts > 6 else min(RTO_INITIAL << request.timeouts, RTO_MAX)
        request.due = now + delay
        self._rows[request.timeouts].append(request)
        self.deadline = min(self.deadline, request.due)

    def _leave(self, request: Request) -> None:
        self._rows[request.timeouts].remove(request)

    def _drop(self, request: Request) -> None:
        listener: Listener = request.listener
        self._leave(request)
        del self.requests[request.key]
        listener.half_open -= 1
        if request.timeouts == 0:
            listener.young -= 1

    def _was_answered(self, request: Request, segment: Segment, now: i64) -> bool:
        """Linux tcp_oow_rate_limited: whether something that makes no sense was answered a moment ago."""
        if segment.is_progress():
            return False
        if now < request.answered_at + self._sysctl.tcp_invalid_ratelimit * MILLISECOND:
            self._stats.TCPACKSkippedSynRecv += 1
            return True
        request.answered_at = now
        return False

    # What goes out --------------------------------------------------------------------------------------------------

    def _template(
        self, listener: Listener, route: Route, local: bytes, remote: bytes, remote_port: int, iss: u32
    ) -> Connection:
        """A control block that was lent by the listener to answer a SYN with, made out to that peer."""
        template = listener.template
        if template is None:
            template = listener.template = listener.make(
                route, local, listener.hold.port, remote, remote_port, iss
            )  # fmt: skip
            if listener.fast_open is not None:
                template.fast_open = listener.fast_open.answer
        template.route, template.local, template.remote = route, local, remote
        template.remote_port = remote_port
        template.snd.iss = iss
        template.ts_offset = self._services.timestamp_offset(local, remote)
        return template

    def _answering(self, listener: Listener, request: Request) -> Connection:
        """The same for a request; its SYN is filled in too."""
        request.fill(self._syn)
        return self._template(
            listener, request.route, request.local, request.remote, request.remote_port, request.iss
        )  # fmt: skip

    def _send_syn_ack(self, listener: Listener, request: Request, syn: Segment, now: i64) -> None:
        template = self._template(
            listener, request.route, request.local, request.remote, request.remote_port, request.iss
        )  # fmt: skip
        open_passively(template, syn, now)
        emit_syn(template, self._packet, now)
        self._transmit(template, now)

    def _send_again(self, listener: Listener, request: Request, now: i64) -> None:
        """Linux tcp_rtx_synack."""
        request.retransmitted = True
        self._stats.RetransSegs += 1
        self._stats.TCPSynRetrans += 1
        route = self.driver.routes.lookup_by(request.remote, listener.device)
        if route is not None and route.kind != UNREACHABLE:
            request.route = route
        request.fill(self._syn)
        self._send_syn_ack(listener, request, self._syn, now)

    def _transmit(self, template: Connection, now: i64) -> None:
        packet = self._packet
        packet.ttl, packet.tos, packet.ident = template.ttl, template.tos, 0
        self._stats.OutSegs += 1
        self.driver.transmit(packet, template.route, template.local, template.remote, now)

    def _reset(self, request: Request, segment: Segment, now: i64) -> None:
        if reset.answer(self._packet, segment):
            self._stats.OutRsts += 1
            self._stats.OutSegs += 1
            self.driver.transmit(self._packet, request.route, request.local, request.remote, now)
