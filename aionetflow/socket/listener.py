"""A listening socket's two queues (listen(2)): connections whose handshake is under way, and those ready to accept.

Linux's rules: the backlog bounds each. Of the first only the number is here; the connections are in half_open.py.
"""

from collections import deque
from collections.abc import Callable

from aionetflow.config import NEVER
from aionetflow.ip.route import Route
from aionetflow.socket.ports import PortHold
from aionetflow.stats import TcpStats
from aionetflow.tcp.connection import Connection, ConnectionUser
from aionetflow.tcp.fast_open import FastOpenQueue
from aionetflow.widths import i64, u32

_MAX_WINDOW = 65535  # RFC 7323 2.2: that of a SYN is not scaled
Maker = Callable[[Route, bytes, int, bytes, int, int], Connection]  # of route, ends, and the number to begin with


class Listener(ConnectionUser):
    """Takes SYNs for one address and port."""

    def __init__(
        self, address: bytes, hold: PortHold, backlog: int, make: Maker, changed: Callable[[], None], stats: TcpStats
    ) -> None:  # fmt: skip
        self.address = address
        self.hold = hold
        self.backlog = backlog
        self.make = make  # makes the control block of a new connection
        self.reuse = False  # SO_REUSEADDR and SO_REUSEPORT of its connections' claims to the port
        self.reuse_port = False
        self.device = 0  # SO_BINDTODEVICE
        self.template: Connection | None = None  # with which SYNs are answered
        self.half_open = 0  # connections
        self.young = 0  # of these, those whose SYN-ACK was sent once
        self.overflowed_at: i64 = -NEVER  # when it last answered with a cookie
        self.defer_rounds = 0  # TCP_DEFER_ACCEPT: for so many SYN-ACKs it is data that makes a connection
        self.syn_retries = 0  # TCP_SYNCNT; 0: net.ipv4.tcp_synack_retries
        self.fast_open: FastOpenQueue | None = None  # TCP_FASTOPEN
        self.receive_limit = 0  # octets that a new connection may hold for its reader
        self.closed = False
        self.ready: deque[Connection] = deque()
        self._tell = changed
        self._news = False
        self._stats = stats

    def is_full(self) -> bool:
        """Linux sk_acceptq_is_full; counts it if there is no room for another."""
        if len(self.ready) <= self.backlog:
            return False
        self._stats.ListenOverflows += 1
        return True

    def window(self) -> u32:
        """The window that its SYN-ACKs offer."""
        return min(self.receive_limit, _MAX_WINDOW)

    def enqueue(self, connection: Connection) -> None:
        """A handshake has ended: there is one more to accept, as will be told."""
        self.ready.append(connection)
        self._news = True
        connection.wake = True

    def changed(self, connection: Connection) -> None:
        """A connection that nobody has accepted yet has moved on."""
        if self._news:
            self._news = False
            self._tell()

    def close(self) -> list[Connection]:
        """Gives up all connections; returns those whose peers must be told."""
        self.closed = True
        if self.fast_open is not None:
            self.fast_open.closed = True
        connections = list(self.ready)
        self.ready.clear()
        return connections
