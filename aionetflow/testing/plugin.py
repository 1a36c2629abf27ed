"""pytest's hooks for tests that run on a network; registered by pytest_aionetflow.py when the first one is collected.

    collected    chosen_loops()           the loop for pytest-asyncio and anyio; a test for each seed
    setup        pytest_runtest_setup     the network begins, before any fixture of the test
                 pytest_fixture_setup     async fixtures run on it; those of a wider scope do not
    call         pytest_runtest_call      the coroutine of the test runs on it
                 pytest_pyfunc_call       ... in our own runner, if no other plugin has one for it
    teardown     after the test's last fixture the network ends
"""

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any

import pytest

from aionetflow.loop.events import new_event_loop
from aionetflow.testing import report, settings
from aionetflow.testing.ports import KINDS, PortFactory
from aionetflow.testing.run import Run, current
from pytest_aionetflow import wants_network

_RUN = pytest.StashKey[Run]()
_HIDDEN: Any = getattr(pytest, "HIDDEN_PARAM", "netflow")  # pytest < 8.4 has none


# ---- collected


@contextlib.contextmanager
def chosen_loops(metafunc: pytest.Metafunc) -> Iterator[None]:
    """While pytest makes tests of a function that wants a network: which loop they are to have, and which seeds."""
    said = settings.arguments(metafunc.definition)
    time = said.get("time", "real")
    seeds = settings.seeds(said)
    if seeds is not None:
        metafunc.fixturenames.append(settings.SEED)
        metafunc.parametrize(settings.SEED, seeds, ids=[f"seed{seed}" for seed in seeds])
    if _is_anyios_choice(metafunc):
        backend = ("asyncio", {"loop_factory": loop_factory(time)})
        metafunc.parametrize("anyio_backend", [backend], ids=[_HIDDEN], scope="module")  # as that fixture's own
    # pytest-asyncio treats all tests in another way as soon as there is such a hook: so there is one for this test only
    hook = _LoopFactories(time)
    metafunc.config.pluginmanager.register(hook)
    try:
        yield
    finally:
        metafunc.config.pluginmanager.unregister(hook)


class _LoopFactories:
    """Tells pytest-asyncio which loop to make; whatever a conftest.py says goes first."""

    def __init__(self, time: str) -> None:
        self._time = time

    @pytest.hookimpl(trylast=True, optionalhook=True)
    def pytest_asyncio_loop_factories(self) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
        return {"netflow": loop_factory(self._time)}


@functools.cache  # one for all tests: a loop that several of them share is made once
def loop_factory(time: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the loop of a test that runs on that time.

    Where no test's network is yet, the loop is for fixtures of a wider scope as well: they are to have the kernel.
    """

    def make_loop() -> asyncio.AbstractEventLoop:
        run = current()
        if run is not None:
            return run.hand_out_loop()
        return asyncio.new_event_loop() if time == "real" else new_event_loop(time=time)

    return make_loop


def _is_anyios_choice(metafunc: pytest.Metafunc) -> bool:
    """Whether anyio runs the test, and nobody has told it on what: then it would do so on all that it knows."""
    definitions: Any = metafunc._arg2fixturedefs.get("anyio_backend")
    if "anyio_backend" not in metafunc.fixturenames or not definitions:
        return False
    for marker in metafunc.definition.iter_markers("parametrize"):
        names = marker.args[0] if marker.args else marker.kwargs.get("argnames", ())
        if "anyio_backend" in (names.replace(",", " ").split() if isinstance(names, str) else names):
            return False
    module: str = definitions[-1].func.__module__
    return module.startswith("anyio")


# ---- setup


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    if not wants_network(item):
        return (yield)
    capture = item.config.getoption("--netflow-pcap") is not None
    run = item.stash[_RUN] = Run(settings.read(item), item.config.rootpath, capture)
    run.begin()
    result = yield
    run.end_with(item)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
    run = current()
    if run is None:
        result = yield
    elif fixturedef.scope != "function":
        with run.paused():
            result = yield
    else:
        run.end_with(request.node)
        with _on_network(fixturedef, run):
            result = yield
    kind = KINDS.get(fixturedef.argname)
    if kind is not None and fixturedef.scope == "session":
        result = PortFactory(result, kind)
        fixturedef.cached_result = (result, *fixturedef.cached_result[1:])
    return result


@contextlib.contextmanager
def _on_network(fixturedef: Any, run: Run) -> Iterator[None]:
    """While a fixture is set up: the coroutine or asynchronous generator that it may be runs on the network."""
    function = fixturedef.func
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        fixturedef.func = run.on_network(function)
    try:
        yield
    finally:
        fixturedef.func = function


# ---- call


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    run = current()
    if run is None or not isinstance(item, pytest.Function):
        return (yield)
    function = item.obj
    if inspect.iscoroutinefunction(function):
        item.obj = run.on_network(function)
    try:
        result = yield
    finally:
        item.obj = function
    if run.guard.refused:  # and the program has survived it
        raise run.guard.refused[0]
    return result


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    run = current()  # who has a runner for the test comes before: pytest-asyncio's item, anyio by tryfirst
    if run is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    with asyncio.Runner(loop_factory=run.hand_out_loop) as runner:
        runner.run(pyfuncitem.obj(**arguments))
    return True


# ---- teardown


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, Any, Any]:
    try:
        return (yield)
    finally:
        if _RUN in item.stash:
            item.stash[_RUN].end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    result = yield
    if result.failed and _RUN in item.stash:
        result.sections.append(("netflow", report.describe(item, item.stash[_RUN])))
    return result
