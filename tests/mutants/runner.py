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
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import pytest

from mutants.mutate import Mutant

MEMORY = 4 << 30  # octets; a mutant that takes more is as dead as one that never ends
PATIENCE = 5.0  # s of CPU time, and ten times what its tests take


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
        self.reach = self._reach()
        for name in sorted(self.reach, key=lambda name: (self.reach[name].seconds, name)):
            for function in self.reach[name].functions:
                self.calling[function].append(name)
        self.work(self)
        return True

    def concerned(self, mutant: Mutant) -> list[str]:
        """The tests that call what is changed."""
        return self.calling.get(f"{mutant.file} {mutant.function}", [])

    def fail(self, names: Iterable[str]) -> bool:
        """Runs these tests in this process until one fails; True if one did."""
        for name in names:
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
            limit = PATIENCE + 10 * sum(self.reach[name].seconds for name in names)
            signal.setitimer(signal.ITIMER_PROF, limit)  # which kills
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.dup2(nowhere, 2)
            mutant.install()
            status = 1 if self.fail(names) else 0
        finally:
            os._exit(status)

    def survives(self, mutant: Mutant, names: list[str]) -> bool:
        """Whether a mutant passes all of them."""
        return bool(names) and os.waitpid(self.start(mutant, names), 0)[1] == 0

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

    def _reach(self) -> dict[str, Reach]:
        """What each test calls: kept in build/ as long as neither the package nor the tests change."""
        kept = self.package.parent / "build" / "mutants.json"
        key = self._fingerprint()
        if kept.exists() and (read := json.loads(kept.read_text()))["key"] == key:
            return {name: Reach(frozenset(calls), seconds) for name, (calls, seconds) in read["tests"].items()}
        reach = {name: self._reach_of(name) for name in self.items}
        kept.parent.mkdir(exist_ok=True)
        tests = {name: (sorted(one.functions), one.seconds) for name, one in reach.items()}
        kept.write_text(json.dumps({"key": key, "tests": tests}))
        return reach

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
        for folder in (self.package, self.package.parent / "tests"):
            for path in sorted(folder.rglob("*.py")):
                digest.update(path.read_bytes())
        return digest.hexdigest()
