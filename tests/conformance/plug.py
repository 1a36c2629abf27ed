"""Puts a loop where the tests of others look for theirs."""

from __future__ import annotations

import asyncio
import asyncio.events
import selectors
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
    import aionetflow

    class PluggedLoop(aionetflow.EventLoop):
        """Made as asyncio's is, with a selector that it has no use for."""

        def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
            if selector is not None:
                selector.close()
            super().__init__()

    asyncio.SelectorEventLoop = PluggedLoop
    aionetflow.patch()
    return PluggedLoop
