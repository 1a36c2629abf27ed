"""Where the instructions of each goal's row go, by valgrind: python -m benchmarks.shares [GOAL ...]

By what was compiled from which layer, and Python itself. It writes benchmarks/shares.json, which the goals' table
quotes beside a row that misses its goal; of goals that are not named, what was written before is kept.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

from benchmarks import instructions
from benchmarks.count import LONG, SHORT
from benchmarks.goals import GOALS, SHARES, Goal, measured_shares, said

LEAST = 0.02  # what is less is not kept
# Operations in the shorter of two runs, by workload; what takes hours under valgrind is left out.
TIMES = {
    "round-trip": 60, "udp-round-trip": 60, "connections": 20, "crowd-1000": 2_000, "throughput": 6, "http-1": 20,
    "http-64": 64,
}  # fmt: skip
_NAME = re.compile(r"(ob|fl|fi|fe|fn|cob|cfi|cfl|cfn)=\((\d+)\)(?: (.*))?")
PACKAGE = "aionetflow"


def by_object(path: Path) -> Counter[str]:
    """The instructions of one file of callgrind's, by the shared object that they are in.

    Format: https://valgrind.org/docs/manual/cl-format.html. A name is spelled out when its number first occurs; what
    follows a line `calls=` is the cost of what was called, which is counted where it is.
    """
    names: dict[str, str] = {}
    found: Counter[str] = Counter()
    here, skip = "", False
    with path.open() as lines:
        for line in lines:
            if match := _NAME.match(line):
                kind, number, name = match.groups()
                if kind in ("ob", "cob"):
                    names.setdefault(number, name or "")
                    here = names[number] if kind == "ob" else here
            elif line.startswith("calls="):
                skip = True
            elif line[:1].isdigit() or line[:1] in "+-*":
                if not skip:
                    found[here] += int(line.split()[1])
                skip = False
    return found


def layer(shared_object: str) -> str:
    """What a shared object belongs to: "tcp/", "loop/", "_fast", "Python", "libc"."""
    path = PurePath(shared_object)
    if PACKAGE in path.parts and path.suffix == ".so":
        below = path.parts[len(path.parts) - path.parts[::-1].index(PACKAGE) :]
        return f"{below[0]}/" if len(below) > 1 else below[0].partition(".")[0]
    if path.name.startswith(("python", "libpython")):
        return "Python"
    return path.name.partition(".")[0].partition("-")[0] or "unknown"


def shares(short: Path, long: Path) -> dict[str, float]:
    """By layer, the most first: its share of what a long run took more than a short one."""
    took: Counter[str] = Counter()
    for path, sign in ((long, 1), (short, -1)):
        for name, count in by_object(path).items():
            took[layer(name)] += sign * count
    whole = sum(took.values())
    return {name: count / whole for name, count in took.most_common() if count >= LEAST * whole}


def row(goal: Goal, place: str) -> dict[str, Any]:
    """One row of the goals' table: instructions per operation of its workload, and where they go."""
    times = TIMES[goal.workload]
    with tempfile.TemporaryDirectory() as folder:
        _, short, long = instructions.record(Path(folder), goal.workload, goal.style, place, str(times))
        count = (instructions.summary(long) - instructions.summary(short)) / ((LONG - SHORT) * times)
        found = {name: round(share, 3) for name, share in shares(short, long).items()}
    return {"instructions": round(count), "shares": found}


def main(arguments: list[str] | None = None) -> int:
    """Counts, prints and writes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shares", description="Where instructions go.")
    parser.add_argument("goal", nargs="*", help="titles of goals; all of them, if none is given")
    wanted = parser.parse_args(arguments).goal
    if reason := instructions.reason_to_skip():
        print(f"instructions are not counted: {reason}")
        return 0
    for goal in GOALS:
        if goal.workload in TIMES and (not wanted or goal.title in wanted):
            found = measured_shares()  # anew each time: what was measured is not lost with what fails
            found[goal.title] = {place: row(goal, place) for place in goal.places}
            SHARES.write_text(json.dumps(found, indent=1) + "\n")
            for place, one in found[goal.title].items():
                print(f"{goal.title}, {place}: {said(one)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
