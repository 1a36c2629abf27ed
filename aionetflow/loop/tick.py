"""The inside of the event loop: what is ready, what has a time, and the order in which they run.

A turn runs the callbacks that were ready at its beginning. While there are any, the loop finds its work without a
system call: the clock is read once a turn, and the selector is asked when `_LOOK_EVERY` ns have gone by since.

What bears a name of asyncio's BaseEventLoop (`_ready`, `_stopping`, `_debug`, ...) is that attribute: asyncio's own
code, which `EventLoop` inherits, sets it, and the tick reads it without a search in a dictionary.
"""

import inspect
import sys
import traceback
from asyncio import format_helpers
from collections.abc import Callable
from contextvars import Context
from heapq import heapify, heappop, heappush
from types import FrameType
from typing import Any

from aionetflow.clock import TimeSource
from aionetflow.config import NEVER as _NEVER
from aionetflow.loop.native import call_in, current_context, drop, monotonic
from aionetflow.widths import i64

NEVER = _NEVER  # this module's own, so that it is an integer of C
LOOK_EVERY = 50_000  # ns of the machine's clock; a look at the selector that finds nothing costs 1 to 2 µs
_LOOK_EVERY = LOOK_EVERY
_ENDLESS = 9.2e9  # s; a delay of nearly 300 years does not come to its end
_SWEEP = 100  # so few cancelled timers are never worth a sweep of the heap; asyncio's number
_HIDES_ARGUMENTS = "debug" in inspect.signature(format_helpers._format_callback_source).parameters


def nanoseconds(seconds: float) -> i64:
    """Seconds in ns, to the nearest; 0 for what is negative, NEVER for what is too long to come."""
    if seconds >= _ENDLESS:
        return NEVER
    return int(seconds * 1e9 + 0.5) if seconds > 0.0 else 0


def _stack_of_caller() -> traceback.StackSummary:
    """The stack of whoever called into this module; compiled, it has no frames of its own there."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return format_helpers.extract_stack(frame)


def callback_name(handle: Any) -> str:
    """What asyncio calls a callback in its messages: since 3.13 with its arguments only in debug mode."""
    options = {"debug": handle._loop._debug} if _HIDES_ARGUMENTS else {}
    return format_helpers._format_callback_source(handle._callback, handle._args or (), **options)


class Handle:
    """A callback that waits for its turn; what `call_soon` returns. The interface is that of asyncio.Handle."""

    def _set(self, loop: "Tick", callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self._loop = loop
        self._callback: Any = callback
        self._args: Any = args
        self._context = context
        self._cancelled = False
        self._repr: str | None = None
        self._source_traceback = _stack_of_caller() if loop._debug else None

    def cancel(self) -> None:
        """Makes sure that the callback does not run any more; harmless when it has run."""
        if self._cancelled:
            return
        self._cancelled = True
        if self._loop._debug:
            self._repr = repr(self)  # while there is a callback to name
        self._callback = None
        self._args = None

    def cancelled(self) -> bool:
        """Whether cancel() was called."""
        return self._cancelled

    def get_context(self) -> Context:
        """The context that the callback runs in."""
        return self._context

    def _run(self) -> None:
        self._loop._call(self)

    def _describe(self) -> list[str]:
        words = ["cancelled"] if self._cancelled else []
        if self._callback is not None:
            words.append(callback_name(self))
        if self._source_traceback:
            frame = self._source_traceback[-1]
            words.append(f"created at {frame.filename}:{frame.lineno}")
        return words

    def __repr__(self) -> str:
        if self._repr is not None:
            return self._repr
        return f"<{' '.join([type(self).__name__, *self._describe()])}>"


class TimerHandle(Handle):
    """A callback that waits for its time; what `call_later` and `call_at` return."""

    def _at(self, when: float) -> None:
        self._when = when
        self._scheduled = True

    def when(self) -> float:
        """The time that the callback is due, in seconds of the loop's clock."""
        return self._when

    def cancel(self) -> None:
        """Makes sure that the callback does not run any more; harmless when it has run."""
        if self._cancelled:
            return
        Handle.cancel(self)
        if self._scheduled:
            self._loop._count_cancelled()

    def _describe(self) -> list[str]:
        words = Handle._describe(self)
        words.insert(1 if self._cancelled else 0, f"when={self._when}")
        return words


class Tick(TimeSource):
    """Ready callbacks, timers and time; a subclass waits, looks at descriptors and deals with exceptions."""

    def __init__(self) -> None:
        self._ready: Any = []  # handles; of ours, and of asyncio's where it makes them itself
        self._selector: Any = None
        self._thread_id: int | None = None
        self._current_handle: Any = None
        self._timer_cancelled_count = 0  # cancelled timers that are still in the heap
        self._closed = False
        self._stopping = False
        self._debug = False
        self._sleeping = False  # in the selector, or about to go there: who adds something must wake the loop
        self._virtual = False  # time stands still unless `_now` is moved
        self._now = 0  # ns; the time, if it is virtual
        self._turned = 0  # ns; when the turn began
        self._looked = 0  # ns of the machine's clock; when the selector was last asked
        self._heap: list[tuple[int, int, TimerHandle]] = []
        self._order = 0  # breaks ties: timers of one time run in the order of the calls
        self._next = NEVER  # ns; the first of the heap is not due before

    # ---- for those who schedule

    def time(self) -> float:
        """The loop's time in seconds."""
        return self._clock() / 1e9

    def time_ns(self) -> int:
        """The loop's time in ns, exactly."""
        return self._clock()

    def turn_ns(self) -> int:
        """When the turn that runs began, in ns of the loop's time."""
        return self._turned

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Handle:
        """Has `callback` called in the loop's next turn, after all that is ready already.

        Raises RuntimeError if the loop is closed, and in debug mode if another thread calls; TypeError in debug
        mode if `callback` cannot be called or is a coroutine function.
        """
        if self._debug:
            self._check(callback, "call_soon")
        return self._schedule(callback, args, context)

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Handle:
        """As call_soon(), from any thread, or from a signal handler: it wakes the loop."""
        if self._debug:
            self._check(callback, "call_soon_threadsafe")
        handle = self._schedule(callback, args, context)
        if self._sleeping:
            self._wake()
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """Has `callback` called `delay` seconds from now; a delay that is positive takes at least 1 ns.

        Raises TypeError if `delay` is no number; else as call_soon().
        """
        if delay is None:
            raise TypeError("delay must not be None")
        if self._debug:
            self._check(callback, "call_later")
        now = self._clock()
        wait = nanoseconds(delay)
        if wait == 0 and delay > 0:
            wait = 1
        when = now + wait if wait < NEVER - now else NEVER
        return self._schedule_at(when, when / 1e9, callback, args, context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """Has `callback` called at time `when`, in seconds of the loop's clock; as call_later() otherwise."""
        if when is None:
            raise TypeError("when cannot be None")
        if self._debug:
            self._check(callback, "call_at")
        now = self._clock()
        when_ns = nanoseconds(when)
        # A float may lie between two ns: what is later than now must move virtual time, or whoever waits until
        # time() has reached `when` waits for ever.
        if when_ns <= now and when > now / 1e9:
            when_ns = now + 1
        return self._schedule_at(when_ns, when, callback, args, context)

    def call_at_ns(
        self, when_ns: i64, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> TimerHandle:
        """As call_at(), with the time in ns: nothing is rounded."""
        return self._schedule_at(when_ns, when_ns / 1e9, callback, args, context)

    def _clock(self) -> i64:
        return self._now if self._virtual else monotonic()

    def _schedule(self, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None) -> Handle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = Handle.__new__(Handle)
        handle._set(self, callback, args, current_context() if context is None else context)
        self._ready.append(handle)
        return handle

    def _schedule_at(
        self, when_ns: i64, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context | None
    ) -> TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = TimerHandle.__new__(TimerHandle)
        handle._set(self, callback, args, current_context() if context is None else context)
        handle._at(when)
        self._order += 1
        heappush(self._heap, (when_ns, self._order, handle))
        if when_ns < self._next:
            self._next = when_ns
        return handle

    def _count_cancelled(self) -> None:
        """One more timer was cancelled; at most about half of the heap may be."""
        self._timer_cancelled_count += 1
        if self._timer_cancelled_count > _SWEEP and self._timer_cancelled_count * 2 > len(self._heap):
            self._heap[:] = [entry for entry in self._heap if not entry[2]._cancelled]
            heapify(self._heap)
            self._timer_cancelled_count = 0

    # ---- the turns

    def next_deadline(self) -> i64:
        """When the next timer is due, in ns of the loop's clock; NEVER if there is none."""
        return self._first()

    def _first(self) -> i64:
        """As next_deadline(); cancelled timers at the head of the heap are dropped."""
        while self._heap:
            entry = self._heap[0]
            handle = entry[2]
            if not handle._cancelled:
                self._next = entry[0]
                return self._next
            heappop(self._heap)
            handle._scheduled = False
            self._timer_cancelled_count -= 1
        self._next = NEVER
        return NEVER

    def _run_once(self) -> None:
        """Turns until nothing is ready or the loop shall stop; if nothing is ready to begin with, waits first."""
        if self._ready or self._stopping:
            self._looked = 0  # the first turn looks at the descriptors, as every turn of asyncio's does
        while True:
            self._take_in()
            self._run_ready()
            if self._stopping or not self._ready:
                return

    def _take_in(self) -> None:
        """Makes ready what has happened and what is due; waits for it if nothing is ready."""
        if not self._ready and not self._stopping:
            self._wait()
            self._turned = self._clock()
            self._collect(self._turned)
            return
        now = monotonic()
        if now - self._looked >= _LOOK_EVERY:
            self._look(0)
        if self._virtual:
            now = self._now
        self._turned = now
        if self._next <= now:
            self._collect(now)

    def _collect(self, now: i64) -> None:
        """Moves what is due from the heap to the ready callbacks."""
        while self._first() <= now:
            handle = heappop(self._heap)[2]
            handle._scheduled = False
            self._ready.append(handle)

    def _run_ready(self) -> None:
        """Runs what is ready now; what becomes ready meanwhile is left to the next turn."""
        # One list, never exchanged: another thread may append to it at any moment.
        batch = self._ready
        count = len(batch)
        done = 0
        try:
            while done < count:
                handle = batch[done]
                batch[done] = None  # what a callback holds is not held until the end of the turn
                done += 1
                if self._debug:
                    self._run_watched(handle)
                elif isinstance(handle, Handle):
                    self._call(handle)
                elif not handle._cancelled:
                    handle._run()
        finally:
            drop(batch, done)

    def _call(self, handle: Handle) -> None:
        if handle._cancelled:
            return
        try:
            call_in(handle._context, handle._callback, handle._args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._failed(handle, error)

    # ---- what a subclass does

    def _wait(self) -> None:
        """Nothing is ready: waits until something is, or until the next timer is due."""
        raise NotImplementedError

    def _look(self, timeout: float | None) -> None:
        """Asks the selector, for at most so many seconds, and makes ready what it says."""
        raise NotImplementedError

    def _wake(self) -> None:
        """Ends the wait in the selector, from another thread."""
        raise NotImplementedError

    def _failed(self, handle: Handle, error: BaseException) -> None:
        """A callback has raised `error`."""
        raise NotImplementedError

    def _run_watched(self, handle: Any) -> None:
        """Runs a handle in debug mode."""
        raise NotImplementedError

    def _check(self, callback: object, method: str) -> None:
        """In debug mode: whether `method` may be called with that callback, and from this thread."""
        raise NotImplementedError
