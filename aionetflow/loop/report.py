"""What to say when a run can never go on: who waits, where, and for what."""

import asyncio
import os
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from aionetflow.config import NEVER

if TYPE_CHECKING:
    from aionetflow.loop.events import EventLoop

_SHOWN = 20  # tasks, and sockets; whoever has thousands waiting sees the kinds in the first


def dead_end(loop: "EventLoop") -> RuntimeError:
    """The error for a loop on which nothing can ever happen any more."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    sockets = [str(block).rstrip() for network in loop.networks for block in network.sockets()]
    timer = "no timer is set" if loop.next_deadline() == NEVER else "nobody moves the clock"
    lines = [
        f"nothing can ever happen at {loop.time()} s: no callback is ready, {timer}, nothing is under way outside,",
        f"but these {len(tasks)} tasks wait:",
        *_first([_task_line(task) for task in tasks]),
    ]
    if sockets:
        lines += ["and these sockets are there:", *_first(sockets)]
    return RuntimeError("\n".join(lines))


def _first(lines: list[str]) -> list[str]:
    more = len(lines) - _SHOWN
    return [f"  {line}" for line in lines[:_SHOWN]] + ([f"  ... and {more} more"] if more > 0 else [])


def _task_line(task: "asyncio.Task[Any]") -> str:
    frames = list(_frames(task.get_coro()))
    where = " > ".join(_place(frame) for frame in frames) or "nowhere yet"
    return f"{task.get_name()}: {where}, awaits {getattr(task, '_fut_waiter', None)!r}"


def _frames(awaited: Any) -> Iterator[FrameType]:
    """The frames of a chain of coroutines, generators and asynchronous generators, from the outermost inwards."""
    while awaited is not None:
        inner = None
        for kind in ("cr", "gi", "ag"):
            frame = getattr(awaited, f"{kind}_frame", None)
            if frame is not None:
                yield frame
                inner = getattr(awaited, f"{kind}_await", None) or getattr(awaited, f"{kind}_yieldfrom", None)
        awaited = inner


def _place(frame: FrameType) -> str:
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_name}"
