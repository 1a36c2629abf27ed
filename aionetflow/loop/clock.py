"""An event loop that keeps virtual time."""

import asyncio
import math
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")

_RESOLUTION = 1e-9  # s; virtual time has nanoseconds on every platform
_SHOWN = 5  # names of tasks in an error message


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose time starts at 0 s, stands still while it works and jumps when it would wait.

    Sleeping costs nothing, and two runs of one program have the same times. When everything waits and no
    timer is set, the loop raises RuntimeError instead of hanging. It waits for real, time standing still,
    while a call of run_in_executor() is at work, and, if no timer is set, for file descriptors that it
    watches. Signals and calls from threads it did not start are not waited for.

    >>> async def main() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
    ...     runner.run(main())
    3600.0
    """

    def __init__(self) -> None:
        self._virtual_ns = 0
        self._outside = 0  # pieces of work in threads that will wake the loop
        super().__init__(_JumpingSelector(self))
        self._clock_resolution = _RESOLUTION

    def time(self) -> float:
        """The virtual time in seconds."""
        return self._virtual_ns / 1e9

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Arguments], _Result], *args: *_Arguments
    ) -> asyncio.Future[_Result]:
        """As in asyncio; time stands still until `func` is done."""
        future = super().run_in_executor(executor, func, *args)
        self._outside += 1
        future.add_done_callback(self._came_back)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """As in asyncio; time stands still until the threads have ended."""
        self._outside += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._outside -= 1

    def _came_back(self, future: asyncio.Future[Any]) -> None:
        self._outside -= 1

    def _jump(self, seconds: float) -> None:
        self._virtual_ns += max(1, round(seconds * 1e9))
        # asyncio runs what is due before time + resolution, which must be after time: after some months
        # the next float is further than 1 ns away.
        self._clock_resolution = max(_RESOLUTION, math.ulp(self.time()))

    def _dead_end(self) -> RuntimeError:
        names = sorted(task.get_name() for task in asyncio.all_tasks(self))
        shown = ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
        return RuntimeError(
            f"nothing can ever happen at {self.time()} s: no callback is ready and no timer is set,"
            f" but these {len(names)} tasks wait: {shown}"
        )


class _JumpingSelector(selectors.DefaultSelector):
    """Where asyncio would wait for time to pass, makes it pass."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        watched = len(self.get_map()) - 1  # but for the pipe by which threads wake the loop
        if self._loop._outside or (timeout is None and watched > 0):
            return super().select(None)
        if timeout is None:
            raise self._loop._dead_end()
        self._loop._jump(timeout)
        return ready
