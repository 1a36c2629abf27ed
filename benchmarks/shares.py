"""Where the instructions of each operation go: python -m benchmarks.shares

By what was compiled from which layer, and Python itself, as shares of the count that `benchmarks.instructions` keeps.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections import Counter
from pathlib import Path, PurePath

from benchmarks import instructions
from benchmarks.count import OPERATIONS

LEAST = 0.01  # what is less is not shown
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


def main() -> int:
    """Prints them for every operation; returns the exit status."""
    if reason := instructions.reason_to_skip():
        print(f"instructions are not counted: {reason}")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        files = instructions.record(Path(folder))
        for operation, at in zip(OPERATIONS, range(0, len(files), 3), strict=True):
            found = shares(files[at + 1], files[at + 2])
            print(f"{operation.name:<24}" + ", ".join(f"{name} {share:.0%}" for name, share in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
