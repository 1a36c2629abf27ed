"""What one host is to do later, beside what its connections and interfaces keep for themselves.

Reassembly, group memberships and the like set alarms here; the stack reads one number, `deadline`, and calls `expire`
when that has come. Alarms that are due at the same time ring in the order in which they were set.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from aionetflow.config import NEVER
from aionetflow.widths import i64

_SWEEP = 64  # cancelled alarms that may wait in the heap before they are looked for


class Alarm:
    """One callback that waits for its time; made by `Alarms.set`."""

    def __init__(self, when: int, ring: Callable[[int], object]) -> None:
        self.when = when
        self.ring: Callable[[int], object] | None = ring  # None: cancelled, or it has rung

    def is_set(self) -> bool:
        """Whether it has yet to ring."""
        return self.ring is not None


class Alarms:
    """The alarms of one host, in a heap.

    >>> alarms = Alarms()
    >>> first, second = alarms.set(20, print), alarms.set(10, print)
    >>> alarms.cancel(second)
    >>> alarms.deadline
    20
    >>> alarms.expire(25)
    25
    """

    def __init__(self) -> None:
        self.deadline: i64 = NEVER  # when the next rings
        self._heap: list[tuple[int, int, Alarm]] = []
        self._order = 0
        self._cancelled = 0

    def set(self, when: int, ring: Callable[[int], object]) -> Alarm:
        """Has `ring` called with the time then, at `when` (ns)."""
        alarm = Alarm(when, ring)
        self._order += 1
        heappush(self._heap, (when, self._order, alarm))
        self.deadline = self._heap[0][0]
        return alarm

    def cancel(self, alarm: Alarm) -> None:
        """Makes sure that it does not ring any more; harmless if it has."""
        if alarm.ring is None:
            return
        alarm.ring = None
        self._cancelled += 1
        if self._cancelled > _SWEEP and 2 * self._cancelled > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].ring is not None]
            heapify(self._heap)
            self._cancelled = 0
        self._drop_cancelled()

    def expire(self, now: i64) -> None:
        """Lets all ring whose time has come."""
        while self._heap and self._heap[0][0] <= now:
            alarm = heappop(self._heap)[2]
            ring, alarm.ring = alarm.ring, None
            if ring is not None:
                ring(now)
            else:
                self._cancelled -= 1
        self._drop_cancelled()

    def _drop_cancelled(self) -> None:
        while self._heap and self._heap[0][2].ring is None:
            heappop(self._heap)
            self._cancelled -= 1
        self.deadline = self._heap[0][0] if self._heap else NEVER
