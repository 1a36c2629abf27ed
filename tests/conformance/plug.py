"""Puts a loop where the tests of others look for theirs."""

from __future__ import annotations

import asyncio
import asyncio.events
import contextvars
import functools
import selectors
import threading
from collections.abc import Callable
from typing import Any

from conformance.suites import UVLOOP, Suite

# What `--loop` may say: ours; asyncio's on the kernel; the one that the tests were written for.
OURS, ASYNCIO, ORIGINAL = "aionetflow", "asyncio", "original"
LOOPS = (OURS, ASYNCIO, ORIGINAL)



def plug(suite: Suite, file: str, loop: str) -> None:
    """From here on, what makes a loop in the tests of a file makes this one. Before they are imported."""
    if loop == ORIGINAL:
        return
    new_loop: Any = _our_loop("loopback" if file in suite.bridged else None) if loop == OURS else _stock_loop()
    asyncio.new_event_loop = asyncio.events.new_event_loop = new_loop
    if suite is UVLOOP:
        import uvloop

        uvloop.new_event_loop = new_loop
        # uvloop's tests know by this that asyncio's own way is expected where uvloop has another one.
        new_loop.__module__ = "asyncio.plugged"


def _stock_loop() -> type[asyncio.AbstractEventLoop]:
    class StockLoop(asyncio.SelectorEventLoop):
        """asyncio's own, unchanged."""

    return StockLoop


def _our_loop(bridge: str | None) -> type[asyncio.AbstractEventLoop]:
    """Ours, on a network whose only host is the one that the test and the threads it starts are on."""
    import aionetflow
    from aionetflow.dropin.attach import attach
    from aionetflow.network.clock import LoopClock
    from aionetflow.network.host import enter, leave

    class PluggedLoop(aionetflow.EventLoop):
        """What a test makes as asyncio's loop; the sockets that it makes as the kernel's are this loop's, too."""

        def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
            super().__init__(selector, seed=1)
            self._end_bridge: Callable[[], None] | None = None
            if bridge is not None:
                self._end_bridge = attach(aionetflow.Network(seed=1, bridge=bridge, clock=LoopClock(self)), self)
            enter(self.networks[-1].localhost)

        def close(self) -> None:
            if self._end_bridge is not None:
                self._end_bridge()
                self._end_bridge = None
                self.run_until_complete(asyncio.sleep(0))  # in which it closes the kernel's sockets
            was_open = not self.is_closed()
            super().close()
            if was_open:
                leave()

    vars(asyncio)["SelectorEventLoop"] = PluggedLoop
    setattr(threading.Thread, "start", _start_in_context)  # noqa: B010  # mypy allows no other way
    aionetflow.patch()
    return PluggedLoop


_start = threading.Thread.start


def _start_in_context(thread: threading.Thread) -> None:
    """A thread is on the host that whoever starts it is on, as it will be in later Pythons by itself."""
    vars(thread)["run"] = functools.partial(contextvars.copy_context().run, thread.run)
    _start(thread)
