"""What became of the tests: the lines that a child writes, read back."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from pathlib import Path


class Outcome(enum.StrEnum):
    """How a test ended. A child knows the first three, whoever knows the list of exclusions the others."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"  # by the test itself
    EXCLUDED = "excluded"  # failed, and is listed with the reason
    SURPRISE = "surprise"  # passed, though listed


@dataclass
class Result:
    """One test: how it ended, why, what it asked of the kernel's network, and how many virtual sockets it made."""

    test: str
    status: Outcome = Outcome.FAILED
    detail: str = "hung or crashed; the log says where"
    kernel: list[str] = field(default_factory=list)
    virtual: int = 0


def short_name(identifier: str) -> str:
    """File, class and method of a test.

    >>> short_name("test.test_asyncio.test_server.SelectorStartServerTests.test_start_server_1")
    'test_server.SelectorStartServerTests.test_start_server_1'
    >>> short_name("setUpClass (tests.test_dns.Test_UV_DNS)")
    'setUpClass (tests.test_dns.Test_UV_DNS)'
    """
    return identifier if "(" in identifier else ".".join(identifier.split(".")[-3:])


def read(lines: Path) -> dict[str, Result]:
    """The tests that began, in that order. One whose end is not there keeps the outcome of a hung one."""
    results: dict[str, Result] = {}
    if not lines.exists():
        return results
    for line in lines.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "status" in entry:
            entry["status"] = Outcome(entry["status"])
        results[entry["test"]] = Result(**entry)
    return results
