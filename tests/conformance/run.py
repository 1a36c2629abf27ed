"""Runs the tests of each file in a process of its own, again where one test hung, until all have had their turn."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from conformance.exclusions import expected_to_fail
from conformance.outcomes import Outcome, Result, read
from conformance.suites import OUTPUT, ROOT, Suite, search_path

LIMIT = 60.0  # seconds for a test; CPython's own wait for 30 at most


@dataclass(frozen=True)
class FileResult:
    """What became of the tests of one file, and where what they printed is."""

    suite: str
    file: str
    results: list[Result]
    log: Path

    def count(self, status: Outcome) -> int:
        """How many tests ended so."""
        return sum(result.status is status for result in self.results)

    @property
    def kernel(self) -> int:
        """How many tests used a socket of the kernel."""
        return sum(bool(result.kernel) for result in self.results)

    @property
    def virtual(self) -> int:
        """How many tests used a virtual socket."""
        return sum(bool(result.virtual) for result in self.results)

    @property
    def wrong(self) -> list[Result]:
        """The tests that ended as they should not."""
        return [result for result in self.results if result.status in (Outcome.FAILED, Outcome.SURPRISE)]


def run_file(suite: Suite, file: str, loop: str, limit: float = LIMIT) -> FileResult:
    """Runs the tests of one file. Raises SourcesMissing if they are not to be had."""
    folder = OUTPUT / f"python{sys.version_info[0]}.{sys.version_info[1]}-{loop}"
    folder.mkdir(parents=True, exist_ok=True)
    lines, log = folder / f"{suite.name}-{file}.jsonl", folder / f"{suite.name}-{file}.log"
    command = [sys.executable, "-m", "conformance.child", suite.name, file, "--loop", loop]
    command += ["--results", str(lines), "--limit", str(limit)]
    environment = dict(os.environ, PYTHONPATH=_pythonpath(suite))
    lines.unlink(missing_ok=True)
    with log.open("w", encoding="utf-8") as output:
        while True:
            before = len(read(lines))
            status = subprocess.run(
                command, check=False, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT,
            ).returncode  # fmt: skip
            if status == 0 or len(read(lines)) == before:
                break
    results = list(read(lines).values())
    if status:
        results.append(Result(file, detail=f"could not be run: exit status {status}; the log says why"))
    exclusions = expected_to_fail(suite.name, loop)
    exclusions.judge(results)
    unmatched = exclusions.unmatched(file, results)
    results += [Result(pattern, detail="is excluded, and no test is called so") for pattern in unmatched]
    return FileResult(suite.name, file, results, log)


def _pythonpath(suite: Suite) -> str:
    inherited = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(filter(None, [*map(str, search_path(suite)), str(ROOT / "tests"), str(ROOT), inherited]))
