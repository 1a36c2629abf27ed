"""What the marker takes, and what it says of the rest."""

from __future__ import annotations

import pytest

from aionetflow.testing import plugin  # noqa: F401  # see test_runners.py
from support.build import only_on_the_pure_build
from support.netflow import passes, run_tests

pytestmark = only_on_the_pure_build

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("lost=0.1", "test_it.py::test_it: netflow has no lost; it has seed, seeds, time, bridge, delay, *"),
        ("7", "test_it.py::test_it: netflow takes keyword arguments only, not (7,)"),
        ("time='slow'", "test_it.py::test_it: time is one of 'real', 'virtual', 'manual', not 'slow'"),
        ("loss=2", "test_it.py::test_it: loss must be between 0 and 1, not 2"),
        ("delay=-1", "test_it.py::test_it: delay must be seconds, 0 or more, not -1"),
        ("bridge='world'", "test_it.py::test_it: bridge is \"loopback\" or None, not 'world'"),
    ],
)
def test_what_makes_no_sense_is_refused_when_the_test_is_collected(
    pytester: pytest.Pytester, said: str, text: str
) -> None:
    result = run_tests(pytester, "alone", f"""
@pytest.mark.netflow({said})
async def test_it():
    pass
""")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{text}"])
    result.assert_outcomes(errors=1)


def test_settings_are_those_of_the_links_to_the_lan(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
@pytest.mark.netflow(delay=0.1, jitter=0.2, rate=1e6, loss=0.01, reorder=0.02, duplicate=0.03, corrupt=0.04,
                     queue=9000, mtu=576)
def test_it(netflow):
    netflow.host("a")
    near, far, router = netflow.host("near"), netflow.host("far"), netflow.router("router")
    netflow.link(near, router)  # and near does not join the LAN any more
    netflow.settle()
    names = ("delay", "jitter", "rate", "loss", "reorder", "duplicate", "corrupt", "queue", "mtu")
    found = {link.name: [getattr(link, name) for name in names] for link in netflow.links}
    wanted = [0.1, 0.2, 1e6, 0.01, 0.02, 0.03, 0.04, 9000, 576]
    assert {name for name, values in found.items() if values == wanted} == {"localhost-lan", "a-lan", "far-lan"}
    assert found["near-router"][:4] == [0, 0, None, 0]
""")
    passes(result, 1)


def test_the_closest_marker_wins_and_the_others_fill_in(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
pytestmark = pytest.mark.netflow(loss=0.5, seed=3)

@pytest.mark.netflow(time="virtual", loss=0.4)
class TestIt:
    @pytest.mark.netflow(loss=0.3)
    async def test_it(self, netflow):
        assert netflow.lan_settings == {"loss": 0.3} and netflow.seed == 3
        assert asyncio.get_running_loop().time() == 0
""")
    passes(result, 1)


def test_the_marker_is_known(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", "", "--strict-markers", "--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.netflow(seed=..., time=\"real\", *"])


def test_the_fixture_asked_for_too_late_is_an_error_that_explains(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
def test_it(request):
    request.getfixturevalue("netflow")
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*mark it with @pytest.mark.netflow*"])


def test_nothing_of_aionetflow_is_imported_before_a_test_wants_a_network(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
import sys

def test_it(unused_tcp_port):
    assert not [name for name in sys.modules if name.startswith("aionetflow")]
""")
    result = pytester.runpytest_subprocess("-p", "no:asyncio", "-p", "no:anyio")
    passes(result, 1)
