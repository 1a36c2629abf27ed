"""aionetflow's own event loop: asyncio's, with a compiled inside and a clock of one's choice."""

import _socket
import asyncio
import threading
import time as wall_clock
import warnings
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import nullcontext
from functools import partial
from logging import getLogger
from selectors import BaseSelector
from typing import Any, TypeVar, TypeVarTuple

from aionetflow.dropin.attach import attach
from aionetflow.loop.clock import CLOCKS, Hold, LoopTime
from aionetflow.loop.native import monotonic
from aionetflow.loop.stdlib_time import following
from aionetflow.loop.tick import Handle, Tick, callback_name
from aionetflow.network.clock import LoopClock
from aionetflow.network.network import Network

__all__ = ["EventLoop", "new_event_loop", "run"]

_Arguments = TypeVarTuple("_Arguments")
_Result = TypeVar("_Result")

_log = getLogger("asyncio")


# The tick says callables and their arguments more plainly than typeshed.
class EventLoop(Tick, asyncio.SelectorEventLoop):  # type: ignore[misc]
    """asyncio's SelectorEventLoop with a scheduler of its own, and with real, virtual or manual time.

    `time` says what the loop's clock, `loop.clock`, is: "real", the machine's; "virtual", which starts at 0 s,
    stands still while the loop works and jumps when it would wait; or "manual", which `loop.clock.advance()` moves.
    With `patch_time` the functions of the `time` module follow a clock that is not real while the loop runs, in its
    thread. `selector` is asyncio's. ValueError for any other `time`.

    The loop is on a network of its own from the start, with the one host "localhost"; `seed` is that network's. A
    `Network` that is entered takes its place meanwhile.

    In virtual and manual time a run that can never go on raises RuntimeError and says who waits. Real work holds
    time: run_in_executor(), subprocesses, and real descriptors that are watched, but for listening sockets.

    >>> async def main() -> float:
    ...     await asyncio.sleep(3600)
    ...     return asyncio.get_running_loop().time()
    >>> with asyncio.Runner(loop_factory=lambda: EventLoop(time="virtual")) as runner:
    ...     runner.run(main())
    3600.0
    """

    clock: LoopTime
    # asyncio's own, that its published types leave out
    _check_callback: Callable[[object, str], None]
    _check_thread: Callable[[], None]
    _default_executor: ThreadPoolExecutor | None
    _internal_fds: int
    _process_events: Callable[[list[Any]], None]
    _ssock: Any
    _write_to_self: Callable[[], None]

    def __init__(
        self, selector: BaseSelector | None = None, *, time: str = "real", patch_time: bool = False,
        seed: int | str | None = None,
    ) -> None:  # fmt: skip
        if time not in CLOCKS:
            self._closed = True  # there is nothing to close
            raise ValueError(f"time is one of {', '.join(map(repr, CLOCKS))}, not {time!r}")
        Tick.__init__(self)
        super(Tick, self).__init__(selector)
        self._ready = []
        self.clock = CLOCKS[time](self)
        self.networks: list[Network] = []
        self.wall_ns = wall_clock.time_ns()
        self._patch_time = patch_time and time != "real"
        self._children: dict[asyncio.SubprocessTransport, Hold] = {}
        self._exited: weakref.WeakSet[asyncio.SubprocessTransport] = weakref.WeakSet()
        self._own_network = Network(seed, clock=LoopClock(self))
        attach(self._own_network, self)

    def run_forever(self) -> None:
        """Runs until stop() is called."""
        with following(self) if self._patch_time else nullcontext():
            super().run_forever()

    def close(self) -> None:
        """Closes the loop: what is ready and what has a time does not run any more. RuntimeError if it runs."""
        super().close()
        self._heap.clear()
        self._own_network.close()

    # ---- what holds time

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*_Arguments], _Result], *args: *_Arguments
    ) -> asyncio.Future[_Result]:
        """As in asyncio; virtual time stands still until `func` is done."""
        hold = self.clock.hold()
        try:
            if executor is None or isinstance(executor, ThreadPoolExecutor):
                future = super().run_in_executor(executor, hold.run, func, *args)
                hold.threads = executor or self._default_executor
            else:
                future = super().run_in_executor(executor, func, *args)
        except BaseException:
            hold.release()
            raise
        future.add_done_callback(lambda _: hold.release())
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Waits for the threads of the default executor, at most `timeout` seconds of real time; then it warns."""
        self._executor_shutdown_called = True
        executor: Executor | None = getattr(self, "_default_executor", None)
        if executor is None:
            return
        future: asyncio.Future[bool] = self.create_future()

        def tell(ended: bool) -> None:
            if not future.done():
                future.set_result(ended)

        def join() -> None:
            closing = threading.Thread(target=executor.shutdown)
            closing.start()
            closing.join(timeout)
            if not self.is_closed():
                self.call_soon_threadsafe(tell, not closing.is_alive())

        with self.clock.hold():
            threading.Thread(target=join).start()
            if not await future:
                text = f"The executor did not finishing joining its threads within {timeout} seconds."
                warnings.warn(text, RuntimeWarning, stacklevel=2)
                executor.shutdown(wait=False)

    async def _make_subprocess_transport(self, *args: Any, **kwargs: Any) -> asyncio.SubprocessTransport:
        hold = self.clock.hold()
        try:
            transport: asyncio.SubprocessTransport = await super()._make_subprocess_transport(  # type: ignore[misc]
                *args, **kwargs
            )
        except BaseException:
            hold.release()
            raise
        if transport in self._exited:
            hold.release()
        else:
            self._children[transport] = hold
        return transport

    def _child_watcher_callback(self, pid: int, returncode: int, transport: asyncio.SubprocessTransport) -> None:
        super()._child_watcher_callback(pid, returncode, transport)  # type: ignore[misc]
        self._exited.add(transport)
        if transport in self._children:
            self._children.pop(transport).release()

    def _watched(self) -> tuple[bool, bool]:
        """Whether real descriptors are watched that hold time, and whether there are others, besides the loop's own."""
        keys = self._selector.get_map()
        if len(keys) <= self._internal_fds:
            return False, False
        own = self._ssock.fileno()
        listening = [_listens(key.fd) for key in keys.values() if key.fd != own]
        return not all(listening), any(listening)

    # ---- what the tick leaves to us

    def _wait(self) -> None:
        self.clock.wait()

    def _look(self, timeout: float | None) -> None:
        self._sleeping = True  # before the question whether anything is ready: another thread asks the other way round
        try:
            events = self._selector.select(0 if self._ready else timeout)
        finally:
            self._sleeping = False
        if events:
            self._process_events(events)
        self._looked = monotonic()

    def _wake(self) -> None:
        self._write_to_self()

    def _failed(self, handle: Handle, error: BaseException) -> None:
        message = f"Exception in callback {callback_name(handle)}"
        context: dict[str, Any] = {"message": message, "exception": error, "handle": handle}
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)

    def _run_watched(self, handle: Any) -> None:
        if handle._cancelled:
            return
        self._current_handle = handle
        begin = monotonic()
        try:
            handle._run()
        finally:
            self._current_handle = None
        took = (monotonic() - begin) / 1e9  # of the machine: a blocking call is one in virtual time, too
        if took >= self.slow_callback_duration:
            _log.warning("Executing %s took %.3f seconds", _name(handle), took)

    def _check(self, callback: object, method: str) -> None:
        if method != "call_soon_threadsafe":
            self._check_thread()
        self._check_callback(callback, method)


def _name(handle: Any) -> str:
    """What a slow callback is: a step of a task is named by the task."""
    task = getattr(handle._callback, "__self__", None)
    return repr(task if isinstance(task, asyncio.Task) else handle)


def _listens(fd: int) -> bool:
    """Whether a descriptor is a listening socket of the kernel."""
    try:
        probe = _socket.socket(fileno=fd)
    except OSError:
        return False
    try:
        return bool(probe.getsockopt(_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN))
    finally:
        probe.detach()


def new_event_loop(
    *, time: str = "real", patch_time: bool = False, seed: int | str | None = None
) -> EventLoop:
    """A new event loop with real, virtual or manual time: the factory to hand to asyncio, anyio and pytest-asyncio.

    See `EventLoop` for the arguments; ValueError for any other `time`.

    >>> with asyncio.Runner(loop_factory=new_event_loop) as runner:
    ...     runner.run(asyncio.sleep(0, "slept"))
    'slept'
    """
    return EventLoop(time=time, patch_time=patch_time, seed=seed)


def run(
    main: Coroutine[Any, Any, _Result], *, time: str = "real", patch_time: bool = False,
    seed: int | str | None = None, debug: bool | None = None,
) -> _Result:  # fmt: skip
    """As asyncio.run(), on a new loop of ours; see `EventLoop` for `time`, `patch_time` and `seed`.

    >>> import asyncio, aionetflow
    >>> aionetflow.run(asyncio.sleep(86400, "a day has gone by"), time="virtual")
    'a day has gone by'

    RuntimeError if an event loop runs in this thread.
    """
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("aionetflow.run() cannot be called while an event loop runs in this thread")
    factory = partial(new_event_loop, time=time, patch_time=patch_time, seed=seed)
    with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
        return runner.run(main)
