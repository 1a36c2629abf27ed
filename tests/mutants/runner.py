"""Runs tests against one mutant after the other: pytest collects once, and each mutant has a fork of that process.

A test concerns a mutant if it calls the function that is changed; that is found out by one run before.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from mutants.mutate import Mutant

MEMORY = 4 << 30  # octets; a mutant that takes more is as dead as one that never ends
PATIENCE = 3.0  # s of CPU time for a test, and ten times what it takes without the mutant


class Reach(NamedTuple):
    """What a test calls of the package, and how long it takes."""

    functions: frozenset[str]  # "tcp/recovery.py Recovery.on_ack"
    seconds: float


class Tests:
    """A plugin of pytest's: it has the tests that were collected, and instead of running them calls `work`."""

    def __init__(self, package: Path, work: Any) -> None:
        self.package = package
        self.work = work
        self.items: dict[str, pytest.Item] = {}
        self.reach: dict[str, Reach] = {}
        self.calling: dict[str, list[str]] = defaultdict(list)  # by function, the quickest first

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("errors during collection")
        self.session = session
        self.items = {item.nodeid: item for item in session.items}
        self.kept = self.package.parent / "build" / "mutants.json"
        self.key = self._fingerprint()
        if self.kept.exists() and (read := json.loads(self.kept.read_text()))["key"] == self.key:
            self.reach = {name: Reach(frozenset(calls), seconds) for name, (calls, seconds) in read["tests"].items()}
        self.work(self)
        return True

    def learn(self, names: Iterable[str]) -> None:
        """Finds out what these tests call; kept in build/ as long as neither the package nor the tests change."""
        missing = [name for name in names if name not in self.reach]
        if not missing:
            return
        try:
            for name in missing:
                self.reach[name] = self._reach_of(name)
        finally:
            tests = {name: (sorted(one.functions), one.seconds) for name, one in self.reach.items()}
            self.kept.parent.mkdir(exist_ok=True)
            self.kept.write_text(json.dumps({"key": self.key, "tests": tests}))

    def learn_all(self) -> None:
        """The same of all tests; from then on `concerned` can tell."""
        self.learn(self.items)
        for name in sorted(self.reach, key=lambda name: (self.reach[name].seconds, name)):
            for function in self.reach[name].functions:
                self.calling[function].append(name)

    def concerned(self, mutant: Mutant) -> list[str]:
        """The tests that call what is changed."""
        return self.calling.get(f"{mutant.file} {mutant.function}", [])

    def fail(self, names: Iterable[str], *, limited: bool = False) -> bool:
        """Runs these tests in this process until one fails; True if one did. One that takes too long can end it."""
        for name in names:
            if limited:
                signal.setitimer(signal.ITIMER_PROF, PATIENCE + 10 * self.reach[name].seconds)  # which kills
            self.session.config.hook.pytest_runtest_protocol(item=self.items[name], nextitem=None)
            if self.session.testsfailed:
                return True
        return False

    def start(self, mutant: Mutant, names: list[str]) -> int:
        """Begins to run them against a mutant, in a process of its own, whose number is returned."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            mutant.install()
            status = 1 if self.fail(names, limited=True) else 0
        finally:
            os._exit(status)

    def survives(self, mutant: Mutant, names: list[str]) -> bool:
        """Whether a mutant passes all of them."""
        return bool(names) and os.waitpid(self.start(mutant, names), 0)[1] == 0

    def count_failures(self, check: Callable[[Any], bool], what: list[Any], jobs: int) -> int:
        """Checks each, in so many processes at once, and returns how many did not pass."""
        children = []
        for number in range(jobs):
            sys.stdout.flush()
            pid = os.fork()
            if not pid:
                failed = 255
                try:
                    failed = min(254, sum(not check(one) for one in what[number::jobs]))
                finally:
                    os._exit(failed)
            children.append(pid)
        return sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)

    def all_survivors(self, mutants: list[Mutant], jobs: int) -> Iterator[tuple[Mutant, bool]]:
        """Each mutant, and whether it survives the tests that concern it, as they end; `jobs` at a time."""
        running: dict[int, Mutant] = {}
        todo = list(reversed(mutants))
        while todo or running:
            while todo and len(running) < jobs:
                mutant = todo.pop()
                if names := self.concerned(mutant):
                    running[self.start(mutant, names)] = mutant
                else:
                    yield mutant, True
            if running:
                pid, status = os.wait()
                yield running.pop(pid), status == 0

    def _reach_of(self, name: str) -> Reach:
        folder = str(self.package) + os.sep
        called = set()

        def profile(frame: FrameType, event: str, _: object) -> None:
            if event == "call":
                called.add(frame.f_code)

        begun = time.process_time()
        sys.setprofile(profile)
        try:
            failed = self.fail([name])
        finally:
            sys.setprofile(None)
        if failed:
            raise SystemExit(f"{name} fails without any mutant")
        functions = {
            f"{code.co_filename.removeprefix(folder)} {code.co_qualname}"
            for code in called
            if code.co_filename.startswith(folder)
        }
        return Reach(frozenset(functions), time.process_time() - begun)

    def _fingerprint(self) -> str:
        digest = hashlib.sha256("\n".join(self.items).encode())
        tests = self.package.parent / "tests"
        sources = (*self.package.rglob("*.py"), *tests.rglob("test_*.py"), *(tests / "support").rglob("*.py"))
        for path in sorted(sources):
            digest.update(path.read_bytes())
        return digest.hexdigest()
