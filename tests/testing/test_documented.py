"""The examples of docs/testing.md, each pasted into an empty folder."""

from __future__ import annotations

import os

import pytest
from test_docs import ROOT, blocks

from support.netflow import RUNNERS, passes, section

pytest_plugins = ["pytester"]

PAGE = ROOT / "docs" / "testing.md"
ALONE, WITH_FIXTURE = blocks(PAGE)


def test_the_first_example_needs_pytest_and_nothing_else(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # as if nothing else were installed
    pytester.makepyfile(test_echo=ALONE)
    passes(pytester.runpytest_subprocess("-p", "pytest_aionetflow"), 11)


def test_the_first_example_runs_under_every_plugin(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_echo=ALONE)
    for runner in ("asyncio", "anyio"):
        passes(pytester.runpytest("-p", "no:cacheprovider", *RUNNERS[runner]), 11)


def test_the_example_with_a_fixture_runs_under_pytest_asyncio(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_welcome=WITH_FIXTURE)
    passes(pytester.runpytest("-p", "no:cacheprovider", *RUNNERS["asyncio"]), 1)


def test_a_report_is_as_the_page_says(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    pytester.makepyfile(test_shop="""
        import asyncio, pytest, socket

        async def serve():
            async with await asyncio.start_server(print, "0.0.0.0", 443) as server:
                await server.serve_forever()

        @pytest.mark.netflow(time="virtual", delay=0.010)
        async def test_order(netflow):
            netflow.host("shop").spawn(serve(), name="shop")
            await asyncio.open_connection("shop", 80, family=socket.AF_INET)
    """)
    result = pytester.runpytest("-p", "no:cacheprovider", *RUNNERS["alone"])
    text = PAGE.read_text(encoding="utf-8")
    said = text[text.index("\nseed ") + 1 :].partition("```")[0]
    assert said in section(result).replace(f"pid={os.getpid()}", "pid=4711") + "\n"
