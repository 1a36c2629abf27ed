"""Time for the core: nanoseconds as int, timers in a heap, nothing read from the machine.

Whoever drives the core owns the time: a test by hand (`ManualClock`), a program by its event loop
(`aionetflow.network.clock.LoopClock`). A timer runs exactly when due, in order of (when, order of call).
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from aionetflow.config import NEVER, SECOND
from aionetflow.widths import i64

_STORM = 1_000_000  # so many callbacks at one instant of a manual clock are a loop without end
_SWEEP = 64  # so few cancelled timers are never worth a sweep of the heap


class Timer:
    """One callback that waits for its time; made by `Clock.call_at` and `Clock.call_soon`.

    `when` is the time it is due, in ns. It runs once; a timer of time `NEVER` does not run at all.
    """

    def __init__(self, when: int, callback: Callable[[], object] | None, clock: "Clock") -> None:
        self.when = when
        self._callback = callback
        self._clock = clock

    def cancel(self) -> None:
        """Makes sure that the callback does not run any more; harmless when it has run or was cancelled.

        >>> clock = ManualClock()
        >>> timer = clock.call_at(5, lambda: print("late"))
        >>> timer.cancel()
        >>> clock.advance(1)
        0
        """
        if self._callback is not None:
            self._callback = None
            self._clock._count_cancelled()


class TimeSource:
    """Who can tell a clock its time without a call through the interpreter: our own event loop."""

    def _clock(self) -> i64:
        raise NotImplementedError


class Due:
    """What is run as soon as possible, again and again: `Clock.post` makes no timer for it.

    It runs `callback`; a compiled subclass may do without one.
    """

    def __init__(self, callback: Callable[[], object] | None = None) -> None:
        self.callback = callback
        self.posted = False  # it waits to be run
        self.posted_at: i64 = 0  # ns
        self.posted_order: i64 = 0
        self.posted_next: Due | None = None  # what was posted after it

    def _fall_due(self) -> None:
        if self.callback is not None:
            self.callback()


class Clock:
    """Timers over a time that a subclass tells by `now()`."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._posted: Due | None = None  # what runs as soon as possible, in the order in which it was posted ...
        self._posted_last: Due | None = None  # ... and the last of it
        self._order: i64 = 0  # breaks ties: timers of one time run in the order of the calls
        self._cancelled = 0  # timers still in the heap that will not run
        self._running: i64 = -1  # the `now` of the run_timers() that is at work; -1 if none is

    def now(self) -> int:
        """The time in ns; it never goes back."""
        raise NotImplementedError

    def call_at(self, when: int, callback: Callable[[], object]) -> Timer:
        """Has `callback` run at time `when` (ns); as soon as possible if that has passed.

        >>> clock = ManualClock()
        >>> timer = clock.call_at(2_000_000_000, lambda: print("two seconds"))
        >>> clock.advance(3)
        two seconds
        1
        """
        if when >= NEVER:
            return Timer(NEVER, None, self)
        timer = Timer(when, callback, self)
        self._order += 1
        entry = (when, self._order, timer)
        heappush(self._heap, entry)
        if self._running < 0 and self._heap[0] is entry:
            self._armed(when)
        return timer

    def call_exception_handler(self, message: str, error: Exception) -> None:
        """Deals with an exception of somebody's callback, which those in whose time it ran must not suffer from.

        Here it is raised all the same; a clock over an event loop hands it to the loop's exception handler.
        """
        raise error

    def hold(self) -> None:
        """Announces calls that will send at once; `release` follows. Both may be nested."""

    def release(self) -> None:
        """The calls have been made. A clock over an event loop uses the occasion to run what is due already."""

    def post(self, due: Due) -> None:
        """As call_soon(), of something that is made once and posted often: once it is posted it waits, and runs once.

        >>> clock, frames = ManualClock(), Due(lambda: print("here they are"))
        >>> clock.post(frames)
        >>> clock.post(frames)
        >>> clock.run()
        here they are
        1
        """
        if due.posted:
            return
        due.posted = True
        due.posted_at = self.now() if self._running < 0 else self._running
        self._order += 1
        due.posted_order = self._order
        if self._posted_last is None:
            self._posted = due
        else:
            self._posted_last.posted_next = due
        self._posted_last = due
        if self._running < 0:
            self._armed(due.posted_at)

    def call_soon(self, callback: Callable[[], object]) -> Timer:
        """Has `callback` run now, but after the caller has returned: in this run of timers or in the next."""
        # What is put off in a run belongs to that run, though a real clock has moved on since it began.
        return self.call_at(self.now() if self._running < 0 else self._running, callback)

    def next_deadline(self) -> int:
        """When the next timer is due, in ns; `NEVER` if there is none. Cancelled timers do not count."""
        heap = self._heap
        while heap and heap[0][2]._callback is None:
            heappop(heap)
            self._cancelled -= 1
        deadline = heap[0][0] if heap else NEVER
        if self._posted is not None:
            deadline = min(deadline, self._posted.posted_at)
        return deadline

    def run_timers(self, now: int, limit: int = NEVER) -> int:
        """Runs what is due at `now` (ns), also what becomes due meanwhile; returns how many callbacks ran.

        After `limit` callbacks it returns and leaves the rest for the next call, so that a loop stays fair.
        An exception of a callback is raised here; the timers after it stay.
        Raises RuntimeError when a timer's callback calls it.

        >>> clock = ManualClock()
        >>> for word in "one", "two", "three":
        ...     timer = clock.call_soon(lambda word=word: print(word))
        >>> clock.run_timers(clock.now(), limit=2)
        one
        two
        2
        """
        self._check_not_running()
        heap = self._heap
        count = 0
        self._running = now
        try:
            while count < limit:
                due = self._posted
                if due is not None and not self._comes_first(heap, due):
                    self._posted, due.posted_next = due.posted_next, None
                    if self._posted is None:
                        self._posted_last = None
                    due.posted = False
                    count += 1
                    due._fall_due()
                    continue
                if not heap or heap[0][0] > now:
                    break
                timer = heappop(heap)[2]
                callback = timer._callback
                if callback is None:
                    self._cancelled -= 1
                    continue
                timer._callback = None
                count += 1
                callback()
        finally:
            self._running = -1
        return count

    def _comes_first(self, heap: list[tuple[int, int, Timer]], due: Due) -> bool:
        """Whether the first timer of the heap runs before what was posted."""
        if not heap:
            return False
        entry = heap[0]
        return entry[0] < due.posted_at or (entry[0] == due.posted_at and entry[1] < due.posted_order)

    def _check_not_running(self) -> None:
        if self._running >= 0:
            raise RuntimeError("timers are running: a timer's callback cannot move the clock")

    def _armed(self, when: int) -> None:
        """The earliest deadline got earlier, outside of run_timers(): for clocks that must be woken."""

    def _count_cancelled(self) -> None:
        """Keeps cancelled timers from piling up: at most about half of the heap."""
        self._cancelled += 1
        if self._cancelled > _SWEEP and self._cancelled * 2 > len(self._heap):
            # In place: a run of timers may be walking this very list.
            self._heap[:] = [entry for entry in self._heap if entry[2]._callback is not None]
            heapify(self._heap)
            self._cancelled = 0


class ManualClock(Clock):
    """A clock that stands at 0 until it is moved by hand; then each timer finds `now()` at its own time.

    >>> clock = ManualClock()
    >>> timer = clock.call_at(40_000_000, lambda: print("it is", clock.now(), "ns"))
    >>> clock.advance(0.1)
    it is 40000000 ns
    1
    >>> clock.now()
    100000000
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0

    def now(self) -> int:
        """The time in ns since the clock was made."""
        return self._now

    def run_timers(self, now: int, limit: int = NEVER) -> int:
        """Moves from deadline to deadline up to `now` (ns), runs each timer when due; returns how many ran.

        With a `limit` the clock stops at the last timer that ran. Raises RuntimeError when a timer's callback
        calls it, and when a million callbacks run without time passing (frames that circle between switches).
        """
        self._check_not_running()
        count = 0
        while count < limit and (when := self.next_deadline()) <= now and when < NEVER:
            self._now = max(self._now, when)
            ran = super().run_timers(self._now, min(limit - count, _STORM))
            if ran == _STORM:
                raise RuntimeError(f"{_STORM} callbacks at one instant, {self._now} ns: one calls the other")
            count += ran
        if count < limit and now < NEVER:
            self._now = max(self._now, now)
        return count

    def run(self) -> int:
        """Runs what is due now, without moving the clock, and returns how many callbacks ran."""
        return self.run_timers(self._now)

    def advance(self, seconds: float) -> int:
        """Lets `seconds` pass, running each timer exactly when due; returns how many ran.

        Raises ValueError if `seconds` is negative or not finite.
        """
        return self.run_timers(self._now + _nanoseconds(seconds))

    def advance_to(self, when: int) -> int:
        """Lets time pass until `when` (ns), running each timer exactly when due; returns how many ran.

        Raises ValueError if `when` has passed.
        """
        if not self._now <= when < NEVER:
            raise ValueError(f"time goes forwards: it is {self._now} ns, not {when} ns")
        return self.run_timers(when)

    def run_until_idle(self, limit_seconds: float = 3600.0) -> bool:
        """Jumps from deadline to deadline until no timer is left (True) or `limit_seconds` are over (False).

        Raises ValueError if `limit_seconds` is negative or not finite.

        >>> clock = ManualClock()
        >>> timer = clock.call_at(7, lambda: None)
        >>> clock.run_until_idle(), clock.now()
        (True, 7)
        """
        end = self._now + _nanoseconds(limit_seconds)
        while (when := self.next_deadline()) <= end:
            self.run_timers(max(when, self._now))
        if when < NEVER:
            self._now = end
        return when == NEVER


def _nanoseconds(seconds: float) -> int:
    if not 0 <= seconds < NEVER / SECOND:
        raise ValueError(f"seconds must be finite and not negative, not {seconds}")
    return round(seconds * SECOND)
