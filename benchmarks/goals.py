"""What we aim at, and whether a run of the benchmarks has met it.

A goal is a ratio to uvloop on the kernel's loopback, or a figure in the workload's unit. It stands for our own loop;
how stock asyncio and uvloop do on the same network stands beside it. What keeps a goal from being met is in
bounds.toml, where its instructions go in shares.json.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contenders import LOOPS, OWN, Contender
from benchmarks.measure import Row, Table

BOUNDS = Path(__file__).with_name("bounds.toml")
SHARES = Path(__file__).with_name("shares.json")
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
    beside: dict[str, str]  # by the name of a foreign loop: what it measured on the same network
    bound: str  # what keeps it from being met, as far as it is known

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.share >= 1

    @property
    def short(self) -> str:
        """By how much it is missed, in words; "" if it is met."""
        return "" if self.met else f"{self.share:.0%} of it, short by x{1 / self.share:.2f}"


BOTH = ("lo", "link-64k")
GOALS = (
    Goal("round trip, Protocol", "round-trip", "protocols", BOTH, ratio=4),
    Goal("round trip, streams", "round-trip", "streams", BOTH, ratio=1.4),
    Goal("UDP round trip", "udp-round-trip", "protocols", BOTH, ratio=4),
    Goal("connections", "connections", "protocols", BOTH, ratio=2.5),
    Goal("1,000 connections", "crowd-1000", "protocols", BOTH, ratio=4),
    Goal("9,900 connections", "crowd-10000", "protocols", BOTH, ratio=4.5),
    Goal("one stream, 64 KiB frames", "throughput", "protocols", BOTH, ratio=2),
    Goal("one stream, 64 KiB frames, BufferedProtocol", "throughput", "buffered", BOTH, ratio=2),
    Goal("one stream, asyncio's streams", "throughput", "streams", BOTH, ratio=5),
    Goal("one stream, true frames, GB per CPU-second", "throughput", "protocols", ("link-1500",), least=15 / GBIT),
    Goal("aiohttp, 1 client", "http-1", "http", BOTH, ratio=1),
    Goal("aiohttp, 64 clients", "http-64", "http", BOTH, ratio=1.05),
    Goal("memory per idle connection, KB", "memory", "protocols", BOTH, most=4),
)


def bounds() -> dict[str, dict[str, str]]:
    """By a goal's title and a place: what bounds that row, from bounds.toml."""
    return tomllib.loads(BOUNDS.read_text(encoding="utf-8"))


def measured_shares() -> dict[str, dict[str, dict[str, Any]]]:
    """By a goal's title and a place: the instructions of that row and where they go, from shares.json."""
    content: dict[str, dict[str, dict[str, Any]]] = json.loads(SHARES.read_text())
    return content


def said(row: dict[str, Any]) -> str:
    """The instructions of a row in words."""
    where = ", ".join(f"{name} {share:.0%}" for name, share in row["shares"].items())
    return f"{row['instructions']:,} instructions: {where}"


def _bound(title: str, place: str) -> str:
    """Why a row is what it is, as far as it is known: the reason, and where its instructions go."""
    counted = measured_shares().get(title, {}).get(place)
    return " ".join(filter(None, (bounds().get(title, {}).get(place, ""), f"({said(counted)})" if counted else "")))


def verdicts(tables: Sequence[Table]) -> Iterator[Verdict]:
    """Of all goals whose contenders were measured."""
    for goal in GOALS:
        for table in tables:
            if table.workload.name == goal.workload:
                yield from _of_table(goal, table)


def _of_table(goal: Goal, table: Table) -> Iterator[Verdict]:
    rows = {row.contender: row for row in table.rows}
    for place in goal.places:
        found = {loop: _measured(goal, table, rows, Contender(place, goal.style, loop)) for loop in (*LOOPS, OWN)}
        own = found.pop(OWN)
        if own is None:
            continue
        beside = {loop: _shown(goal, figure) for loop, figure in found.items() if figure is not None}
        bound = _bound(goal.title, place)
        yield Verdict(goal, place, _wanted(goal), _shown(goal, own), _share(goal, own), beside, bound)


def _measured(goal: Goal, table: Table, rows: dict[Contender, Row], contender: Contender) -> float | None:
    """The ratio or the figure that the goal is about, of one contender; None if it was not measured."""
    row = rows.get(contender)
    if row is None:
        return None
    if not goal.ratio:
        return table.workload.shown(row.median)
    reference = rows.get(contender.reference(REFERENCE))
    return row.against(reference).median if reference is not None else None


def _wanted(goal: Goal) -> str:
    if goal.ratio:
        return f">= x{goal.ratio:g}"
    return f"<= {goal.most:g}" if goal.most else f">= {goal.least:.2f}"


def _shown(goal: Goal, figure: float) -> str:
    return f"x{figure:.2f}" if goal.ratio else f"{figure:.2f}"


def _share(goal: Goal, figure: float) -> float:
    return goal.most / figure if goal.most else figure / (goal.ratio or goal.least)
