"""Many tests at once, in several processes, that all want the same port."""

from __future__ import annotations

import pytest

from support.build import only_on_the_fastest_build
from support.netflow import RUNNERS, passes

pytest_plugins = ["pytester"]

SERVERS = """
import asyncio, pytest

@pytest.mark.netflow
@pytest.mark.parametrize("number", range({count}))
async def test_server(number):
    async def answer(reader, writer):
        writer.write(b"%d" % number)
        writer.close()

    async with await asyncio.start_server(answer, "localhost", 8080) as server:
        assert {{sock.getsockname()[1] for sock in server.sockets}} == {{8080}}
        reader, writer = await asyncio.open_connection("localhost", 8080)
        assert int(await reader.read()) == number
        writer.close()
        await writer.wait_closed()
"""


def run_servers(pytester: pytest.Pytester, count: int, processes: int) -> None:
    pytester.makepyfile(SERVERS.format(count=count))
    # what counts the lines that run is imported before pytest, which warns of that
    warnings = ["-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    arguments = [*RUNNERS["alone"], "-p", "no:cacheprovider", *warnings, f"-n{processes}"]
    passes(pytester.runpytest_subprocess(*arguments), count)


@only_on_the_fastest_build
def test_each_of_many_tests_listens_on_the_same_port(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    run_servers(pytester, 24, 2)


@pytest.mark.soak
def test_each_of_four_hundred_tests_listens_on_the_same_port(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    run_servers(pytester, 400, 4)
