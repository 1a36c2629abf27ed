"""The fixtures for free ports: of the virtual host in tests on a network, as they were in others."""

from __future__ import annotations

import pytest

from aionetflow.testing import plugin  # noqa: F401  # see test_runners.py
from support.build import only_on_the_pure_build
from support.netflow import RUNNERS, passes, run_tests

pytestmark = only_on_the_pure_build

pytest_plugins = ["pytester"]

every_runner = pytest.mark.parametrize("runner", RUNNERS)
FIXTURES = """
FACTORIES = [f"{prefix}_{kind}_port_factory" for prefix in ("unused", "free") for kind in ("tcp", "udp")]
PORTS = [name.removesuffix("_factory") for name in FACTORIES]

def bound(port, kind):
    with socket.socket(type=socket.SOCK_STREAM if "tcp" in kind else socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        return type(sock).__module__
"""


@every_runner
def test_a_port_is_free_on_the_virtual_host(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, FIXTURES + """
@pytest.mark.netflow
@pytest.mark.parametrize("name", PORTS)
def test_port(request, name):
    assert bound(request.getfixturevalue(name), name) == "aionetflow.dropin.socket"
""")
    passes(result, 4)


@every_runner
def test_a_factory_gives_another_port_each_time(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, FIXTURES + """
@pytest.mark.netflow
@pytest.mark.parametrize("name", FACTORIES)
def test_factory(request, name):
    factory = request.getfixturevalue(name)
    ports = [factory() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(bound(port, name) == "aionetflow.dropin.socket" for port in ports)
""")
    passes(result, 4)


@every_runner
def test_ports_depend_on_the_seed_and_not_on_the_tests_before(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, FIXTURES + """
seen = set()

@pytest.mark.netflow(seed=7)
@pytest.mark.parametrize("time", range(3))
def test_same(unused_tcp_port, free_udp_port, unused_udp_port_factory, free_tcp_port_factory, time):
    seen.add((unused_tcp_port, free_udp_port, unused_udp_port_factory(), free_tcp_port_factory()))
    assert len(seen) == 1
""")
    passes(result, 3)


@every_runner
def test_other_tests_get_a_port_of_the_kernels(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, FIXTURES + """
@pytest.mark.netflow
def test_on_a_network(unused_tcp_port, unused_tcp_port_factory, free_tcp_port_factory):
    pass

@pytest.mark.parametrize("name", PORTS)
def test_port(request, name):
    assert bound(request.getfixturevalue(name), name) == "socket"

@pytest.mark.parametrize("name", FACTORIES)
def test_factory(request, name):
    factory = request.getfixturevalue(name)
    ports = [factory() for _ in range(20)]
    assert len(set(ports)) == 20
    assert {bound(port, name) for port in ports} == {"socket"}
""")
    passes(result, 9)


def test_what_else_a_factory_has_stays(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "anyio", """
@pytest.mark.netflow
def test_kind(free_udp_port_factory):
    assert free_udp_port_factory.kind == socket.SOCK_DGRAM
    assert free_udp_port_factory(socket.AF_INET6) > 0
""")
    passes(result, 1)


def test_the_fixtures_of_an_installed_plugin_are_its_own(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", "", "--fixtures")
    result.stdout.fnmatch_lines(["unused_tcp_port_factory*pytest_aionetflow.py*"])
    result = run_tests(pytester, "asyncio", "", "--fixtures")
    result.stdout.fnmatch_lines(["unused_tcp_port_factory*pytest_asyncio*"])
    result.stdout.no_fnmatch_line("unused_tcp_port*pytest_aionetflow.py*")
