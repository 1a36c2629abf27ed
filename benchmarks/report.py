"""What was measured: as a table for people, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.contenders import LOOPS, PLACE_TITLES
from benchmarks.goals import verdicts
from benchmarks.measure import Row, Table

FORMAT = 1  # of the JSON; changes when something in it changes its meaning
LEGEND = (
    "x2 is half the CPU time (or memory) of a like program over the kernel's loopback on that loop, in the same round;"
    "\ncoroutines are compared with streams. Both ends are in one process. best .. median of the rounds."
)


def text(tables: Sequence[Table], machine: dict[str, object]) -> str:
    """The table, and what it was measured on."""
    blocks = ["\n".join(_block(table)) for table in tables]
    goals = "\n".join(_goals(tables))
    return "\n\n".join([*blocks, LEGEND, *([goals] if goals else []), _machine_line(machine)])


PAGE = """# Performance

Written by
`make bench ARGS="--rounds {rounds} --json docs/performance.json --plot docs/{picture} --page docs/performance.md"`, on
the machine that the last line of the table names: each run in a process of its own, in the
order {order}. Run `make bench` to see what yours says.

![CPU time per operation, beside the kernel's loopback]({picture})

```
{table}
```

"aionetflow, link" are two hosts joined by a link in memory: every frame is a true Ethernet frame, every checksum
computed and verified. "aionetflow, 127.0.0.1" is one host's own lo, with an MTU of 65536.
"""


def page(table: str, picture: Path, settings: dict[str, object]) -> str:
    """The table as a page of the documentation."""
    return PAGE.format(table=table, picture=picture.name, **settings)


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
            }
            for verdict in verdicts(tables)
        ],
    }  # fmt: skip


def write(path: Path, content: dict[str, object]) -> None:
    """Writes the JSON to a file, its folder made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


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
    """The goals beside what was measured; nothing if no contender of theirs was."""
    found = list(verdicts(tables))
    if not found:
        return
    yield f"{'goals, our own loop, against uvloop':<46}{'':<28}{'goal':>9}{'measured':>10}"
    for one in found:
        how = "met" if one.met else f"{one.share:.0%} of it"
        yield f"  {one.goal.title:<44}{PLACE_TITLES[one.place]:<28}{one.wanted:>9}{one.measured:>10}  {how}"


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _machine_line(machine: dict[str, object]) -> str:
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['python']},"
        f" uvloop {machine['uvloop']}, aionetflow {machine['aionetflow']} ({machine['build']})"
    )
