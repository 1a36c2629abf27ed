"""The command line: python -m benchmarks --help."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import machine, plot, report
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.measure import ROOT, BenchmarkError, measure, run_in_process, with_references
from benchmarks.workloads import WORKLOADS, Workload

ROUNDS, QUICK_ROUNDS = 3, 1
SECONDS, QUICK_SECONDS = 0.25, 0.05  # of CPU time in one run
OUTPUT = ROOT / "build" / "bench"
EPILOG = "Traffic stays on this machine. Everything runs twice in each round; a round takes some minutes."


def main(arguments: list[str] | None = None) -> int:
    """Measures what the command line says; returns the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.list:
        _list()
        return 0
    try:
        workloads, contenders = _select(options.only)
    except ValueError as error:
        parser.error(str(error))
    if options.plot is not None and not plot.available():
        parser.error("--plot needs matplotlib: pip install 'aionetflow[bench]'")
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    seconds = QUICK_SECONDS if options.quick else SECONDS
    for workload in filter(Workload.missing, workloads):
        print(f"benchmarks: {workload.name} is left out: {workload.needs} is not installed", file=sys.stderr)
    workloads = [workload for workload in workloads if not workload.missing()]
    described = machine.describe()  # before it is busy
    runs = sum(workload.suits(contender) for workload in workloads for contender in contenders)
    progress = _Progress(2 * rounds * runs)
    try:
        tables = measure(workloads, contenders, rounds, run_in_process(seconds), progress)
    except BenchmarkError as error:
        progress.clear()
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    progress.clear()
    print(report.text(tables, described))
    settings = {"rounds": rounds, "seconds": seconds, "order": "A B C ... C B A", "processes": "one per run"}
    report.write(options.json or OUTPUT / "latest.json", report.as_json(tables, described, settings))
    picture = options.plot or OUTPUT / "latest.svg"
    if options.plot is not None or plot.available():
        plot.draw(tables, described, picture)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", epilog=EPILOG,
        description="Compares our network with the kernel's loopback, on asyncio's loop and on uvloop, by CPU time.",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="one short round: does it run, and roughly how fast")
    parser.add_argument("--rounds", type=_count, metavar="N", help=f"rounds (default {ROUNDS}, quick {QUICK_ROUNDS})")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME",
        help="only this workload or contender (see --list), and what it is compared with; may be repeated",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="default build/bench/latest.json")
    parser.add_argument("--plot", type=_picture, metavar="FILE", help="default build/bench/latest.svg")
    parser.add_argument("--list", action="store_true", help="the workloads and contenders, and nothing else")
    return parser


def _count(value: str) -> int:
    if not value.isdecimal() or int(value) == 0:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, not {value!r}")
    return int(value)


def _picture(value: str) -> Path:
    path = Path(value)
    if path.suffix not in (".svg", ".png", ".pdf"):
        raise argparse.ArgumentTypeError(f"a name that ends in .svg, .png or .pdf, not {value!r}")
    return path


def _select(names: list[str]) -> tuple[list[Workload], list[Contender]]:
    """The workloads and contenders of these names; all of a kind of which none is named."""
    workloads = {workload.name: workload for workload in WORKLOADS}
    contenders = {contender.name: contender for contender in CONTENDERS}
    if unknown := [name for name in names if name not in workloads and name not in contenders]:
        raise ValueError(f"no workload or contender is named {unknown[0]!r}; --list names them")
    return (
        [workload for name, workload in workloads.items() if name in names] or list(WORKLOADS),
        with_references([contenders[name] for name in names if name in contenders] or CONTENDERS),
    )


def _list() -> None:
    print("workloads")
    for workload in WORKLOADS:
        print(f"  {workload.name:<32}{workload.title}, {workload.unit}")
    print("contenders")
    for contender in CONTENDERS:
        print(f"  {contender.name}")


class _Progress:
    """One line on a terminal that says what is being measured; nothing in a pipe."""

    def __init__(self, runs: int) -> None:
        self.runs = runs
        self.done = 0
        self.shown = sys.stderr.isatty()

    def __call__(self, workload: Workload, contender: Contender) -> None:
        self.done += 1
        self._show(f"{self.done}/{self.runs}  {workload.name}  {contender.name}")

    def clear(self) -> None:
        self._show("")

    def _show(self, line: str) -> None:
        if self.shown:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
