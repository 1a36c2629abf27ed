"""The time of an event loop: the machine's, one that jumps instead of passing, or one that is moved by hand.

    loop.clock       who makes time pass while nothing is ready
    RealTime         the machine: the loop waits
    VirtualTime      the next timer: the loop jumps there
    ManualTime       advance(): the loop jumps from timer to timer up to where it was told, and no further

Virtual and manual time start at 0 ns, are integers of ns, and stand still while anything is ready, and while anything
is under way in the real world that will come back to the loop: a hold.
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self, TypeVar, TypeVarTuple

from aionetflow.config import NEVER
from aionetflow.dropin.threads import working_under
from aionetflow.loop.native import monotonic
from aionetflow.loop.report import dead_end
from aionetflow.loop.tick import LOOK_EVERY

if TYPE_CHECKING:
    from aionetflow.loop.events import EventLoop

__all__ = ["CLOCKS", "Hold", "LoopTime", "ManualTime", "RealTime", "VirtualTime"]

_LONGEST_WAIT = 24 * 3600.0  # s; what the selectors of all platforms take, asyncio's number


_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")


class Hold:
    """Something that is under way outside and will come back to the loop; virtual time stands still for it.

    Made by `loop.clock.hold()`. It ends with release(), from whatever thread, or as a context manager.
    """

    def __init__(self, clock: "LoopTime") -> None:
        self._clock = clock
        self._over = False
        self._begun = False
        self.threads: ThreadPoolExecutor | None = None  # of which one is to call run(); None if nobody is known to

    def release(self) -> None:
        """Lets time pass again, as far as this hold is concerned; harmless when called again."""
        self._over = True
        self._clock._lifted.discard(self)
        self._clock._release(self)

    def lift(self) -> None:
        """Lets time pass until resume(): what is under way waits for the network itself."""
        self._clock._lifted.add(self)
        self._clock._release(self)

    def resume(self) -> None:
        """Ends what lift() began; has no effect after release()."""
        self._clock._lifted.discard(self)
        if not self._over:
            self._clock._holds.add(self)

    def run(self, func: "Callable[[*_Arguments], _Result]", *args: *_Arguments) -> "_Result":
        """Calls a function as the work that the hold is for: while it waits for the network, time passes."""
        self._begun = True
        with working_under(self):
            return func(*args)

    def _is_stuck(self, asleep: "Counter[ThreadPoolExecutor | None]") -> bool:
        """Whether the work is in a queue and all who could take it wait for the network; `asleep` counts them."""
        threads = self.threads
        return threads is not None and not self._begun and asleep[threads] >= threads._max_workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class LoopTime:
    """What all clocks of loops can do; by itself it does not know how time passes."""

    def __init__(self, loop: "EventLoop") -> None:
        self._loop = loop
        self._holds: set[Hold] = set()
        self._lifted: set[Hold] = set()

    def now(self) -> int:
        """The loop's time in ns."""
        return self._loop.time_ns()

    def hold(self) -> Hold:
        """Has virtual time stand still until the hold is released; real time passes all the same.

        >>> from aionetflow import new_event_loop
        >>> loop = new_event_loop(time="virtual")
        >>> with loop.clock.hold():
        ...     loop.clock.held
        True
        >>> loop.clock.held
        False
        >>> loop.close()
        """
        hold = Hold(self)
        self._holds.add(hold)
        return hold

    @property
    def held(self) -> bool:
        """Whether there is a hold that has not been released, for something that can go on by itself."""
        holds = list(self._holds)  # other threads may release theirs meanwhile
        asleep = Counter(hold.threads for hold in list(self._lifted)) if holds else Counter()
        return not all(hold._is_stuck(asleep) for hold in holds)

    def wait(self) -> None:
        """Nothing is ready: lets time pass until the next timer is due, or until something is ready."""
        raise NotImplementedError

    def _release(self, hold: Hold) -> None:
        self._holds.discard(hold)
        if self._loop._sleeping:
            self._loop._wake()


class RealTime(LoopTime):
    """The machine's monotonic clock."""

    def wait(self) -> None:
        """Waits in the selector."""
        deadline = self._loop.next_deadline()
        if deadline == NEVER:
            self._loop._look(None)
        else:
            self._loop._look(min(max(0, deadline - monotonic()) / 1e9, _LONGEST_WAIT))


class VirtualTime(LoopTime):
    """A clock that stands still while the loop works or is held, and jumps to the next timer when it would wait."""

    def __init__(self, loop: "EventLoop") -> None:
        super().__init__(loop)
        self._told: RuntimeError | None = None  # that nothing can ever happen
        loop._virtual = True

    def wait(self) -> None:
        """Jumps, or waits for real if something holds time; RuntimeError if nothing can ever happen any more."""
        loop = self._loop
        if monotonic() - loop._looked >= LOOK_EVERY:  # however often time jumps, signals get their turn
            loop._look(0)
            if loop._ready:
                return
        holds, others = loop._watched()
        if self.held or holds:
            loop._look(None)
            return
        deadline = loop.next_deadline()
        if deadline <= self._end():
            loop._now = max(loop._now, deadline)
        elif self._at_end(deadline):
            return
        elif others:
            loop._look(None)
        else:
            raise self._dead_end()

    def _dead_end(self) -> RuntimeError:
        # The first one is what is wrong. Whoever closes the loop because of it may come to another, as when a task
        # does not let itself be cancelled, and must not report that instead.
        if self._told is None or sys.exc_info()[1] is not self._told:
            self._told = dead_end(self._loop)
        return self._told

    def _end(self) -> int:
        """How far time may pass, in ns."""
        return NEVER - 1

    def _at_end(self, deadline: int) -> bool:
        """Time has passed as far as it may, `deadline` is further: returns whether the loop goes on all the same."""
        return False


class ManualTime(VirtualTime):
    """A clock that is moved by hand, with advance(); timers run on the way, each at its own time."""

    def __init__(self, loop: "EventLoop") -> None:
        super().__init__(loop)
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()  # when time may go on from there, in ns

    def advance(self, seconds: float) -> "asyncio.Future[None]":
        """Lets `seconds` pass; several calls add up.

        Time passes when the loop has nothing else to do. What is returned may be awaited: it is done when the
        time has been reached and all that was due has run. Raises ValueError if `seconds` is negative or not finite.

        >>> import aionetflow
        >>> async def main() -> None:
        ...     loop = asyncio.get_running_loop()
        ...     _ = loop.call_later(2, lambda: print("due at", loop.time()))
        ...     await loop.clock.advance(5)
        ...     print("now it is", loop.time())
        >>> aionetflow.run(main(), time="manual")
        due at 2.0
        now it is 5.0
        """
        if not 0 <= seconds < NEVER / 1e9:
            raise ValueError(f"seconds must be finite and not negative, not {seconds}")
        start = self._waiting[-1][0] if self._waiting else self._loop._now
        future = self._loop.create_future()
        self._waiting.append((start + round(seconds * 1e9), future))
        return future

    def _end(self) -> int:
        return self._waiting[0][0] if self._waiting else self._loop._now

    def _at_end(self, deadline: int) -> bool:
        if self._waiting:
            self._loop._now = end = self._waiting[0][0]
            while self._waiting and self._waiting[0][0] == end:
                future = self._waiting.popleft()[1]
                if not future.done():
                    future.set_result(None)
            return True
        # When all that is left is being cancelled, nobody will move the clock: what they do last may take time.
        tasks = asyncio.all_tasks(self._loop)
        if deadline == NEVER or not tasks or not all(task.cancelling() for task in tasks):
            return False
        self._loop._now = deadline
        return True


CLOCKS: dict[str, type[LoopTime]] = {"real": RealTime, "virtual": VirtualTime, "manual": ManualTime}
