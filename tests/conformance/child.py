"""Runs the tests of one file in this process and writes what became of each, a JSON object a line.

A test that hangs ends the process (the stacks of all threads go to standard error); a test may also crash it. The
line of its beginning is then the last one, and whoever started the process knows which test it was.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import os
import sys
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from conformance.exclusions import Exclusions, expected_to_fail
from conformance.outcomes import Outcome, read, short_name
from conformance.plug import LOOPS, plug
from conformance.suites import SUITES, Suite
from conformance.used import KernelCalls, VirtualSockets

SHORT_LIMIT = 8.0  # seconds, for a test that is excluded


class Recorder(unittest.TestResult):
    """Writes the outcome of each test as soon as it is known."""

    def __init__(
        self, out: TextIO, kernel: KernelCalls, virtual: VirtualSockets, limit: float, exclusions: Exclusions
    ) -> None:
        super().__init__()
        self._out = out
        self._kernel = kernel
        self._virtual = virtual
        self._limit = limit
        self._exclusions = exclusions
        self._status = Outcome.PASSED
        self._detail = ""
        self.arm(limit)

    def arm(self, seconds: float) -> None:
        """Ends the process if nothing is heard of it for so long."""
        faulthandler.dump_traceback_later(seconds, exit=True)

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self._status, self._detail = Outcome.PASSED, ""
        name = short_name(test.id())
        print(f"---- {name}", file=sys.stderr, flush=True)
        self._kernel.take()
        self._virtual.take()
        self._write(test=name)
        # that it cannot pass is known: it is run to see that this is still so, and not waited for
        self.arm(self._limit if self._exclusions.reason(name) is None else min(self._limit, SHORT_LIMIT))

    def stopTest(self, test: unittest.TestCase) -> None:
        super().stopTest(test)
        self.arm(self._limit)
        self._write(
            test=short_name(test.id()), status=self._status, detail=self._detail, kernel=self._kernel.take(),
            virtual=self._virtual.take(),
        )  # fmt: skip

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._note(Outcome.SKIPPED, reason)
        if not isinstance(test, unittest.TestCase):  # setUpClass or setUpModule said so: nothing of it is run
            self._write(test=short_name(test.id()), status=Outcome.SKIPPED, detail=reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        super().addFailure(test, err)
        self._failed(test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        super().addError(test, err)
        self._failed(test, self.errors[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._failed(test, (self.failures if failed else self.errors)[-1][1])

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        super().addUnexpectedSuccess(test)
        self._failed(test, "passed, and its authors expect it to fail")

    def _failed(self, test: unittest.TestCase, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        self._note(Outcome.FAILED, text)
        if not isinstance(test, unittest.TestCase):  # setUpClass or setUpModule, which are no test
            self._write(test=short_name(test.id()), status=Outcome.FAILED, detail=text)

    def _note(self, status: Outcome, detail: str) -> None:
        if self._status is not Outcome.FAILED:
            self._status, self._detail = status, detail

    def _write(self, **line: object) -> None:
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()


def each_test(tests: unittest.TestSuite | unittest.TestCase) -> Iterator[unittest.TestCase]:
    """The tests in the suites in a suite."""
    if isinstance(tests, unittest.TestCase):
        yield tests
        return
    for part in tests:
        yield from each_test(part)


def chosen_tests(suite: Suite, file: str, done: set[str]) -> unittest.TestSuite:
    """The tests of a file that are to be run and are not yet done."""
    module = importlib.import_module(f"{suite.package}.{file}")
    everything = each_test(unittest.defaultTestLoader.loadTestsFromModule(module))
    return unittest.TestSuite(
        test
        for test in everything
        if suite.takes(file, ".".join(test.id().split(".")[-2:])) and short_name(test.id()) not in done
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m conformance.child", description=__doc__)
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("file")
    parser.add_argument("--loop", choices=LOOPS, required=True)
    parser.add_argument("--results", type=Path, required=True, help="lines are added; a test it names is not run again")
    parser.add_argument("--limit", type=float, required=True, help="seconds for one test")
    options = parser.parse_args()
    kernel, virtual = KernelCalls(), VirtualSockets()
    suite = SUITES[options.suite]
    plug(suite, options.file, options.loop)
    tests = chosen_tests(suite, options.file, set(read(options.results)))
    kernel.take()  # what looking for IPv6 has done on import
    with options.results.open("a", encoding="utf-8") as out:
        exclusions = expected_to_fail(options.suite, options.loop)
        tests.run(Recorder(out, kernel, virtual, options.limit, exclusions))
    # Not through the interpreter's own end: a thread that a failed test left behind would hold it for ever.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
