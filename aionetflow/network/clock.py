"""The clock of a network inside an event loop: stock asyncio's, uvloop's, or any other that tells time()."""

import asyncio
import contextvars
from collections.abc import Callable

from aionetflow.clock import Clock, TimeSource
from aionetflow.config import NEVER

_BURST = 64  # callbacks in one callback of the loop; then the loop's other work gets its turn
_UVLOOP_SLACK = 0.000499  # s; uvloop rounds timers to the nearest ms, this makes it the next one


class LoopClock(Clock):
    """The core's clock over a running event loop: ours, stock asyncio, uvloop, or any other that tells time().

    `loop` is the event loop; by default the running one (RuntimeError if there is none). However many timers
    there are, the loop holds one handle. What a callback raises goes to the loop's exception handler.

    >>> async def main() -> None:
    ...     clock, done = LoopClock(), asyncio.Event()
    ...     timer = clock.call_at(clock.now() + 1_000_000, done.set)  # in 1 ms
    ...     await done.wait()
    ...     clock.close()
    >>> asyncio.run(main())
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__()
        # Timers belong to the network, not to the task that happened to arm the handle.
        self._context = contextvars.copy_context()
        self._use(loop or asyncio.get_running_loop())
        self._soon: asyncio.Handle | None = None  # in the loop's next turn
        self._later: asyncio.Handle | None = None  # at the earliest deadline, or before it
        self._later_at = NEVER  # ns
        self._held = 0  # calls of hold() that wait for their release()
        self._held_at = 0  # ns; the time while there are any
        self._left = False  # meanwhile something fell due, or will earlier than the loop knows
        self._reached = 0  # ns; a deadline that the loop says has come
        self._closed = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return self._loop

    def move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        """Goes on with another event loop, whatever its time: what was due in 1 s then is due in 1 s there."""
        now = self.now()
        for handle in (self._soon, self._later):
            if handle is not None:
                handle.cancel()
        self._soon = self._later = None
        self._later_at = NEVER
        self._use(loop)
        self._shift(now - self.now())
        self._arm(self.next_deadline())

    def now(self) -> int:
        """The loop's time in ns; it stands still while timers run and while it is held."""
        if self._running >= 0:
            return self._running
        if self._held:
            return self._held_at
        if self._source is not None:
            return self._source._clock()
        if self._time_ns is not None:
            return self._time_ns()
        now = int(self._loop.time() * 1e9 + 0.5)
        return now if now > self._reached else self._reached

    def run_timers(self, now: int, limit: int = NEVER) -> int:
        """As `Clock.run_timers`; afterwards a handle of the loop stands at the next deadline, or before it."""
        try:
            return Clock.run_timers(self, now, limit)
        finally:
            if self._running < 0:
                self._arm(self.next_deadline())

    def hold(self) -> None:
        """What falls due until `release` is called for is left to it."""
        if self._held == 0:
            self._held_at = self.now()
        self._held += 1

    def release(self) -> None:
        """Runs what is due now, in this turn of the loop, as far as is fair to its other work."""
        self._held -= 1
        if self._left and not self._held and self._running < 0:
            self._left = False
            if not self._closed:
                self._run(self.now())

    def close(self) -> None:
        """Lets go of the loop: no timer runs any more, neither those there are nor later ones."""
        self._closed = True
        for handle in (self._soon, self._later):
            if handle is not None:
                handle.cancel()
        self._soon = self._later = None

    def call_exception_handler(self, message: str, error: Exception) -> None:
        """Hands an exception to the event loop's exception handler."""
        self._loop.call_exception_handler({"message": message, "exception": error})

    def _use(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._source: TimeSource | None = loop if isinstance(loop, TimeSource) else None
        self._slack = _UVLOOP_SLACK if type(loop).__module__.startswith("uvloop") else 0.0
        # Our own loop keeps time in ns, which a float of seconds would round.
        self._time_ns: Callable[[], int] | None = getattr(loop, "time_ns", None)
        self._call_at_ns: Callable[..., asyncio.TimerHandle] | None = getattr(loop, "call_at_ns", None)
        self._turn_ns: Callable[[], int] | None = getattr(loop, "turn_ns", None)

    def _shift(self, offset: int) -> None:
        """Has this clock be so many ns ahead of the loop's."""
        loop, slack = self._loop, self._slack
        time_ns = self._time_ns or (lambda: int(loop.time() * 1e9 + 0.5))
        call_at_ns = self._call_at_ns or (lambda when, *args, **kw: loop.call_at(when / 1e9 + slack, *args, **kw))
        self._source = None
        self._turn_ns = None
        self._time_ns = lambda: time_ns() + offset
        self._call_at_ns = lambda when, *args, **kw: call_at_ns(when - offset, *args, **kw)

    def _armed(self, when: int) -> None:
        if self._held:
            self._left = True
        else:
            self._arm(when)

    def _arm(self, when: int) -> None:
        """A handle that comes too early does no harm, and costs less than one made anew."""
        if self._closed or self._soon is not None or when >= self._later_at:
            return
        if when <= self.now():
            self._soon = self._loop.call_soon(self._fire_soon, context=self._context)
            return
        if self._later is not None:
            self._later.cancel()
        self._later_at = when
        if self._call_at_ns is not None:
            self._later = self._call_at_ns(when, self._fire_later, context=self._context)
        else:
            self._later = self._loop.call_at(when / 1e9 + self._slack, self._fire_later, context=self._context)

    def _fire_soon(self) -> None:
        self._soon = None
        self._run(self._due())

    def _fire_later(self) -> None:
        # A float of seconds is coarser than 1 ns after some months: without this a deadline could stay
        # 1 ns away for ever on a loop whose time stands still meanwhile.
        if self._time_ns is None and self._loop.time() >= self._later_at / 1e9:
            self._reached = max(self._reached, self._later_at)
        self._later = None
        self._later_at = NEVER
        self._run(self._due())

    def _due(self) -> int:
        """Up to when timers are due: to the beginning of the loop's turn, if it tells.

        What became due in the course of a long turn waits for the next one. Timers run at the end of a turn, and what
        has arrived in it is dealt with in the next: an acknowledgment would be sent ahead of the answer that carries
        it, and a segment again whose acknowledgment is there.
        """
        return self.now() if self._turn_ns is None else self._turn_ns()

    def _run(self, now: int) -> None:
        try:
            self.run_timers(now, _BURST)
        except Exception as error:
            self.call_exception_handler(f"exception in a timer of {self!r}", error)
