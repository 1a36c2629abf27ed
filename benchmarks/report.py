"""What was measured: as a table for people, as JSON for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.contenders import LOOPS, PEERS, PLACE_TITLES, Contender
from benchmarks.goals import Verdict, verdicts
from benchmarks.measure import Row, Table
from benchmarks.workloads import WORKLOADS

FORMAT = 1  # of the JSON; changes when something in it changes its meaning
UNKNOWN = "not looked into"
WIDTH = 120  # columns of what is said in sentences
LEGEND = (
    "x2 is half the CPU time (or memory) of a like program over the kernel's loopback on that loop, in the same round;"
    "\ncoroutines are compared with streams. Both ends are in one process. best .. median of the rounds."
)


def text(tables: Sequence[Table], machine: dict[str, object]) -> str:
    """The table, and what it was measured on."""
    blocks = ["\n".join(_block(table)) for table in tables]
    goals = "\n".join(_goals(tables))
    return "\n\n".join([*blocks, LEGEND, *([goals] if goals else []), _machine_line(machine)])


def as_json(tables: Sequence[Table], machine: dict[str, object], settings: dict[str, object]) -> dict[str, object]:
    """Everything, costs in seconds of CPU or octets per operation, ratios as in the table."""
    return {
        "format": FORMAT,
        "machine": machine,
        "settings": settings,
        "workloads": [
            {
                "name": table.workload.name,
                "title": table.workload.title,
                "unit": table.workload.unit,
                "meter": table.workload.meter,
                "contenders": [_row_as_json(table, row) for row in table.rows],
            }
            for table in tables
        ],
        "goals": [
            {
                "title": verdict.goal.title, "workload": verdict.goal.workload, "style": verdict.goal.style,
                "place": verdict.place, "wanted": verdict.wanted, "measured": verdict.measured, "share": verdict.share,
                "beside": verdict.beside, "bound": "" if verdict.met else verdict.bound,
            }
            for verdict in verdicts(tables)
        ],
    }  # fmt: skip


def write(path: Path, content: dict[str, object]) -> None:
    """Writes the JSON to a file, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def from_json(content: dict[str, Any]) -> list[Table]:
    """The tables that as_json() was given; workloads and contenders that there are no more are left out."""
    workloads = {workload.name: workload for workload in WORKLOADS}
    return [
        Table(workloads[found["name"]], [_row_from_json(row) for row in found["contenders"] if row["style"] in PEERS])
        for found in content["workloads"]
        if found["name"] in workloads
    ]


def _row_from_json(row: dict[str, Any]) -> Row:
    return Row(Contender(row["place"], row["style"], row["loop"]), row["best"], row["rounds"])


def _row_as_json(table: Table, row: Row) -> dict[str, object]:
    return {
        "name": row.contender.name,
        **row.contender._asdict(),
        "best": row.best,
        "median": row.median,
        "rounds": row.rounds,
        "shown": {"best": table.workload.shown(row.best), "median": table.workload.shown(row.median)},
        "against": {loop: ratio._asdict() for loop, ratio in table.ratios(row).items()},
    }


def _block(table: Table) -> Iterator[str]:
    workload = table.workload
    yield f"{workload.title}, {workload.unit}"
    yield f"  {'':<28}{'':<12}{'loop':<9}{'best .. median':>20}" + "".join(f"{'vs ' + loop:>13}" for loop in LOOPS)
    for row in table.rows:
        place, style, loop = row.contender
        ratios = table.ratios(row)
        figures = f"{_number(workload.shown(row.best)):>8} .. {_number(workload.shown(row.median)):>7}"
        against = "".join(f"{f'x{ratios[loop].median:.2f}' if loop in ratios else '':>13}" for loop in LOOPS)
        yield f"  {PLACE_TITLES[place]:<28}{style:<12}{loop:<9}{figures:>20}{against}".rstrip()


def _goals(tables: Sequence[Table]) -> Iterator[str]:
    """The goals beside what was measured, and what bounds a row that misses its goal; nothing if none was measured."""
    found = list(verdicts(tables))
    if not found:
        return
    loops = "".join(f"{loop:>10}" for loop in LOOPS)
    yield f"{'goals, against uvloop on the kernel':<74}{'':>9}{'our':>10}{'  others on our network':<20}"
    yield f"{'':<74}{'goal':>9}{'loop':>10}{loops}"
    for one in found:
        beside = "".join(f"{one.beside.get(loop, ''):>10}" for loop in LOOPS)
        line = f"  {one.goal.title:<44}{PLACE_TITLES[one.place]:<28}{one.wanted:>9}{one.measured:>10}{beside}"
        yield f"{line}  {one.short or 'met'}"
    yield from _missed(found)


def _missed(found: Sequence[Verdict]) -> Iterator[str]:
    """For each row that misses its goal: by how much, and what bounds it."""
    missed = [one for one in found if not one.met]
    if not missed:
        return
    yield ""
    yield "what bounds the rows that miss their goal"
    for one in missed:
        yield f"  {one.goal.title}, {PLACE_TITLES[one.place]}: {one.short}"
        yield textwrap.fill(one.bound or UNKNOWN, WIDTH, initial_indent="      ", subsequent_indent="      ")


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _machine_line(machine: dict[str, object]) -> str:
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['python']},"
        f" uvloop {machine['uvloop']}, aionetflow {machine['aionetflow']} ({machine['build']})"
    )
