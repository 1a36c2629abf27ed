"""Virtual sockets outside of the event loop that their network runs on: on other threads, and while it is not run.

The stack is not for several threads at once. While the loop runs, it has the network, and what another thread wants of
it is done in the loop, at its next turn. While it does not run, any thread may take the network for one call; the loop
does not start in the middle of it. So a blocking call waits as one of the kernel's does, whether somebody runs the loop
meanwhile or not; whoever waits while nobody runs it sees to it that the network's timers are met.

A call that would wait inside the running loop would wait for itself: it is an error.
"""

import asyncio
import concurrent.futures
import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, Generic, Protocol, TypeVar

from aionetflow.clock import Clock
from aionetflow.config import NEVER

_T = TypeVar("_T")
_LOOK_AGAIN = 0.02  # s; how soon one who waits sees that the loop runs no longer, or does now
_KEY = "_aionetflow_gate"
_JOIN_IS_WITHIN = 3  # frames: join() calls another function in some Pythons
_making = threading.Lock()


_here = threading.local()


class Hold(Protocol):
    """What makes virtual time stand still while a thread works for an event loop (loop/clock.py)."""

    def lift(self) -> None:
        """Lets time pass until resume()."""

    def resume(self) -> None:
        """Ends what lift() began."""


@contextlib.contextmanager
def working_under(hold: Hold) -> Iterator[None]:
    """What this thread does meanwhile is the work that a hold is for."""
    _here.hold = hold
    try:
        yield
    finally:
        _here.hold = None


class Gate:
    """Says whether a loop has its network: while it runs, and from just before. `lock` is held to take the network."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._taken = False
        self._runner = threading.get_ident()

    def is_free(self, loop: asyncio.AbstractEventLoop, *, thorough: bool = False) -> bool:
        """Whether a thread that is not in the loop may take the network, while it holds the lock.

        It may if nobody runs the loop; and, which is looked for only if asked to, if the thread that runs it waits
        for this one to end. The kernel's sockets work then, too.
        """
        if not self._taken and not loop.is_running():
            return True
        return thorough and _joins_this_thread(self._runner)

    def gated(self, run_forever: Callable[[], None]) -> Callable[[], None]:
        """A loop's run_forever(), which takes the network."""

        def run() -> None:
            with self.lock:
                self._taken = True
                self._runner = threading.get_ident()
            try:
                run_forever()
            finally:
                self._taken = False

        return run


def _joins_this_thread(ident: int) -> bool:
    """Whether a thread is inside Thread.join() for this one, for as long as it takes."""
    frame = sys._current_frames().get(ident)
    for _ in range(_JOIN_IS_WITHIN):
        if frame is None:
            return False
        if frame.f_code is threading.Thread.join.__code__:
            given = frame.f_locals
            return given["self"] is threading.current_thread() and given["timeout"] is None
        frame = frame.f_back
    return False


def gate_of(loop: asyncio.AbstractEventLoop) -> Gate:
    """The gate of a loop; made when first asked for, which should be on the loop's own thread."""
    own = vars(loop)
    with _making:
        gate: Gate | None = own.get(_KEY)
        if gate is None:
            gate = own[_KEY] = Gate()
            own["run_forever"] = gate.gated(loop.run_forever)
    return gate


class _Request(Generic[_T]):
    """A call that is made once, by the loop or by the thread that wants it."""

    def __init__(self, action: Callable[[], _T]) -> None:
        self._action = action
        self.outcome: concurrent.futures.Future[_T] = concurrent.futures.Future()

    def act(self) -> None:
        """Makes the call, if it has not been made."""
        if self.outcome.done():
            return
        try:
            self.outcome.set_result(self._action())
        except BaseException as error:
            self.outcome.set_exception(error)


def call(loop: asyncio.AbstractEventLoop, action: Callable[[], _T]) -> _T:
    """Makes a call that does not wait, where the network may be touched, and returns what it returns or raises."""
    if asyncio._get_running_loop() is loop:
        return action()
    gate = gate_of(loop)
    request = _Request(action)
    asked = False
    while not request.outcome.done():
        with gate.lock:
            if gate.is_free(loop, thorough=asked):
                request.act()
                break
        if not asked:
            loop.call_soon_threadsafe(request.act)
            asked = True
        concurrent.futures.wait([request.outcome], _LOOK_AGAIN)
    return request.outcome.result()


def ask(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """As `call`, but of another thread's loop it is only asked, and done at its next turn."""
    if asyncio._get_running_loop() is loop:
        action()
        return
    gate = gate_of(loop)
    with gate.lock:
        if gate.is_free(loop):
            action()
            return
    with contextlib.suppress(RuntimeError):  # closed meanwhile, and all its sockets with it
        loop.call_soon_threadsafe(action)


class Sleeper:
    """A thread that waits for a socket to change: woken by `wake`, from whatever thread."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Clock, timeout: float | None, hold: Hold | None
    ) -> None:
        self._loop = loop
        self._clock = clock
        self._gate = gate_of(loop)
        self._changed = threading.Event()
        self._alarm = None if timeout is None else loop.call_later(timeout, self._expire)
        self._last = None if timeout is None else monotonic() + timeout
        self._expired = False
        self._hold = hold  # what its own work holds; lifted while it waits for the network

    def wake(self) -> None:
        """Something has changed."""
        if self._hold is not None:
            self._hold.resume()
        self._changed.set()

    def begin(self) -> None:
        """What has changed so far is known."""
        self._changed.clear()

    def lift(self) -> None:
        """It is going to sleep: its work does not hold time meanwhile, unless its own time is over."""
        if self._hold is not None and not self._expired:
            self._hold.lift()

    def sleep(self) -> None:
        """Returns when something has changed since `begin`, or it is time to look again. Raises TimeoutError."""
        free = self._gate.is_free(self._loop, thorough=True)
        if self._expired or (self._last is not None and free and monotonic() >= self._last):
            raise TimeoutError("timed out")
        self._changed.wait(self._meet_timers() if free else _LOOK_AGAIN)

    def end(self) -> None:
        """It does not wait any more."""
        if self._hold is not None:
            self._hold.resume()
        if self._alarm is not None:
            self._alarm.cancel()

    def _expire(self) -> None:
        self._expired = True
        self.wake()

    def _meet_timers(self) -> float:
        """Runs what is due on the network; returns the seconds until there may be more."""
        with self._gate.lock:
            if not self._gate.is_free(self._loop, thorough=True):
                return 0.0
            self._clock.run_timers(self._clock.now())
            deadline = self._clock.next_deadline()
            if deadline == NEVER:
                return _LOOK_AGAIN
            return min(_LOOK_AGAIN, max(0, deadline - self._clock.now()) / 1e9)


def wait_for(
    loop: asyncio.AbstractEventLoop, clock: Clock, sleepers: list[Sleeper], name: str, attempt: Callable[[], _T],
    timeout: float | None,
) -> _T:  # fmt: skip
    """Makes a call until it does not say "would block" any more, and returns what it returns or raises.

    `sleepers` are those whom the socket below wakes when it has changed. Raises TimeoutError after so many seconds;
    RuntimeError where waiting could never end.
    """
    with contextlib.suppress(BlockingIOError):
        return call(loop, attempt)
    _check_may_wait(loop, name)

    hold: Hold | None = getattr(_here, "hold", None)

    def begin() -> Sleeper:
        sleeper = Sleeper(loop, clock, timeout, hold)
        sleepers.append(sleeper)
        return sleeper

    def end() -> None:
        sleepers.remove(sleeper)
        sleeper.end()

    def try_again() -> _T:
        sleeper.begin()
        try:
            return attempt()
        except BlockingIOError:
            sleeper.lift()
            raise

    sleeper = call(loop, begin)
    try:
        while True:
            try:
                return call(loop, try_again)
            except BlockingIOError:
                sleeper.sleep()
    finally:
        call(loop, end)


def _check_may_wait(loop: Any, name: str) -> None:
    if asyncio._get_running_loop() is loop:
        raise RuntimeError(
            f"{name}() would have to wait, and the network runs on this very thread: "
            f"use setblocking(False) with the event loop's sock_{name}(), or another thread"
        )
    main = threading.current_thread() is threading.main_thread()
    if main and getattr(loop, "_virtual", False) and not loop.is_running():
        raise RuntimeError(f"{name}() would have to wait, and the loop's time passes only while it runs")
