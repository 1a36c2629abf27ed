"""The interface by which a host speaks to itself."""

from aionetflow.config import LOOPBACK_MTU
from aionetflow.ethernet.interface import Interface, Node
from aionetflow.packet import PacketHandler
from aionetflow.widths import i64


class LoopbackInterface(Interface):
    """lo: what is sent comes back. The host takes it in again when it has finished what it was doing."""

    def __init__(self, node: Node, upper: PacketHandler, index: int) -> None:
        Interface.__init__(self, node, upper, "lo", index, LOOPBACK_MTU)
        self.returning: list[bytes] = []

    def flush(self, now: i64) -> None:
        """Keeps the queued packets for `take_back`."""
        if not self.queue:
            return
        self._count_out(self.queue, now, 0)
        if self.returning:
            self.returning += self.queue
            self.queue.clear()
        else:
            self.queue, self.returning = self.returning, self.queue

    def take_back(self, now: i64) -> bool:
        """Receives what was sent; False if there was nothing."""
        if not self.returning:
            return False
        try:
            self.input(self.returning, now)
        finally:
            self.returning.clear()
        return True
