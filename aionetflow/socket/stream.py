"""Stream sockets: TCP with the calls of sockets(7), none of which waits.

A call that would have to wait raises BlockingIOError; `on_change` is called when it may be worth trying again, and
`events()` says, as poll(2) does, what for.
"""

import errno

from aionetflow.config import SOMAXCONN
from aionetflow.errors import os_error
from aionetflow.ip.address import AF_INET, ANY, Address, endpoint
from aionetflow.ip.route import BROADCAST, MULTICAST, Route
from aionetflow.ip.v4 import PROTOCOL_TCP
from aionetflow.packet import IcmpOrigin
from aionetflow.socket import fast_open
from aionetflow.socket.ancillary import ERRORS
from aionetflow.socket.base import ERR, HUP, IN, OUT, RDHUP, Owner
from aionetflow.socket.error_queue import told_by_icmp
from aionetflow.socket.listener import Listener
from aionetflow.socket.options import (
    IPPROTO_TCP,
    SHUT_RD,
    SHUT_RDWR,
    SHUT_WR,
    SOCK_STREAM,
    TCP_FASTOPEN_NO_COOKIE,
    TCP_SYNCNT,
)
from aionetflow.socket.ports import connection_key
from aionetflow.socket.services import Services
from aionetflow.socket.stream_options import StreamOptions
from aionetflow.socket.tcp_options import NO_UNSENT_LIMIT, configure
from aionetflow.tcp import congestion
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.fast_open import CookieKeys
from aionetflow.tcp.handshake import open_actively
from aionetflow.tcp.states import CLOSED, SHORT_NAMES, SYN_RECEIVED, SYN_SENT, TIME_WAIT, Event, State
from aionetflow.widths import i64

_CLOSE = int(Event.CLOSE)
_TCP = PROTOCOL_TCP


class StreamSocket(StreamOptions):
    """A TCP socket."""

    type = SOCK_STREAM
    proto = PROTOCOL_TCP
    netid = "tcp"

    def __init__(self, services: Services, fd: int, owner: Owner, family: int = AF_INET) -> None:
        self._set_up(services, fd, owner, family)
        self.defer_accept = 0  # TCP_DEFER_ACCEPT, in SYN-ACKs
        self.opens_fast = False  # TCP_FASTOPEN_CONNECT, or MSG_FASTOPEN while that connects
        self.fast_open_keys: CookieKeys | None = None  # TCP_FASTOPEN_KEY
        self.listener: Listener | None = None
        self._connecting = False

    # Opening ----------------------------------------------------------------------------------------------------

    def listen(self, backlog: int = SOMAXCONN) -> None:
        """Starts to accept connections (listen(2)), at most backlog of them waiting; binds itself if need be."""
        self.check_open()
        if self.connection is not None:
            raise os_error(errno.EINVAL)
        backlog = min(max(backlog, 0), self._services.sysctl.somaxconn)
        if self.listener is not None:
            self.listener.backlog = backlog
            return
        table = self._services.table
        if self.hold is None or self.hold.released:
            self._hold_port(self.local, 0)
        hold = self.hold
        assert hold is not None
        if not table.may_listen(self.proto, hold):
            raise os_error(errno.EADDRINUSE)
        hold.listening = True
        stats = self._services.stats.tcp
        self.listener = Listener(self.local, hold, backlog, self._new_connection, self._connection_ready, stats)
        self.tell_listener()
        table.listeners.setdefault(self.local_port, []).append(self.listener)

    def accept(self) -> tuple["StreamSocket", Address]:
        """The next connection that is ready, as (socket, peer's address); BlockingIOError if none is.

        Its options are those of the listening socket. EINVAL if the socket does not listen.
        """
        self.check_open()
        if self.listener is None:
            raise os_error(errno.EINVAL)
        sock = self.take_ready()
        if sock is None:
            raise os_error(errno.EAGAIN)
        return sock, endpoint(self.family, sock.remote, sock.remote_port)

    def take_ready(self) -> "StreamSocket | None":
        """As accept, of a socket that listens; None if no connection is ready."""
        listener = self.listener
        if listener is None or not listener.ready:
            return None
        sock = self._services.make_stream(self.owner, self.family)
        sock._inherit(self)
        connection: Connection = listener.ready.popleft()
        if connection.fast_open is not None:
            connection.fast_open.accepted = True
        sock._use(connection)
        return sock

    def connect(self, address: Address) -> None:
        """Begins the handshake (connect(2)) and raises BlockingIOError(EINPROGRESS).

        With TCP_FASTOPEN_CONNECT and a cookie of that server it does neither: what is written first begins it.
        Called again: EALREADY while it goes on, the error if it failed, nothing at all the first time after it
        succeeded, EISCONN from then on.
        """
        self.check_open()
        remote, port = self.pack(address)
        if self.listener is not None:
            raise os_error(errno.EISCONN)
        if self.connection is not None:
            self.continue_connecting(self.connection)
            return
        self.begin(remote, port)
        if not fast_open.is_deferred(self.connection):
            raise os_error(errno.EINPROGRESS)

    def open_fast(self, address: Address | None) -> None:
        """What MSG_FASTOPEN makes of connect(): see fast_open.connect."""
        self.check_open()
        fast_open.connect(self, address)

    def begin(self, remote: bytes, port: int) -> None:
        """As connect, of a socket that has no connection and does not listen; returns when the SYN is sent."""
        remote = self.reached_by(remote)
        route = self.route_to(remote)
        if route.kind in (BROADCAST, MULTICAST) or (len(remote) == 4 and remote[0] >= 224):
            raise os_error(errno.ENETUNREACH)
        self._start_connecting(route, remote, port)

    def shutdown(self, how: int) -> None:
        """Ends one direction or both (shutdown(2)); ENOTCONN if there is no connection."""
        self.check_open()
        if how not in (SHUT_RD, SHUT_WR, SHUT_RDWR):
            raise os_error(errno.EINVAL)
        connection = self.connection
        if self.listener is not None:
            if how != SHUT_WR:  # Linux inet_shutdown: it stops listening
                self._stop_listening(self.listener)
            return
        if connection is None or connection.state in (CLOSED, TIME_WAIT):
            self._read_shut = self._read_shut or how != SHUT_WR
            raise os_error(errno.ENOTCONN)
        if connection.state == SYN_SENT:
            self._disconnect(connection, errno.ECONNRESET)  # Linux inet_shutdown, tcp_disconnect
            connection.wake = True
        else:
            self._connecting = self._connecting and connection.state == SYN_RECEIVED
            if how != SHUT_WR and not connection.read_shut:
                connection.read_shut = connection.wake = True
            if how != SHUT_RD:
                connection.shut_write()
        self._services.touch(connection)
        self._services.run()

    def close(self) -> None:
        """Gives the socket up (close(2)); what is written is still delivered, then the connection closed.

        A RST is sent instead if data was left unread, or with SO_LINGER of 0 seconds.
        """
        if self.closed:
            return
        self.closed = True
        if self.listener is not None:
            self._stop_listening(self.listener)
        if self.connection is not None and self.connection.state != CLOSED:
            self._let_go(self.connection)
        elif self.hold is not None:
            self._services.table.release(self.proto, self.hold)
        self.notify()
        self.on_change = None
        self._services.released(self)
        self._services.run()

    # What it is -------------------------------------------------------------------------------------------------

    def events(self) -> int:
        """Linux tcp_poll."""
        if self.listener is not None:
            return IN if self.listener.ready else 0
        connection = self.connection
        if connection is None:
            failed = self.error or self._errors is not None
            return OUT | HUP | (IN | RDHUP if self._read_shut else 0) | (ERR if failed else 0)
        mask = 0
        if connection.state in (CLOSED, TIME_WAIT) or (connection.read_shut and connection.write_shut):
            mask |= HUP
        if connection.read_shut:
            mask |= IN | RDHUP
        if connection.state not in (SYN_SENT, SYN_RECEIVED) or not connection.is_opening():
            mask |= IN if connection.urgent is None and connection.rcv.is_readable() else 0
            if connection.urgent is not None:
                mask |= self.urgent_events(connection)
            if connection.write_shut or connection.snd.is_writable():
                mask |= OUT
        return mask | ERR if connection.error or self._errors is not None else mask

    def is_connected(self) -> bool:
        """Whether the handshake is done and the connection not over."""
        connection = self.connection
        return connection is not None and connection.state not in (CLOSED, SYN_SENT, TIME_WAIT)

    def is_connecting(self) -> bool:
        """Whether the handshake is under way, and data have to wait for its end."""
        return self.connection is not None and self.connection.is_opening()

    def may_linger(self) -> bool:
        """Whether closing should wait for the peer: SO_LINGER is set, and it will not be a reset."""
        return self.linger_on and self.linger_seconds > 0 and self.is_connected() and self.queued()[0] == 0

    def is_listening(self) -> bool:
        """Whether listen() was called."""
        return self.listener is not None

    def state_name(self) -> str:
        """The state as ss(8) prints it."""
        if self.listener is not None:
            return SHORT_NAMES[State.LISTEN]
        return SHORT_NAMES[State(self.connection.state) if self.connection is not None else State.CLOSED]

    def queued(self) -> tuple[int, int]:
        """Octets to read and octets not acknowledged; of a listener, connections ready and the backlog."""
        if self.listener is not None:
            return len(self.listener.ready), self.listener.backlog
        if self.connection is None:
            return 0, 0
        return self.connection.rcv.queue.length, self.connection.snd.queue.length

    def take_error(self) -> int:
        """The connection's error, which is then forgotten."""
        connection = self.connection
        if connection is None:
            return StreamOptions.take_error(self)
        error, connection.error = connection.error, 0
        return error

    def asked_error(self) -> int:
        """The connection's error, or why nothing may be arriving (Linux sk_err_soft)."""
        error, connection = self.take_error(), self.connection
        if error == 0 and connection is not None:
            error, connection.soft_error = connection.soft_error, 0
        return error

    def hear_icmp(self, connection: Connection, data: bytes, code: int, info: int, origin: IcmpOrigin | None) -> bool:
        """Queues what ends an attempt to connect, asked for or not (Linux tcp_v4_err).

        Of an open connection it is told at once with IP_RECVERR or IPV6_RECVERR.
        """
        if connection.state in (SYN_SENT, SYN_RECEIVED) and code != errno.EMSGSIZE:
            address = endpoint(self.family, connection.remote, connection.remote_port)
            self.keep_error(told_by_icmp(data, address, len(connection.remote) == 4, code, info, origin))
        return self.asked & ERRORS[len(connection.remote)] != 0

    def changed(self, connection: Connection) -> None:
        """The connection has changed."""
        self.notify()

    # Inside -----------------------------------------------------------------------------------------------------

    def _start_connecting(self, route: Route, remote: bytes, port: int) -> None:
        services = self._services
        local, now = self.source_for(route, remote), services.clock.now()
        if self.hold is None or self.hold.released:
            self.hold = services.table.hold_for_connect(_TCP, local, remote, port, services.random, now)
            self.local_port = self.hold.port
        iss = services.take_over(connection_key(remote, local, port, self.local_port), now)
        connection = self._new_connection(route, local, self.local_port, remote, port, iss)
        services.table.add(connection, self.hold)
        self.local = local
        self._use(connection)
        self._connecting = True
        if self.opens_fast:
            without_cookie = self.kept((_TCP, TCP_FASTOPEN_NO_COOKIE), 0) != 0
            fast_open.prepare(services.fast_open, connection, without_cookie, now)
        open_actively(connection, now)
        services.touch(connection)
        services.run()

    def _disconnect(self, connection: Connection, error: int) -> None:
        """Back to a socket without a connection (Linux tcp_disconnect); what it was bound to by hand stays."""
        connection.user = self  # so that the claim to a port asked for by number is kept
        if connection.state != CLOSED:
            connection.fail(_CLOSE, 0)
        self._services.touch(connection)
        self._services.run()
        self.connection = None
        self._connecting = False
        self.error = error
        if self.hold is not None:
            self.local = ANY[self.family] if self.hold.automatic else self.hold.address

    def end_connecting(self) -> None:
        """After a handshake that the application has waited for: raises OSError if it failed."""
        if self._connecting and self.connection is not None:
            self.continue_connecting(self.connection)

    def continue_connecting(self, connection: Connection) -> None:
        """What connect() comes to when it was called before."""
        if connection.state in (SYN_SENT, SYN_RECEIVED):
            raise os_error(errno.EALREADY if connection.is_opening() else errno.EISCONN)
        if not self._connecting:
            raise os_error(errno.EISCONN)
        self._connecting = False
        if connection.state == CLOSED:
            error = self.take_error() or errno.ECONNABORTED
            self._disconnect(connection, 0)
            raise os_error(error)

    def tell_listener(self) -> None:
        """Options have changed, or are there from the start: for half-open connections they count as well."""
        listener = self.listener
        if listener is None:
            return
        listener.template = None
        listener.receive_limit = self.receive_buffer // 2
        listener.defer_rounds = self.defer_accept
        listener.syn_retries = self.kept((IPPROTO_TCP, TCP_SYNCNT), 0)
        fast_open.tell(self, listener)
        listener.reuse, listener.reuse_port, listener.device = self.reuse_address, self.reuse_port, self.device

    def _connection_ready(self) -> None:
        self.notify()  # which is cpdef: in C no object

    def _new_connection(
        self, route: Route, local: bytes, local_port: int, remote: bytes, port: int, iss: i64
    ) -> Connection:
        if iss < 0:
            key = connection_key(remote, local, port, local_port)
            iss = self._services.isn.initial(key, self._services.clock.now())
        connection = Connection(
            route, local, local_port, remote, port, iss,
            self.receive_buffer // 2, self.send_buffer // 2,
            congestion.create(self._congestion or self._services.sysctl.tcp_congestion_control),
            self._services.stats.tcp, self._services.sysctl, self._services.challenges,
        )  # fmt: skip
        connection.ts_offset = self._services.timestamp_offset(local, remote)
        connection.ttl, connection.tos = self.hops(remote)
        connection.mtu_discover = self.discovers(remote)
        if not self.send_locked:
            connection.snd.most = self._services.sysctl.tcp_wmem[2] // 2
        if not self.receive_locked:
            connection.rcv.most = self._services.sysctl.tcp_rmem[2] // 2
        connection.user_mss, connection.device = self.user_mss, self.device
        connection.snd.nodelay = self.nodelay
        connection.snd.corked = self.cork
        if self.stored is not None or self._services.sysctl.tcp_notsent_lowat != NO_UNSENT_LIMIT:
            configure(self, connection, self._services.clock.now())
        return connection

    def _use(self, connection: Connection) -> None:
        """Makes a connection this socket's."""
        self.connection = connection
        connection.user = self
        self.local, self.local_port = connection.local, connection.local_port
        self.remote, self.remote_port = connection.remote, connection.remote_port

    def _inherit(self, listening: "StreamSocket") -> None:
        """What an accepted socket has of the listening one."""
        self.reuse_address, self.reuse_port = listening.reuse_address, listening.reuse_port
        self.linger_on, self.linger_seconds = listening.linger_on, listening.linger_seconds
        self.receive_buffer, self.send_buffer = listening.receive_buffer, listening.send_buffer
        self.receive_locked, self.send_locked = listening.receive_locked, listening.send_locked
        self.inherit_ip(listening)
        self.nodelay, self.cork = listening.nodelay, listening.cork
        self.defer_accept, self._congestion = listening.defer_accept, listening._congestion
        self.user_mss, self.device = listening.user_mss, listening.device
        if listening.stored is not None:
            self.stored = dict(listening.stored)

    def _let_go(self, connection: Connection) -> None:
        if self.linger_on and self.linger_seconds == 0 and connection.state not in (CLOSED, TIME_WAIT):
            connection.user = None
            connection.abort(0)
        else:
            connection.close(self._services.clock.now())
        self._services.touch(connection)

    def _stop_listening(self, listener: Listener) -> None:
        table = self._services.table
        self.listener = None
        listener.hold.listening = False
        listeners = table.listeners[self.local_port]
        listeners.remove(listener)
        if not listeners:
            del table.listeners[self.local_port]
        for connection in listener.close():
            connection.abort(0)
            connection.user = None
            self._services.touch(connection)
        self._services.run()
