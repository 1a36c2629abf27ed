"""Runs an asynchronous test on several event loops, and finds fault with what it leaves behind.

    @everywhere                     # on stock asyncio's loop, on uvloop and on ours, in real and in virtual time
    async def test_something(size: int) -> None: ...

    @in_virtual_time                # only there: the test may name exact times
    async def test_something_else() -> None: ...

A test fails, too, when a task is left over at its end, or when something was told to the loop's exception handler.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from aionetflow import EventLoop
from support.build import SECOND

Test = Callable[..., Coroutine[Any, Any, None]]
PATIENCE = 5.0  # s; a test that takes as long on a loop in real time hangs


def _uvloop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": _uvloop,
    "own": EventLoop,
    "virtual": functools.partial(EventLoop, time="virtual"),
}
if SECOND:  # a pure network is tried on foreign loops by asyncio's; with uvloop the compiled one was
    del LOOPS["uvloop"]


def run(kind: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Runs a test's coroutine on a new loop of that kind."""
    told: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        async with asyncio.timeout(None if kind == "virtual" else PATIENCE):
            await main()
        await turns(3)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left over: {left}"

    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        runner.run(watched())
    assert not told, told


def on(*kinds: str) -> Callable[[Test], Callable[..., None]]:
    """A decorator that turns an asynchronous test into one for each of these kinds of loop."""

    def decorate(test: Test) -> Callable[..., None]:
        @functools.wraps(test)
        def on_loop(loop_kind: str, **arguments: Any) -> None:
            run(loop_kind, functools.partial(test, **arguments))

        signature = inspect.signature(test)
        kind = inspect.Parameter("loop_kind", inspect.Parameter.KEYWORD_ONLY)
        parameters = [p.replace(kind=kind.kind) for p in signature.parameters.values()]
        setattr(on_loop, "__signature__", signature.replace(parameters=[kind, *parameters]))  # noqa: B010
        here = [kind for kind in kinds if kind in LOOPS]
        marked: Callable[..., None] = pytest.mark.parametrize("loop_kind", here)(on_loop)
        return marked

    return decorate


everywhere = on("asyncio", "uvloop", "own", "virtual")
in_real_time = on("asyncio", "uvloop", "own")
on_foreign_loops = on("asyncio", "uvloop")  # which have no network of their own
in_virtual_time = on("virtual")


def seconds() -> float:
    """The running loop's time."""
    return asyncio.get_running_loop().time()


async def turns(count: int) -> None:
    """Lets everybody else have so many turns; virtual time stands still meanwhile."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition: Callable[[], object], limit: float = 10.0) -> None:
    """Waits until a condition holds; AssertionError if it does not within `limit` seconds of the loop."""
    await turns(50)
    end = seconds() + limit
    while not condition():
        assert seconds() < end, f"{inspect.getsource(condition).strip()}: not within {limit} s"
        await asyncio.sleep(0.001)
