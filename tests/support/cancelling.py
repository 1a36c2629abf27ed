"""Cancels a coroutine at one of the points where it waits.

The points are counted: the first time that the coroutine lets others run is point 1. It is cancelled there in one of
three ways: WAITING, before what it waits for has come; ARRIVING, in the very turn of the loop in which it comes, before
the task has noticed; TIMEOUT, by asyncio.timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")
WAITING, ARRIVING, TIMEOUT = "waiting", "arriving", "timeout"
WAYS = (WAITING, ARRIVING, TIMEOUT)


class CancelledAt(Generic[T]):
    """Awaits a coroutine and cancels the task that does so at point `point`; counts the points it reached."""

    def __init__(self, coro: Coroutine[Any, Any, T], point: int, way: str) -> None:
        self.reached = 0
        self._coro = coro
        self._point = point
        self._way = way

    def __await__(self) -> Generator[Any, Any, T]:
        inner = self._coro.__await__()
        failure: BaseException | None = None
        while True:
            try:
                awaited = next(inner) if failure is None else inner.throw(failure)
            except StopIteration as end:
                result: T = end.value
                return result
            self.reached += 1
            if self.reached == self._point:
                self._cancel(awaited)
            try:
                failure = None
                yield awaited
            except BaseException as error:
                failure = error

    def _cancel(self, awaited: asyncio.Future[Any] | None) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._way == ARRIVING and awaited is not None:
            # called before the task is, for the task has not asked yet to be told
            awaited.add_done_callback(lambda _: task.cancel())
        else:
            asyncio.get_running_loop().call_soon(task.cancel)


async def cancel_at(make: Callable[[], Coroutine[Any, Any, T]], point: int, way: str) -> tuple[bool, T | None]:
    """Runs a call in a task of its own and cancels it at a point: (whether it was cancelled, else what came out)."""
    cancelled_at = CancelledAt(make(), point, way if way != TIMEOUT else WAITING)
    task = asyncio.ensure_future(_timed_out(cancelled_at, point) if way == TIMEOUT else _plain(cancelled_at))
    try:
        return False, await task
    except (asyncio.CancelledError, TimeoutError):
        assert cancelled_at.reached >= point
        return True, None


async def _plain(awaitable: Awaitable[T]) -> T:
    return await awaitable


async def _timed_out(cancelled_at: CancelledAt[T], point: int) -> T:
    """The same, but what cancels is a timeout that is moved to now at that point."""
    async with asyncio.timeout(None) as timeout:
        cancelled_at._cancel = (  # type: ignore[method-assign]
            lambda awaited: timeout.reschedule(asyncio.get_running_loop().time())
        )
        return await cancelled_at
