"""The functions of the `time` module, following a loop whose time is not real, for the thread that runs it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_NAMES = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns")
_lock = threading.Lock()
_real: dict[str, Callable[[], Any]] = {}  # what was there before the first loop came
_followed: dict[int, list["Clocked"]] = {}  # by thread; the last is the one that runs


class Clocked(Protocol):
    """A loop that tells its time, and the wall clock's at the moment that its own was 0, in ns."""

    wall_ns: int

    def time_ns(self) -> int: ...


@contextmanager
def following(loop: Clocked) -> Iterator[None]:
    """Has `time.time`, `time.monotonic`, `time.perf_counter` and their kin tell `loop`'s time, in this thread.

    Code that imported the functions themselves beforehand (`from time import monotonic`) keeps the real ones.
    """
    thread = threading.get_ident()
    with _lock:
        if not _followed:
            _real.update((name, getattr(time, name)) for name in _NAMES)
            for name in _NAMES:
                setattr(time, name, _follower(name))
        _followed.setdefault(thread, []).append(loop)
    try:
        yield
    finally:
        with _lock:
            _followed[thread].remove(loop)
            if not _followed[thread]:
                del _followed[thread]
            if not _followed:
                for name, function in _real.items():
                    setattr(time, name, function)
                _real.clear()


def _follower(name: str) -> Callable[[], Any]:
    real = _real[name]
    wall = name.startswith("time")
    in_ns = name.endswith("_ns")

    def follower() -> Any:
        loops = _followed.get(threading.get_ident())
        if not loops:
            return real()
        ns = loops[-1].time_ns() + (loops[-1].wall_ns if wall else 0)
        return ns if in_ns else ns / 1e9

    follower.__name__ = follower.__qualname__ = name
    follower.__doc__ = f"time.{name}() of the event loop that this thread runs."
    return follower
