"""How many instructions an operation takes, by valgrind: a figure that a busy machine does not change.

    python -m benchmarks.instructions             beside benchmarks/baseline.json; status 1 if one grew by over 5 %
    python -m benchmarks.instructions --update    writes benchmarks/baseline.json

A change that makes an operation dearer, and is worth it, writes the file anew in the same commit.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import aionetflow
from benchmarks.count import LONG, OPERATIONS, SHORT
from benchmarks.measure import DISTURBING, ROOT

BASELINE = ROOT / "benchmarks" / "baseline.json"
TOLERANCE = 0.05
TIMEOUT = 600  # s
PASSED, FAILED = 0, 1


def reason_to_skip() -> str:
    """Why nothing can be counted here; "" if it can."""
    if shutil.which("valgrind") is None:
        return "valgrind is not installed"
    return "" if aionetflow.COMPILED else "this is the pure build"


def count() -> dict[str, int]:
    """Instructions by operation."""
    with tempfile.TemporaryDirectory() as folder:
        return figures([summary(path) for path in record(Path(folder))])


def record(folder: Path, *arguments: str) -> list[Path]:
    """Runs benchmarks.count under valgrind, and gives the file that it wrote at each mark."""
    output = folder / "out"
    command = [
        "valgrind", "--tool=callgrind", f"--callgrind-out-file={output}", "--dump-before=getppid",
        sys.executable, "-m", "benchmarks.count", *arguments,
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in DISTURBING}
    environment["PYTHONHASHSEED"] = "0"
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "no message").splitlines()[-1])
    return dumps(output)


def dumps(output: Path) -> list[Path]:
    """The files that valgrind wrote at each mark, in their order."""
    found = output.parent.glob(f"{output.name}.*")
    return sorted(found, key=lambda path: int(path.suffix[1:]))


def summary(path: Path) -> int:
    """The instructions between the mark before and that of a file."""
    with path.open() as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("summary:"))


def figures(sections: list[int]) -> dict[str, int]:
    """Instructions by operation; between its marks lie what comes before, a short run and a long one."""
    found = {}
    for operation, at in zip(OPERATIONS, range(0, len(sections), 3), strict=True):
        _, short, long = sections[at : at + 3]
        found[operation.name] = round((long - short) / ((LONG - SHORT) * operation.times * operation.parts))
    return found


def compare(found: dict[str, int], kept: dict[str, int]) -> tuple[list[str], bool]:
    """A line for each operation, and whether none has grown too much."""
    lines, good = [], True
    for name, now in found.items():
        before = kept.get(name)
        verdict = "too many more" if before and now > before * (1 + TOLERANCE) else ""
        good = good and not verdict
        grown = f"{now / before - 1:+.1%}" if before else "new"
        lines.append(f"{name:<24}{now:>12,}{grown:>10}  {verdict}".rstrip())
    return lines, good


def main(arguments: list[str] | None = None) -> int:
    """Counts, and compares or writes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions", description="Counts instructions.")
    parser.add_argument("--update", action="store_true", help="write benchmarks/baseline.json")
    options = parser.parse_args(arguments)
    if reason := reason_to_skip():
        print(f"instructions are not counted: {reason}")
        return PASSED
    found = count()
    kept = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    lines, good = compare(found, kept)
    print("\n".join(lines))
    if options.update:
        BASELINE.write_text(json.dumps(found, indent=1) + "\n")
        return PASSED
    if not good:
        print("if that is worth it, commit what --update writes with the change", file=sys.stderr)
    return PASSED if good else FAILED


if __name__ == "__main__":
    sys.exit(main())
