"""What a TCP socket's options and its connection have to do with each other."""

import errno

from aionetflow.config import DEFAULT_MSS
from aionetflow.errors import os_error
from aionetflow.socket import fast_open, options
from aionetflow.socket.base import IN, PRI, Owner
from aionetflow.socket.options import (
    IPPROTO_TCP,
    SIOCATMARK,
    SIOCINQ,
    SIOCOUTQ,
    SIOCOUTQNSD,
    TCP_QUICKACK,
    TCP_WINDOW_CLAMP,
)
from aionetflow.socket.services import Services
from aionetflow.socket.stream_data import StreamData
from aionetflow.socket.tcp_options import STREAM_OPTIONS, heed
from aionetflow.tcp import congestion
from aionetflow.tcp.connection import Connection
from aionetflow.tcp.info import TcpInfo, info_of, info_of_listener
from aionetflow.tcp.pacing import pace_of
from aionetflow.tcp.urgent import is_at_mark, readable_without_mark
from aionetflow.tcp.urgent_mark import HERE

options.RAW_OPTIONS.update(fast_open.RAW_OPTIONS)


class StreamOptions(StreamData):
    """The part of StreamSocket that answers for its options."""

    own_options = STREAM_OPTIONS | fast_open.OPTIONS

    def _set_up(self, services: Services, fd: int, owner: Owner, family: int) -> None:
        StreamData._set_up(self, services, fd, owner, family)
        self.nodelay = False
        self.cork = False
        self._congestion = ""  # TCP_CONGESTION; empty: the host's default

    def congestion_name(self) -> str:
        """TCP_CONGESTION: the algorithm in use, or that a connection would get."""
        if self.connection is not None:
            return self.connection.recovery.cc.name
        return self._congestion or self._services.sysctl.tcp_congestion_control

    def set_congestion(self, name: str) -> None:
        """Chooses it; a connection takes over its window. OSError ENOENT if there is none of that name."""
        chosen = congestion.create(name)
        self._congestion = name
        if self.connection is not None:
            self.connection.recovery.take_over(chosen)
            if chosen.paces:
                pace_of(self.connection)

    def max_segment(self) -> int:
        """The segment size in use; before a connection, what was asked for, or RFC 9293's default."""
        if self.connection is None:
            return self.user_mss or DEFAULT_MSS
        return self.connection.snd.mss

    def buffer_sizes(self) -> tuple[int, int]:
        """SO_RCVBUF and SO_SNDBUF as they are by now."""
        connection = self.connection
        if connection is None:
            return StreamData.buffer_sizes(self)
        return max(self.receive_buffer, 2 * connection.rcv.limit), max(self.send_buffer, 2 * connection.snd.limit)

    def options_changed(self) -> None:
        """Takes over what the connection must know."""
        connection = self.connection
        self.tell_listener()
        if connection is None:
            return
        snd = connection.snd
        # Linux tcp_sock_set_nodelay, tcp_sock_set_cork: setting TCP_NODELAY sends even what is corked, clearing
        # TCP_CORK what Nagle does not hold back
        if self.nodelay and (not snd.nodelay or (snd.corked and not self.cork)):
            snd.push_once = snd.unsent() > 0
        connection.ttl, connection.tos = self.hops(connection.remote)
        connection.mtu_discover = self.discovers(connection.remote)
        snd.nodelay = self.nodelay
        snd.corked = self.cork
        if self.send_locked:
            snd.limit = snd.most = self.send_buffer // 2
        if self.receive_locked:
            connection.rcv.limit = connection.rcv.most = self.receive_buffer // 2
        self._services.touch(connection)
        self._services.run()

    def window_clamp(self) -> int:
        """TCP_WINDOW_CLAMP."""
        connection = self.connection
        asked = self.kept((IPPROTO_TCP, TCP_WINDOW_CLAMP), 0)
        return asked if asked or connection is None else connection.rcv.limit

    def is_quick(self) -> bool:
        """TCP_QUICKACK."""
        connection = self.connection
        if connection is None:
            return self.kept((IPPROTO_TCP, TCP_QUICKACK), 1) != 0
        return connection.acks.ping_pong == 0

    def heed(self, key: tuple[int, int]) -> None:
        """An option that is kept was set: the connection, if there is one, heeds it."""
        connection = self.connection
        self.tell_listener()
        if connection is not None:
            heed(self, connection, key, self._services.clock.now())
            self._services.touch(connection)
            self._services.run()

    def tell_listener(self) -> None:
        """Whoever listens for this socket takes over what was set."""

    def send_at_once(self) -> None:
        """Sets TCP_NODELAY."""
        if self.nodelay:
            return
        self.nodelay = True
        connection = self.connection
        if connection is not None and connection.snd.unsent() == 0:
            connection.snd.nodelay = True  # and that is all that comes of it
        else:
            self.options_changed()

    def urgent_events(self, connection: Connection) -> int:
        """IN and PRI of a connection that has or had urgent data (Linux tcp_poll)."""
        mark, rcv = connection.urgent, connection.rcv
        assert mark is not None
        mask = PRI if mark.state == HERE else 0
        if not mark.inline and is_at_mark(connection) and rcv.queue.length == 1:
            return mask  # there is nothing else to read
        return mask | IN if rcv.is_readable() else mask

    def ioctl(self, request: int) -> int:
        """ioctl(2) with SIOCINQ, SIOCOUTQ, SIOCOUTQNSD or SIOCATMARK (tcp(7)): the number that it tells.

        Octets to read, before urgent data if there are any; octets not acknowledged; octets not sent; whether the next
        octet to read is the urgent one. Raises OSError: EINVAL of a socket that listens, ENOTTY for another request.
        """
        self.check_open()
        if request not in (SIOCINQ, SIOCOUTQ, SIOCOUTQNSD, SIOCATMARK):
            raise os_error(errno.ENOTTY)
        connection = self.connection
        if request == SIOCATMARK:
            return int(connection is not None and is_at_mark(connection))
        if self.is_listening():
            raise os_error(errno.EINVAL)
        if connection is None or connection.is_opening():
            return 0
        if request == SIOCINQ:
            return readable_without_mark(connection)
        fin = connection.snd.fin_queued  # it counts, as it does in Linux's write_seq
        if request == SIOCOUTQ:
            return connection.snd.queue.length + int(fin and not connection.snd.fin_acknowledged())
        unsent = connection.snd.unsent() if connection.snd.queue.length else 0
        return unsent + int(fin and not connection.snd.fin_sent)

    def tcp_info(self) -> TcpInfo:
        """TCP_INFO as an object: what the connection is doing now.

        >>> from random import Random
        >>> from aionetflow.clock import ManualClock
        >>> from aionetflow.stack import Stack
        >>> sock = Stack(ManualClock(), Random(1)).make_stream(Owner(0, ""), 2)
        >>> sock.tcp_info().state, sock.tcp_info().snd_mss      # CLOSED
        (7, 536)
        """
        if self.is_listening():
            return info_of_listener(*self.queued())
        if self.connection is None:
            return TcpInfo()
        return info_of(self.connection, self._services.clock.now())

    def info_octets(self) -> bytes:
        """TCP_INFO as the kernel's structure."""
        return self.tcp_info().pack()
