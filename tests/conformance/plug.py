"""Puts a loop where the tests of others look for theirs."""

from __future__ import annotations

import asyncio
import asyncio.events
import contextvars
import functools
import selectors
import threading
from collections.abc import Callable

from conformance.suites import UVLOOP, Suite

# What `--loop` may say: ours; asyncio's on the kernel; the one that the tests were written for.
OURS, ASYNCIO, ORIGINAL = "aionetflow", "asyncio", "original"
LOOPS = (OURS, ASYNCIO, ORIGINAL)

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def plug(suite: Suite, loop: str) -> None:
    """From here on, what makes a loop in the tests of a suite makes this one. Before they are imported."""
    if loop == OURS:
        new_loop = _our_loop()
    elif loop == ASYNCIO:
        new_loop = asyncio.SelectorEventLoop
    else:
        return
    asyncio.new_event_loop = asyncio.events.new_event_loop = new_loop
    if suite is UVLOOP:
        import uvloop

        uvloop.new_event_loop = new_loop


def _our_loop() -> NewLoop:
    """Ours, on a network whose only host is the one that the test and the threads it starts are on."""
    import aionetflow
    from aionetflow.dropin.attach import attach
    from aionetflow.network.clock import LoopClock
    from aionetflow.network.host import enter, leave
    from aionetflow.network.network import Network

    class PluggedLoop(asyncio.SelectorEventLoop):
        """Made as asyncio's is, with a selector that it has no use for."""

        def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
            super().__init__(selector)
            self.network = Network(seed=1, clock=LoopClock(self))
            self.detach = attach(self.network, self)
            enter(self.network.localhost)

        def close(self) -> None:
            if self.is_running():
                raise RuntimeError("Cannot close a running event loop")
            if not self.is_closed():
                self.network.close()
                leave()
            super().close()

    asyncio.SelectorEventLoop = PluggedLoop
    threading.Thread.start = _start_in_context
    aionetflow.patch()
    return PluggedLoop


_start = threading.Thread.start


def _start_in_context(thread: threading.Thread) -> None:
    thread.run = functools.partial(contextvars.copy_context().run, thread.run)
    _start(thread)
