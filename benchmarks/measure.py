"""The rounds: contenders one after the other and back again, so that a machine that slows down slows them all.

    round 1: A B C C B A      round 2: A B C C B A      ...

A round's figure for a contender is the mean of its two runs, a ratio is the median of the rounds' ratios.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from benchmarks.contenders import CONTENDERS, OWN, Contender, available_loops
from benchmarks.workloads import Workload

ROOT = Path(__file__).parent.parent
TIMEOUT = 120  # s for one run
# What would have a program do more, or something else, than it does elsewhere.
DISTURBING = (
    "PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONWARNINGS",
    "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "AIONETFLOW_LINES",
)  # fmt: skip

Runner = Callable[[Workload, Contender], list[float]]
Progress = Callable[[Workload, Contender], None]


class BenchmarkError(Exception):
    """A run has failed; says which and how, in one line."""


class Ratio(NamedTuple):
    """How many times less than a reference a contender costs."""

    median: float
    low: float
    high: float


@dataclass
class Row:
    """What one contender took for a workload."""

    contender: Contender
    best: float = float("inf")
    rounds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Of the rounds."""
        return median(self.rounds)

    def against(self, reference: Row) -> Ratio:
        """The reference's cost over this one's, within each round."""
        ratios = [theirs / ours for theirs, ours in zip(reference.rounds, self.rounds, strict=True)]
        return Ratio(median(ratios), min(ratios), max(ratios))


@dataclass
class Table:
    """All contenders of one workload."""

    workload: Workload
    rows: list[Row]

    def ratios(self, row: Row) -> dict[str, Ratio]:
        """A row's ratio to its reference on each loop where that was measured; none to itself."""
        found = {other.contender: other for other in self.rows}
        references = {loop: found.get(row.contender.reference(loop)) for loop in available_loops()}
        return {loop: row.against(other) for loop, other in references.items() if other not in (None, row)}


def measure(
    workloads: Sequence[Workload], contenders: Sequence[Contender], rounds: int, run: Runner, progress: Progress
) -> list[Table]:
    """Runs everything, round by round; a table for each workload."""
    tables = [
        Table(workload, [Row(contender) for contender in contenders if workload.suits(contender)])
        for workload in workloads
    ]
    for _ in range(rounds):
        for table in tables:
            _measure_round(table, run, progress)
    return tables


def _measure_round(table: Table, run: Runner, progress: Progress) -> None:
    found: dict[Contender, list[float]] = {row.contender: [] for row in table.rows}
    for row in [*table.rows, *reversed(table.rows)]:
        progress(table.workload, row.contender)
        costs = run(table.workload, row.contender)
        row.best = min(row.best, *costs)
        found[row.contender].append(median(costs))
    for row in table.rows:
        row.rounds.append(fmean(found[row.contender]))


def with_references(wanted: Iterable[Contender]) -> list[Contender]:
    """These contenders and what they are compared with, of those that can run here, in the usual order."""
    loops = available_loops()
    needed = {other for one in wanted for other in (one, *(one.reference(loop) for loop in loops))}
    return [contender for contender in CONTENDERS if contender in needed and contender.loop in (*loops, OWN)]


def run_in_process(seconds: float) -> Runner:
    """Runs a contender for about so many seconds of CPU time, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if name not in DISTURBING}

    def run(workload: Workload, contender: Contender) -> list[float]:
        command = [sys.executable, "-m", "benchmarks.run", workload.name, *contender, str(seconds)]
        what = f"{workload.name} of {contender.name}"
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=True
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise BenchmarkError(f"{what} did not end within {TIMEOUT} s") from None
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip() or "no message").splitlines()[-1]
            raise BenchmarkError(f"{what} failed: {last}") from None
        costs: list[float] = json.loads(done.stdout)
        return costs

    return run
