"""What we aim at, and whether a run of the benchmarks has met it.

A goal is a ratio to uvloop on the kernel's loopback, or a figure in the workload's unit. It stands for our own loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from benchmarks.contenders import OWN, Contender
from benchmarks.measure import Row, Table

REFERENCE = "uvloop"
GBIT = 8.0  # Gbit/s in a GB/s


class Goal(NamedTuple):
    """One of them."""

    title: str
    workload: str
    style: str
    places: tuple[str, ...]
    ratio: float = 0.0  # to the reference, at least; 0: it is not a ratio
    least: float = 0.0  # in the workload's unit; 0: there is none
    most: float = 0.0


class Verdict(NamedTuple):
    """How a goal was met in one place."""

    goal: Goal
    place: str
    wanted: str
    measured: str
    share: float  # of the goal; 1 or more if it is met

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.share >= 1


BOTH = ("lo", "link-64k")
GOALS = (
    Goal("round trip, Protocol", "round-trip", "protocols", BOTH, ratio=4),
    Goal("round trip, streams", "round-trip", "streams", BOTH, ratio=1.4),
    Goal("UDP round trip", "udp-round-trip", "protocols", BOTH, ratio=4),
    Goal("connections", "connections", "protocols", BOTH, ratio=2.5),
    Goal("1,000 connections", "crowd-1000", "protocols", BOTH, ratio=4),
    Goal("10,000 connections", "crowd-10000", "protocols", BOTH, ratio=4.5),
    Goal("one stream, 64 KiB frames", "throughput", "protocols", BOTH, ratio=2),
    Goal("one stream, 64 KiB frames, BufferedProtocol", "throughput", "buffered", BOTH, ratio=2),
    Goal("one stream, asyncio's streams", "throughput", "streams", BOTH, ratio=5),
    Goal("one stream, true frames, GB per CPU-second", "throughput", "protocols", ("link-1500",), least=15 / GBIT),
    Goal("memory per idle connection, KB", "memory", "protocols", BOTH, most=4),
)


def verdicts(tables: Sequence[Table]) -> Iterator[Verdict]:
    """Of all goals whose contenders were measured."""
    for goal in GOALS:
        for table in tables:
            if table.workload.name == goal.workload:
                yield from _of_table(goal, table)


def _of_table(goal: Goal, table: Table) -> Iterator[Verdict]:
    rows = {row.contender: row for row in table.rows}
    for place in goal.places:
        row = rows.get(Contender(place, goal.style, OWN))
        if row is None:
            continue
        if not goal.ratio:
            yield _of_figure(goal, place, table.workload.shown(row.median))
        elif reference := rows.get(row.contender.reference(REFERENCE)):
            yield _of_ratio(goal, place, row, reference)


def _of_ratio(goal: Goal, place: str, row: Row, reference: Row) -> Verdict:
    ratio = row.against(reference).median
    return Verdict(goal, place, f">= x{goal.ratio:g}", f"x{ratio:.2f}", ratio / goal.ratio)


def _of_figure(goal: Goal, place: str, figure: float) -> Verdict:
    if goal.most:
        return Verdict(goal, place, f"<= {goal.most:g}", f"{figure:.2f}", goal.most / figure)
    return Verdict(goal, place, f">= {goal.least:.2f}", f"{figure:.2f}", figure / goal.least)
