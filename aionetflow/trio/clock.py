"""A network's time on trio, and what virtual sockets ask of an event loop, answered by trio."""

import asyncio
import math
import threading
from collections.abc import Callable, Generator
from typing import Any

import trio

from aionetflow.clock import Clock
from aionetflow.config import NEVER, SECOND

_BURST = 64  # callbacks in one step of the clock's task; then other tasks get their turn


class TrioClock(Clock):
    """The core's clock over trio's, the real one or a trio.testing.MockClock.

    `run` is the task that keeps it going. However many timers there are, trio has one deadline to meet. Made inside
    trio.run() (RuntimeError elsewhere).

    >>> async def main() -> None:
    ...     clock = TrioClock()
    ...     begun, done = clock.now(), trio.Event()
    ...     timer = clock.call_at(begun + 3_000_000_000, done.set)  # in 3 s
    ...     async with trio.open_nursery() as nursery:
    ...         nursery.start_soon(clock.run)
    ...         await done.wait()
    ...         print((clock.now() - begun) / 1e9)
    ...         nursery.cancel_scope.cancel()
    >>> trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    3.0
    """

    def __init__(self) -> None:
        super().__init__()
        self._bed = trio.lowlevel.ParkingLot()  # where `run` sleeps
        self._until = NEVER  # ns; how long it would
        self._reached = 0  # ns; a deadline that trio says has come
        self._closed = False
        self.now()

    def now(self) -> int:
        """trio's time in ns; it stands still while timers run, and once the clock is closed."""
        if self._running >= 0:
            return self._running
        if not self._closed:
            self._reached = max(self._reached, round(trio.current_time() * SECOND))
        return self._reached

    async def run(self) -> None:
        """Runs each timer when it is due, until cancelled."""
        while True:
            self.run_timers(self.now(), _BURST)
            await self._sleep(self.next_deadline())

    def close(self) -> None:
        """Time stands still from now on."""
        self.now()
        self._closed = True

    async def _sleep(self, until: int) -> None:
        if until <= self.now():
            await trio.lowlevel.checkpoint()
            return
        self._until = until
        with trio.move_on_at(math.inf if until == NEVER else until / SECOND) as nap:
            await self._bed.park()
        if nap.cancelled_caught:
            # A float of seconds is coarser than 1 ns: trio may call this time what now() calls 1 ns before.
            self._reached = max(self._reached, until)

    def _armed(self, when: int) -> None:
        if when < self._until:
            self._bed.unpark()


class _Signal:
    """As much of a future as somebody needs who waits for a socket to change."""

    def __init__(self) -> None:
        self._set = trio.Event()

    def done(self) -> bool:
        return self._set.is_set()

    def set_result(self, result: object) -> None:
        self._set.set()

    def __await__(self) -> Generator[Any, Any, None]:
        return self._set.wait().__await__()


class TrioLoop(asyncio.AbstractEventLoop):
    """What virtual sockets ask of the event loop that their network runs on; all else raises NotImplementedError.

    Made inside trio.run().
    """

    def __init__(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._thread = threading.get_ident()
        self._closed = False

    def is_running(self) -> bool:
        """Whether whoever asks must leave the network to this loop: trio runs it, and on another thread."""
        return not self._closed and threading.get_ident() != self._thread

    def is_closed(self) -> bool:
        """Whether the network has ended."""
        return self._closed

    def close(self) -> None:
        """The network has ended."""
        self._closed = True

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Any = None
    ) -> None:
        """Has a function called in trio's thread."""
        self._token.run_sync_soon(callback, *args)

    def create_future(self) -> Any:
        """Something that a trio task can wait for."""
        return _Signal()
