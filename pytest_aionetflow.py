"""The pytest plugin, as far as pytest must know it from the start: its options, its marker and its fixtures.

pytest imports this file in every run on a machine where aionetflow is installed. So it imports nothing of it before a
test asks for a network; what happens then is in aionetflow/testing/plugin.py.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aionetflow import Network

MARKER = """netflow(seed=..., time="real", bridge=None, loss=0.0, delay=0.0, ...): run the test on a virtual network.
seed (or seeds=[...]: once with each); time "real", "virtual" or "manual"; the settings of the links to the LAN."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netflow", "tests on a virtual network (aionetflow)")
    group.addoption("--netflow-seed", metavar="SEED", help="the seed of the network of every test: to run one again")
    group.addoption("--netflow-pcap", metavar="DIR", help="write the frames of each test that fails to DIR, as pcapng")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", " ".join(MARKER.split()))
    for plugin, prefix in (("asyncio", "unused"), ("anyio", "free")):
        if not config.pluginmanager.has_plugin(plugin):
            config.pluginmanager.register(_port_fixtures(prefix))


def wants_network(item: pytest.Item) -> bool:
    """Whether a test runs on a network: it has the marker, or uses the fixture."""
    return item.get_closest_marker("netflow") is not None or "netflow" in getattr(item, "fixturenames", ())


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> Iterator[None]:
    if not wants_network(metafunc.definition):
        return (yield)
    _load(metafunc.config)
    from aionetflow.testing import plugin

    with plugin.chosen_loops(metafunc):
        return (yield)


def pytest_itemcollected(item: pytest.Item) -> None:
    if wants_network(item):  # methods of a unittest.TestCase get here and not to pytest_generate_tests
        _load(item.config)


def _load(config: pytest.Config) -> None:
    name = "aionetflow.testing"
    if not config.pluginmanager.has_plugin(name):
        from aionetflow.testing import plugin

        config.pluginmanager.register(plugin, name)


@pytest.fixture
def netflow() -> Network:
    """The test's own network (aionetflow.Network); the test runs as its host "localhost"."""
    from aionetflow.testing.run import current

    run = current()
    if run is None:
        pytest.fail("the fixture netflow was asked for while the test ran: mark it with @pytest.mark.netflow", False)
    return run.network


def _port_fixtures(prefix: str) -> ModuleType:
    """The fixtures for free ports of pytest-asyncio ("unused") or anyio ("free"), where that is not installed."""
    plugin = ModuleType(f"aionetflow-{prefix}-ports")
    for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
        port = f"{prefix}_{name}_port"
        vars(plugin)[f"{port}_factory"], vars(plugin)[port] = _port_fixture_pair(port, kind)
    return plugin


def _port_fixture_pair(port: str, kind: int) -> tuple[Any, Any]:
    @pytest.fixture(name=f"{port}_factory", scope="session")
    def factory() -> Callable[[], int]:
        return _free_ports(kind)

    @pytest.fixture(name=port)
    def one_port(request: pytest.FixtureRequest) -> Any:
        return request.getfixturevalue(f"{port}_factory")()

    return factory, one_port


def _free_ports(kind: int) -> Callable[[], int]:
    """Gives a port of 127.0.0.1 that is free, and another one each time it is called."""
    given: set[int] = set()

    def free_port() -> int:
        while True:
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.bind(("127.0.0.1", 0))
                port: int = sock.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return free_port
