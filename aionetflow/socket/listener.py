"""A listening socket's two queues (listen(2)): connections whose handshake is under way, and those ready to accept.

Linux's rules: the backlog bounds each; a SYN that finds one of them full is dropped and will come again.
"""

from collections import deque
from collections.abc import Callable

from aionetflow.packet import RxPacket
from aionetflow.socket.ports import PortHold
from aionetflow.stats import TcpStats
from aionetflow.tcp.connection import Connection, ConnectionUser
from aionetflow.tcp.handshake import open_passively
from aionetflow.tcp.segment import ACK, RST, SYN, Segment
from aionetflow.tcp.states import CLOSED, SYN_RECEIVED


class Listener(ConnectionUser):
    """Takes SYNs for one address and port."""

    def __init__(
        self, address: bytes, hold: PortHold, backlog: int, make: Callable[[RxPacket, Segment, int], Connection | None],
        changed: Callable[[], None], stats: TcpStats,
    ) -> None:  # fmt: skip
        self.address = address
        self.hold = hold
        self.backlog = backlog
        self._make = make  # makes the control block of a new connection, and enters it into the table
        self._tell = changed
        self._stats = stats
        self.handshaking: dict[Connection, bool] = {}  # and whether it has a place in the accept queue
        self._admitted = 0
        self.ready: deque[Connection] = deque()

    def receive(self, packet: RxPacket, segment: Segment, iss: int, now: int) -> Connection | None:
        """RFC 9293 3.10.7.2. Returns the connection that a SYN began; None if the segment begins none.

        iss is the number to begin with, -1 for any. A segment with an ACK is not for a listener: its caller answers it
        with a RST.
        """
        if segment.flags & (SYN | ACK | RST) != SYN or segment.broadcast:
            return None
        if not self._has_room():
            return None
        if len(self.handshaking) > self.backlog:
            self._stats.TCPReqQFullDrop += 1
            self._stats.ListenDrops += 1
            return None
        connection = self._make(packet, segment, iss)
        if connection is None:
            self._stats.ListenDrops += 1
            return None
        connection.user = self
        open_passively(connection, segment, now)
        self.handshaking[connection] = False
        return connection

    def admits(self, connection: Connection) -> bool:
        """Whether a handshake may end: the accept queue has a place, which is kept for the connection."""
        if not self._has_room():
            return False
        self.handshaking[connection] = True
        self._admitted += 1
        return True

    def _has_room(self) -> bool:
        """Linux sk_acceptq_is_full; counts it if there is none."""
        if len(self.ready) + self._admitted <= self.backlog:
            return True
        self._stats.ListenOverflows += 1
        self._stats.ListenDrops += 1
        return False

    def changed(self, connection: Connection) -> None:
        """A connection that nobody has accepted yet has moved on."""
        if connection not in self.handshaking or connection.state == SYN_RECEIVED:
            return
        if self.handshaking.pop(connection):
            self._admitted -= 1
        if connection.state != CLOSED:
            self._stats.PassiveOpens += 1
            self.ready.append(connection)
            self._tell()

    def close(self) -> list[Connection]:
        """Gives up all connections; returns those whose peers must be told."""
        for connection in self.handshaking:
            connection.user = None
        connections = [*self.handshaking, *self.ready]
        self.handshaking.clear()
        self.ready.clear()
        return connections
