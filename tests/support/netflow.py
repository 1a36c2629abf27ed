"""Runs tests that use the pytest plugin in a pytest of their own, under each of those who run asynchronous tests."""

from __future__ import annotations

import re

import pytest

# What pytest-asyncio, anyio and nobody but us need to be told; and the marker that the first two look for.
_SCOPE = ["-o", "asyncio_default_fixture_loop_scope=function"]
RUNNERS = {
    "alone": ["-p", "no:asyncio", "-p", "no:anyio"],
    "asyncio": ["-p", "no:anyio", *_SCOPE, "-o", "asyncio_mode=auto"],
    "asyncio-strict": ["-p", "no:anyio", *_SCOPE],
    "anyio": ["-p", "no:asyncio", "-o", "anyio_mode=auto"],
    "anyio-strict": ["-p", "no:asyncio"],
}
_MARK = {"asyncio-strict": "asyncio", "anyio-strict": "anyio"}
_MARKED = re.compile(r"^( *)(@pytest\.mark\.netflow.*\n(?: *@.*\n)* *async)", re.MULTILINE)


def run_tests(pytester: pytest.Pytester, runner: str, source: str, *args: str) -> pytest.RunResult:
    """Runs a file of tests; in strict mode its coroutines get the runner's marker."""
    if mark := _MARK.get(runner):
        source = _MARKED.sub(rf"\1@pytest.mark.{mark}\n\1\2", source)
    # This process has long imported what the inner pytest would rewrite.
    imported = "ignore:Module already imported:pytest.PytestAssertRewriteWarning"
    pytester.makeini(f"[pytest]\nfilterwarnings =\n    error\n    {imported}\n")
    pytester.makepyfile(test_it="import asyncio, socket, pytest, aionetflow\n\n" + source)
    return pytester.runpytest("-p", "no:cacheprovider", *RUNNERS[runner], *args)


def passes(result: pytest.RunResult, count: int) -> None:
    """So many tests have passed, and nothing else happened."""
    result.assert_outcomes(passed=count)
    assert result.ret == 0


def section(result: pytest.RunResult) -> str:
    """What the report of the only failure says under "netflow"."""
    found = re.search(r"-+ netflow -+\n(.*?)\n(?:=|_|-)+ ", result.stdout.str(), re.DOTALL)
    assert found is not None, result.stdout.str()
    return found[1]
