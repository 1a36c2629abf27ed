"""One test on a network of its own: its event loop, the network, and what is so while it runs.

The loop is made before anything else of the test, and so is the network, which runs on the loop's time. Whoever runs
the test (pytest-asyncio, anyio, this plugin, or the test itself by asyncio.run()) is handed that loop. If it has
one of its own choice instead, the network moves there as soon as something runs in it.
"""

import asyncio
import contextlib
import functools
import inspect
import socket
import threading
from asyncio import events
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from types import MethodType
from typing import Any

import pytest

from aionetflow.dropin.attach import attach
from aionetflow.dropin.patch import Patch, patch
from aionetflow.ip.address import AF_INET, AF_INET6
from aionetflow.loop.clock import CLOCKS
from aionetflow.loop.events import EventLoop, new_event_loop
from aionetflow.network.clock import LoopClock
from aionetflow.network.host import enter, leave, optional_host
from aionetflow.testing.guard import Guard
from aionetflow.testing.recording import RecordedNetwork, Recorder
from aionetflow.testing.settings import Settings

_current: "Run | None" = None
_make_system_loop = events.new_event_loop


def current() -> "Run | None":
    """The run of the test that is on a network now; None if none is."""
    return _current


class Run:
    """One test on a network of its own, from begin() to end().

    `root` is the folder of the tests' own code, `capture` says that all frames are to be kept.
    """

    def __init__(self, settings: Settings, root: Path, capture: bool) -> None:
        self.settings = settings
        self.loop: asyncio.AbstractEventLoop = new_event_loop(time=settings.time)
        self.recorder = Recorder(capture)
        self.clock = LoopClock(self.loop)
        self.start_ns = self.clock.now()
        self.network = RecordedNetwork(self.recorder, settings.seed, settings.bridge, clock=self.clock)
        self.network.lan_settings = settings.link
        self.guard = Guard(root, settings.bridge == "loopback")
        self.sockets: list[str] | None = None  # those that were open when the test failed, a line each
        self.threads = threading.active_count()
        self._first = self.loop
        self._handed_out = False
        self._ends = False
        self._thread = threading.get_ident()
        self._ports: set[int] = set()
        self._detach: Callable[[], None] | None = None
        self._patch: Patch | None = None

    # When it is on the network ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """From now on the test's code is on the network, inside event loops and outside."""
        global _current  # noqa: PLW0603  # pytest runs one test at a time
        _current = self
        enter(self.network.localhost)
        self._patch = patch()
        vars(events)["new_event_loop"] = vars(asyncio)["new_event_loop"] = self._new_event_loop
        if not self.loop.is_closed():
            self._attach()
        self.guard.start()

    def pause(self) -> None:
        """Until now. What lives longer than the test (fixtures of a module or session) is not on its network."""
        global _current  # noqa: PLW0603
        self.guard.stop()
        self._leave_loop()
        vars(events)["new_event_loop"] = vars(asyncio)["new_event_loop"] = _make_system_loop
        if self._patch is not None:
            self._patch.undo()
        leave()
        _current = None

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """A while without it."""
        self.pause()
        try:
            yield
        finally:
            self.begin()

    def end_with(self, item: pytest.Item) -> None:
        """Has the run end with a test: called before the first of its fixtures is set up, it ends after the last."""
        if not self._ends:
            self._ends = True
            item.addfinalizer(self.end)

    def end(self) -> None:
        """The test is over, and its network with it. Harmless when it is over already."""
        if _current is not self:
            return
        self.pause()
        for host in self.network.hosts:
            for task in host.tasks:
                if not self.loop.is_closed():
                    task.cancel()
        self.network.close()
        if not self._handed_out:
            self._first.close()

    # Which loop it is on ------------------------------------------------------------------------------------------

    def hand_out_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop for whoever runs the test."""
        if self._handed_out:
            self.take(new_event_loop(time=self.settings.time))
        self._handed_out = True
        return self.loop

    def take(self, loop: asyncio.AbstractEventLoop) -> None:
        """The test runs in this loop: moves the network there.

        Raises RuntimeError if the loop does not keep the time that the test has asked for, or if it is too late.
        """
        __tracebackhide__ = True
        if loop is self.loop:
            return
        time = self.settings.time
        if time != "real" and not (isinstance(loop, EventLoop) and type(loop.clock) is CLOCKS[time]):
            raise RuntimeError(
                f"this test wants {time} time, and runs in {loop!r}: a conftest.py chooses the loop "
                "(pytest_asyncio_loop_factories, event_loop_policy, anyio_backend), or pytest-asyncio is older than 1.4"
            )
        if any(host.bare_stack.sockets for host in self.network.hosts):
            raise RuntimeError(
                f"sockets were made for this test before it was known that {loop!r} runs it: make them in an "
                "async fixture, or leave the choice of the loop to the marker"
            )
        self._leave_loop()
        self.loop = loop
        self.clock.move_to(loop)
        self._attach()

    @contextlib.contextmanager
    def here(self) -> Iterator[None]:
        """In the running loop: the task that enters this is on the network."""
        __tracebackhide__ = True
        loop = asyncio._get_running_loop()
        if loop is None:
            raise RuntimeError("tests on a network run on asyncio: this one is run by another library")
        self.take(loop)
        host = optional_host()
        if host is not None and host.network is self.network:
            yield
            return
        enter(self.network.localhost)
        try:
            yield
        finally:
            leave()

    def _new_event_loop(self) -> asyncio.AbstractEventLoop:
        """asyncio.new_event_loop() while the test runs: what asyncio.run() makes in a test that is no coroutine."""
        if threading.get_ident() == self._thread and (not self._handed_out or self.loop.is_closed()):
            return self.hand_out_loop()
        return _make_system_loop()

    def _attach(self) -> None:
        self._detach = attach(self.network, self.loop)
        vars(self.loop)["close"] = self._close_loop

    def _leave_loop(self) -> None:
        if self._detach is not None:
            vars(self.loop).pop("close", None)
            self._detach()
            self._detach = None

    def _close_loop(self) -> None:
        """The loop's close(): sockets go first, as they still tell it so."""
        for host in self.network.hosts:
            for sock in list(host.bare_stack.sockets.values()):
                sock.close()
        self._leave_loop()
        self.loop.close()

    # What it is asked for -----------------------------------------------------------------------------------------

    def free_port(self, kind: int) -> int:
        """A port that is free on localhost for both families, and was not given to this test before."""
        while True:
            first, second = (self.network.localhost.socket(family, kind) for family in (AF_INET, AF_INET6))
            try:
                first.bind(("0.0.0.0", 0))
                port: int = first.getsockname()[1]
                second.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                second.bind(("::", port))
            except OSError:
                continue
            finally:
                first.close()
                second.close()
            if port not in self._ports:
                self._ports.add(port)
                return port

    def note_sockets(self) -> list[str]:
        """The open sockets, a line each, as they were when this was first called."""
        if self.sockets is None:
            blocks = self.network.sockets()
            width = max((len(block.host) for block in blocks), default=0)
            self.sockets = [f"{block.host:<{width}}  {block}" for block in blocks]
        return self.sockets

    # What is run on it --------------------------------------------------------------------------------------------

    def on_network(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A coroutine function or asynchronous generator function that does the same on the network."""
        if isinstance(function, MethodType):
            return MethodType(self.on_network(function.__func__), function.__self__)
        wrap = self._generator if inspect.isasyncgenfunction(function) else self._coroutine
        return functools.wraps(function)(wrap(function))

    def _coroutine(self, function: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            __tracebackhide__ = True
            with self.here():
                try:
                    return await function(*args, **kwargs)
                except BaseException:
                    self.note_sockets()
                    raise

        return run

    def _generator(self, function: Callable[..., AsyncIterator[Any]]) -> Callable[..., Any]:
        async def run(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            __tracebackhide__ = True
            with self.here():
                values: Any = function(*args, **kwargs)
                async with contextlib.aclosing(values):
                    async for value in values:
                        yield value

        return run
