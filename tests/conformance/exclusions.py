"""The list of tests that are not about the network: excluded.toml."""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from conformance.outcomes import Outcome, Result
from conformance.plug import OURS

LIST = Path(__file__).with_name("excluded.toml")


@dataclass(frozen=True)
class Exclusions:
    """Patterns of the names of tests, each with its reason; whole files that are not run at all, with theirs."""

    tests: dict[str, str]
    files: dict[str, str]

    def reason(self, test: str) -> str | None:
        """Why a test is excluded, None if it is not.

        >>> Exclusions({"test_dns.*.test_cancel": "the kernel's threads"}, {}).reason("test_dns.UV.test_cancel")
        "the kernel's threads"
        """
        return next((why for pattern, why in self.tests.items() if fnmatchcase(test, pattern)), None)

    def unmatched(self, file: str, results: Iterable[Result]) -> list[str]:
        """The patterns for tests of a file that none of its tests fits."""
        names = [result.test for result in results]
        patterns = [pattern for pattern in self.tests if pattern.startswith(f"{file}.")]
        return [pattern for pattern in patterns if not any(fnmatchcase(name, pattern) for name in names)]

    def judge(self, results: Iterable[Result]) -> None:
        """An excluded test may fail, and must: otherwise the list is wrong."""
        for result in results:
            if result.status is Outcome.SKIPPED or (reason := self.reason(result.test)) is None:
                continue
            if result.status is Outcome.PASSED:
                result.status, result.detail = Outcome.SURPRISE, f"passes, but is excluded: {reason}"
            elif result.status is Outcome.FAILED:
                result.status, result.detail = Outcome.EXCLUDED, reason


def excluded(suite: str, source: Path = LIST, python: str = platform.python_version()) -> Exclusions:
    """What the list says about the tests of a suite on a version of Python, this one's if none is given."""
    with source.open("rb") as file:
        content = tomllib.load(file)
    entries = content.get(suite, {})
    tests = dict(entries.get("tests", {}))
    for release, more in entries.get("python", {}).items():
        if f"{python}.".startswith(f"{release}."):
            tests |= more
    return Exclusions(tests, entries.get("files", {}))


def expected_to_fail(suite: str, loop: str) -> Exclusions:
    """What the list says of the tests on this loop: it is about ours, and on another one all should pass."""
    return excluded(suite) if loop == OURS else Exclusions({}, {})
