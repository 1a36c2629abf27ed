"""Virtual sockets on other threads than the one that their network's event loop runs on.

The stack is not for several threads at once: what another thread wants of it is done in the loop, while it waits.
"""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


def on_the_loop(loop: asyncio.AbstractEventLoop) -> bool:
    """Whether the network may be touched from here: in its loop, or while the loop does not run."""
    return asyncio._get_running_loop() is loop or not loop.is_running()


def call_in_loop(loop: asyncio.AbstractEventLoop, action: Callable[[], _T]) -> _T:
    """Makes a call that does not wait in the loop of another thread, and returns what it returns or raises."""
    done: concurrent.futures.Future[_T] = concurrent.futures.Future()

    def act() -> None:
        try:
            done.set_result(action())
        except BaseException as error:
            done.set_exception(error)

    loop.call_soon_threadsafe(act)
    return done.result()


def wait_for(
    loop: asyncio.AbstractEventLoop, name: str, action: Callable[[], Coroutine[Any, Any, _T]], timeout: float | None
) -> _T:
    """Waits for a coroutine of the loop of another thread, at most so many seconds of the loop's time.

    Raises TimeoutError; RuntimeError on the loop's own thread, which must not wait for what it has to do itself.
    """
    if on_the_loop(loop):
        raise RuntimeError(
            f"{name}() would have to wait, and the network runs on this very thread: "
            f"use setblocking(False) with the event loop's sock_{name}(), or another thread"
        )

    async def limited() -> _T:
        async with asyncio.timeout(timeout):
            return await action()

    try:
        return asyncio.run_coroutine_threadsafe(limited(), loop).result()
    except TimeoutError:
        raise TimeoutError("timed out") from None
