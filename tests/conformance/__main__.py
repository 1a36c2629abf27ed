"""The command line: python -m conformance --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path

from conformance import report
from conformance.plug import LOOPS, OURS
from conformance.run import LIMIT, FileResult, run_file
from conformance.suites import OUTPUT, SUITES, SourcesMissing, Suite, search_path

DESCRIPTION = "Runs the network tests of CPython's asyncio and of uvloop with our event loop in the place of theirs."
EPILOG = (
    "The exit status is 0 if every test passed that tests/conformance/excluded.toml does not list, and none that it"
    " does. Only loopback and memory are used."
)


def main(arguments: list[str] | None = None) -> int:
    """Runs what the command line says; returns the exit status."""
    options = _parser().parse_args(arguments)
    chosen = list(_choose(options.files))
    if not chosen:
        print(f"conformance: nothing is called {' or '.join(options.files)} (see --list)", file=sys.stderr)
        return 2
    if options.list:
        print(*(f"{suite.name} {file}" for suite, file in chosen), sep="\n")
        return 0
    try:
        for suite in {suite.name: suite for suite, _ in chosen}.values():
            search_path(suite)  # before anything takes its time
    except SourcesMissing as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    files = _run(chosen, options)
    print(report.table(files))
    print(report.wrong(files))
    report.write(options.json or OUTPUT / f"{options.loop}.json", options.loop, files)
    return int(any(part.wrong for part in files))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m conformance", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("files", nargs="*", metavar="FILE", help="as in --list, or a pattern: test_ssl, 'uvloop*'")
    parser.add_argument(
        "--loop", choices=LOOPS, default=OURS,
        help="asyncio: its own, on the kernel; original: that which the tests were written for (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=float, default=LIMIT, metavar="S", help="seconds for one test (default %(default)g)"
    )
    cores = os.cpu_count() or 1
    parser.add_argument("--jobs", type=int, default=cores, metavar="N", help="files at once (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default build/conformance/LOOP.json")
    parser.add_argument("--list", action="store_true", help="the files, and nothing else")
    return parser


def _choose(patterns: list[str]) -> Iterator[tuple[Suite, str]]:
    for suite in SUITES.values():
        for file in suite.files:
            if not patterns or any(fnmatchcase(name, p) for p in patterns for name in (file, f"{suite.name} {file}")):
                yield suite, file


def _run(chosen: list[tuple[Suite, str]], options: argparse.Namespace) -> list[FileResult]:
    def run(choice: tuple[Suite, str]) -> FileResult:
        return run_file(*choice, options.loop, options.limit)

    with ThreadPoolExecutor(options.jobs) as pool:
        return list(pool.map(run, chosen))


if __name__ == "__main__":
    sys.exit(main())
