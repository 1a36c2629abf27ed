"""What a TCP socket's options and its connection have to do with each other."""

from aionetflow.config import DEFAULT_MSS
from aionetflow.socket.base import Owner, Services
from aionetflow.socket.options import IPPROTO_TCP, TCP_QUICKACK, TCP_WINDOW_CLAMP
from aionetflow.socket.stream_data import StreamData
from aionetflow.socket.tcp_options import STREAM_OPTIONS, heed


class StreamOptions(StreamData):
    """The part of StreamSocket that answers for its options."""

    own_options = STREAM_OPTIONS

    def _set_up(self, services: Services, fd: int, owner: Owner, family: int) -> None:
        StreamData._set_up(self, services, fd, owner, family)
        self.nodelay = False
        self.cork = False

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
        if connection is None:
            return
        snd = connection.snd
        # Linux tcp_sock_set_nodelay, tcp_sock_set_cork: setting TCP_NODELAY sends even what is corked, clearing
        # TCP_CORK what Nagle does not hold back
        if self.nodelay and (not snd.nodelay or (snd.corked and not self.cork)):
            snd.push_once = snd.unsent() > 0
        connection.ttl, connection.tos = self.hops(connection.remote)
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
        if connection is not None:
            heed(self, connection, key, self._services.clock.now())
            self._services.touch(connection)
            self._services.run()

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
