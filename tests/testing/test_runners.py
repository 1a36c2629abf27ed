"""Tests marked netflow run on a network of their own, whoever runs asynchronous tests here."""

from __future__ import annotations

import asyncio
import socket

import pytest

from aionetflow.testing import plugin  # noqa: F401  # before a pytest of its own imports it, and forgets it again
from aionetflow.testing.run import current
from support.build import only_on_the_pure_build
from support.netflow import RUNNERS, passes, run_tests

pytest_plugins = ["pytester"]
pytestmark = only_on_the_pure_build  # the compiled one has test_documented.py

every_runner = pytest.mark.parametrize("runner", RUNNERS)
with_fixtures = pytest.mark.parametrize("runner", [name for name in RUNNERS if name != "alone"])

ECHO = """
async def echo(reader, writer):
    writer.write(await reader.readline())
    writer.close()

async def ask(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"hello\\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer
"""


@every_runner
def test_an_unchanged_program_serves_and_connects(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, ECHO + """
@pytest.mark.netflow
async def test_echo():
    async with await asyncio.start_server(echo, "localhost", 8080) as server:
        assert type(server).__module__.startswith("aionetflow")
        assert await ask("localhost", 8080) == b"hello\\n"
""")
    passes(result, 1)


@every_runner
def test_each_test_has_a_network_of_its_own(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, ECHO + """
seen = []

@pytest.mark.netflow
@pytest.mark.parametrize("number", range(3))
async def test_echo(netflow, number):
    assert [host.name for host in netflow.hosts] == ["localhost"]
    netflow.host("far")
    seen.append(netflow)
    assert len(set(map(id, seen))) == number + 1 and all(other.closed for other in seen[:-1])
    async with await asyncio.start_server(echo, "localhost", 8080):
        assert await ask("localhost", 8080) == b"hello\\n"

def test_afterwards():
    assert all(network.closed for network in seen) and len(seen) == 3
    assert socket.socket.__module__ == "socket"
    assert asyncio.new_event_loop.__module__ == asyncio.events.new_event_loop.__module__ == "asyncio.events"
    with pytest.raises(RuntimeError, match="no network here"):
        aionetflow.current_host()
""")
    passes(result, 4)


@every_runner
def test_the_fixture_alone_is_enough(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, """
def test_without_a_coroutine(netflow):
    assert aionetflow.current_host() is netflow.localhost
    with socket.socket() as sock:
        assert type(sock).__name__ == "VirtualSocket"
""")
    passes(result, 1)


@every_runner
def test_the_marker_chooses_virtual_time(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, """
@pytest.mark.netflow(time="virtual", delay=0.25)
async def test_an_hour_passes(netflow):
    netflow.host("far")
    loop = asyncio.get_running_loop()
    assert type(loop) is aionetflow.EventLoop and loop.time() == 0
    await asyncio.sleep(3600)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("far", 80, family=socket.AF_INET)
    # to the LAN and on to the host, and the same way back: once for ARP, once for the SYN
    assert loop.time() == 3602
""")
    passes(result, 1)


@every_runner
def test_the_marker_chooses_manual_time(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, """
@pytest.mark.netflow(time="manual")
async def test_time_is_moved(netflow):
    loop = asyncio.get_running_loop()
    sleeper = asyncio.create_task(asyncio.sleep(10))
    await loop.clock.advance(9)
    assert not sleeper.done()
    await loop.clock.advance(1)
    assert sleeper.done() and loop.time() == 10
""")
    passes(result, 1)


@every_runner
def test_real_time_is_the_default_and_the_loop_is_ours(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, """
@pytest.mark.netflow
async def test_real():
    loop = asyncio.get_running_loop()
    assert type(loop) is aionetflow.EventLoop and type(loop.clock).__name__ == "RealTime"
""")
    passes(result, 1)


@with_fixtures
def test_what_an_async_fixture_starts_is_on_the_network(pytester: pytest.Pytester, runner: str) -> None:
    fixture = "pytest_asyncio.fixture" if runner == "asyncio-strict" else "pytest.fixture"
    result = run_tests(pytester, runner, ECHO + f"""
import pytest_asyncio

@{fixture}
async def server():
    async with await asyncio.start_server(echo, "localhost", 8080) as server:
        yield server
    with socket.socket() as sock:
        assert type(sock).__module__ == "aionetflow.dropin.socket"  # the network is there to the end

class TestIt:
    @{fixture}
    async def far(self, netflow):
        async with netflow.host("far"):
            server = await asyncio.start_server(echo, "far", 80)
        async with server:
            yield self

    @pytest.mark.netflow(time="virtual")
    async def test_methods(self, server, far):
        assert far is self
        assert await ask("far", 80) == await ask("localhost", 8080) == b"hello\\n"

@pytest.mark.netflow
async def test_echo(server):
    assert await ask("localhost", 8080) == b"hello\\n"
""")
    passes(result, 2)


@every_runner
def test_a_plain_fixture_makes_virtual_sockets(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, ECHO + """
@pytest.fixture
def listening():
    with socket.create_server(("localhost", 8080)) as sock:
        yield sock

@pytest.mark.netflow
async def test_echo(listening):
    async with await asyncio.start_server(echo, sock=listening):
        assert await ask("localhost", 8080) == b"hello\\n"
""")
    passes(result, 1)


@every_runner
def test_fixtures_of_a_wider_scope_are_not_on_the_network(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, """
@pytest.fixture(scope="module")
def database():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        assert type(sock).__module__ == "socket"
        yield sock
    assert type(socket.socket()).__module__ == "socket"

@pytest.mark.netflow
async def test_one(netflow, database):
    with socket.socket() as sock:
        assert type(sock).__module__ == "aionetflow.dropin.socket"
""", "-W", "ignore::ResourceWarning")  # fmt: skip
    passes(result, 1)


@every_runner
def test_a_test_that_is_no_coroutine_may_run_its_own(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, ECHO + """
async def main():
    async with await asyncio.start_server(echo, "localhost", 8080):
        return await ask("localhost", 8080), asyncio.get_running_loop().time()

@pytest.mark.netflow(time="virtual")
def test_echo():
    assert asyncio.run(main()) == asyncio.run(main()) == (b"hello\\n", 0.0)
""")
    passes(result, 1)


def test_tests_without_the_marker_are_left_alone(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "asyncio", """
def test_plain(unused_tcp_port):
    assert socket.socket.__module__ == "socket"

async def test_on_asyncios_loop(request):
    assert type(asyncio.get_running_loop()) is not aionetflow.EventLoop
    assert not request.config.hook.pytest_asyncio_loop_factories.get_hookimpls()

@pytest.mark.netflow
async def test_on_a_network():
    pass
""")
    passes(result, 3)


def test_methods_of_a_unittest_case_run_on_the_network(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", ECHO + """
import unittest

@pytest.mark.netflow
class TestEcho(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.server = await asyncio.start_server(echo, "localhost", 8080)

    async def asyncTearDown(self):
        self.server.close()
        await self.server.wait_closed()

    async def test_echo(self):
        assert await ask("localhost", 8080) == b"hello\\n"
        assert type(asyncio.get_running_loop()) is aionetflow.EventLoop
""")
    passes(result, 1)


def test_an_async_test_without_marker_and_plugin_still_fails(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "alone", """
@pytest.mark.netflow
async def test_one():
    pass

async def test_other():
    pass
""")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


# ---- a loop of the user's choice


@pytest.mark.parametrize("loop", ["asyncio.SelectorEventLoop", "uvloop.new_event_loop"])
def test_a_loop_that_conftest_chooses_has_the_network(pytester: pytest.Pytester, loop: str) -> None:
    pytest.importorskip("uvloop")
    pytester.makeconftest(f"""
import asyncio, uvloop

def pytest_asyncio_loop_factories(config, item):
    return {{"chosen": {loop}}}
""")
    result = run_tests(pytester, "asyncio", ECHO + """
@pytest.fixture
async def server(netflow):
    async with await asyncio.start_server(echo, "localhost", 8080) as server:
        yield server

@pytest.mark.netflow
async def test_echo(server, netflow):
    assert type(asyncio.get_running_loop()) is not aionetflow.EventLoop
    assert type(server).__module__ == "aionetflow.dropin.server"
    assert await ask("localhost", 8080) == b"hello\\n"
""")
    passes(result, 1)


def test_a_loop_that_conftest_chooses_cannot_keep_virtual_time(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
import asyncio

def pytest_asyncio_loop_factories(config, item):
    return {"chosen": asyncio.new_event_loop}
""")
    result = run_tests(pytester, "asyncio", """
@pytest.mark.netflow(time="virtual")
async def test_virtual():
    pass
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*this test wants virtual time, and runs in*a conftest.py chooses the loop*"])


@pytest.mark.parametrize(("options", "loop"), [({}, "EventLoop"), ({"use_uvloop": True}, "Loop")])
def test_an_anyio_backend_of_the_user_stays(
    pytester: pytest.Pytester, options: dict[str, object], loop: str
) -> None:
    pytest.importorskip("uvloop")
    pytester.makeconftest(f"""
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio", {options}
""")
    result = run_tests(pytester, "anyio", ECHO + f"""
@pytest.mark.netflow
async def test_echo():
    assert type(asyncio.get_running_loop()).__name__ == "{loop}"
    async with await asyncio.start_server(echo, "localhost", 8080):
        assert await ask("localhost", 8080) == b"hello\\n"
""")
    passes(result, 1)


def test_trio_is_told_that_it_is_not_for_it(pytester: pytest.Pytester) -> None:
    pytest.importorskip("trio")
    result = run_tests(pytester, "anyio", """
@pytest.mark.netflow
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio():
    pass
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*tests on a network run on asyncio*"])


def test_anyio_backend_that_the_test_names_stays(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "anyio", """
@pytest.mark.netflow
@pytest.mark.parametrize("anyio_backend", [("asyncio", {"debug": True})])
async def test_debug():
    assert asyncio.get_running_loop().get_debug()
""")
    passes(result, 1)


def test_one_loop_may_run_several_tests_each_on_its_network(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "asyncio", ECHO + """
import pytest_asyncio
loops = set()

@pytest_asyncio.fixture(loop_scope="module")
async def server():
    async with await asyncio.start_server(echo, "localhost", 8080):
        yield

@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.netflow(time="virtual")
@pytest.mark.parametrize("number", range(3))
async def test_echo(server, number, netflow):
    far = netflow.host("far")
    far.spawn(asyncio.sleep(1e6))
    loops.add(asyncio.get_running_loop())
    assert asyncio.get_running_loop().networks[-1] is netflow and len(loops) == 1
    assert await ask("localhost", 8080) == b"hello\\n"
""")
    passes(result, 3)


@pytest.mark.parametrize("runner", ["asyncio", "anyio"])
def test_an_async_fixture_of_a_wider_scope_has_the_kernel_and_a_bridge_leads_there(
    pytester: pytest.Pytester, runner: str
) -> None:
    scope = 'pytest_asyncio.fixture(scope="module", loop_scope="module")'
    result = run_tests(pytester, runner, ECHO + f"""
import pytest_asyncio
{"pytestmark = pytest.mark.asyncio(loop_scope='module')" if runner == "asyncio" else ""}

@{scope if runner == "asyncio" else 'pytest.fixture(scope="module")'}
async def database():
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        assert type(server).__module__ == "asyncio.base_events"
        yield server.sockets[0].getsockname()[1]

@pytest.mark.netflow
@pytest.mark.parametrize("number", range(2))
async def test_out_of_reach(database, number):
    with pytest.raises(ConnectionRefusedError):
        await ask("127.0.0.1", database)

@pytest.mark.netflow(bridge="loopback")
@pytest.mark.parametrize("number", range(2))
async def test_bridged(database, number):
    assert await ask("127.0.0.1", database) == b"hello\\n"
""")
    passes(result, 4)


def test_a_socket_made_before_the_loop_was_known_is_an_error_that_explains(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
import asyncio

def pytest_asyncio_loop_factories(config, item):
    return {"chosen": asyncio.new_event_loop}
""")
    result = run_tests(pytester, "asyncio", """
@pytest.mark.netflow
async def test_late(listening):
    pass

@pytest.fixture
def listening():
    with socket.create_server(("localhost", 8080)) as sock:
        yield sock
""")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*sockets were made for this test before it was known*"])


def test_hypothesis_runs_its_examples_on_the_network(pytester: pytest.Pytester) -> None:
    result = run_tests(pytester, "asyncio", ECHO + """
from hypothesis import given, settings, strategies

@pytest.mark.netflow(time="virtual")
@settings(max_examples=5, deadline=None)
@given(strategies.integers(1, 65535))
async def test_echo(port):
    async with await asyncio.start_server(echo, "localhost", port) as server:
        assert type(server).__module__ == "aionetflow.dropin.server"
        assert await ask("localhost", port) == b"hello\\n"
""")
    passes(result, 1)


def test_an_interrupted_test_leaves_nothing_behind(pytester: pytest.Pytester) -> None:
    system = socket.socket, asyncio.new_event_loop
    pytester.makepyfile("""
        import pytest

        @pytest.mark.netflow
        async def test_it():
            raise KeyboardInterrupt
    """)
    result = pytester.runpytest("-p", "no:cacheprovider", *RUNNERS["alone"], no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert (socket.socket, asyncio.new_event_loop) == system
    assert current() is None


@pytest.mark.parametrize("runner", ["alone", "asyncio"])
def test_the_marker_may_be_a_parameters(pytester: pytest.Pytester, runner: str) -> None:
    result = run_tests(pytester, runner, ECHO + """
@pytest.mark.asyncio
@pytest.mark.parametrize("time", [
    pytest.param("RealTime", marks=pytest.mark.netflow),
    pytest.param("VirtualTime", marks=pytest.mark.netflow(time="virtual")),
])
async def test_echo(time):
    assert type(asyncio.get_running_loop().clock).__name__ == time
    async with await asyncio.start_server(echo, "localhost", 8080):
        assert await ask("localhost", 8080) == b"hello\\n"
""", "-W", "ignore:Unknown pytest.mark.asyncio")  # fmt: skip
    passes(result, 2)
