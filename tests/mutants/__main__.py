"""Breaks the code, one small change at a time, and says which changes no test has noticed: `make mutants`.

    --count 100         so many changes, drawn at random (default 100)
    --seed 1            which (default 1); a change of the code changes only what is drawn of the lines that it touches
    --all               all changes there are
    --rules             instead, for each rule of docs/rfc.md: does its test fail when the file that keeps it is broken?
    --only tcp/rtt.py   only files whose names begin so; may be repeated
    --jobs 2            at once (default: as many as there are cores)

The status is 1 if a change survived that survivors.toml does not explain, or a rule could be broken unnoticed.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import os
import random
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

# before anything of the package is imported: only Python code can be changed so
os.environ["AIONETFLOW_PURE"] = "1"

import pytest

from mutants.mutate import Mutant, mutants
from mutants.runner import Tests
from rfc.page import Rule, collect

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "aionetflow"
SURVIVORS = Path(__file__).with_name("survivors.toml")
BROKEN = ("tcp/", "ip/", "udp/", "ethernet/neighbour.py", "ethernet/arp.py")
RUN = ("tcp", "ip", "udp", "ethernet", "socket", "inspect", "rfc")
TRIES = 40  # how many changes of a file are tried on the test of a rule


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--rules", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    return parser.parse_args()


def explained() -> dict[tuple[str, str, str, str], str]:
    """Why some changes make no difference, by file, function, line before and line after."""
    entries = tomllib.loads(SURVIVORS.read_text()).get("mutant", [])
    return {(one["file"], one["function"], one["before"], one["after"]): one["why"] for one in entries}


@functools.cache
def changes(file: str) -> tuple[Mutant, ...]:
    """All changes of a file."""
    return tuple(mutants(PACKAGE, file))


def everything(only: list[str]) -> list[Mutant]:
    """All changes of the files that are broken."""
    files = [path.relative_to(PACKAGE).as_posix() for path in sorted(PACKAGE.rglob("*.py"))]
    return [
        mutant
        for file in files
        if file.startswith(BROKEN) and (not only or file.startswith(tuple(only)))
        for mutant in changes(file)
    ]


def drawn(found: list[Mutant], count: int, seed: int) -> list[Mutant]:
    """So many of them by lot, where each has a lot of its own that depends on the seed and on what it is alone."""

    def lot(mutant: Mutant) -> bytes:
        what = f"{seed} {mutant.file} {mutant.function} {mutant.before} {mutant.after}"
        return hashlib.sha256(what.encode()).digest()

    return sorted(found, key=lot)[:count]


def sample(asked: argparse.Namespace, tests: Tests) -> int:
    """Breaks the code here and there, and returns the status."""
    tests.learn_all()
    found = everything(asked.only)
    if not asked.all and asked.count < len(found):
        found = drawn(found, asked.count, asked.seed)
    print(f"{len(found)} changes, seed {asked.seed}", flush=True)
    why = explained()
    survivors: list[Mutant] = []
    dead = excused = 0
    for mutant, survives in tests.all_survivors(found, asked.jobs):
        if not survives:
            dead += 1
        elif (mutant.file, mutant.function, mutant.before, mutant.after) in why:
            excused += 1
        else:
            survivors.append(mutant)
            print(f"survived: {mutant}", flush=True)
    print(f"{dead} noticed, {excused} make no difference (survivors.toml), {len(survivors)} unnoticed")
    return 1 if survivors else 0


def rules(asked: argparse.Namespace, tests: Tests) -> int:
    """Breaks the file of each rule until its test fails, and returns the status."""
    wanted = [rule for rule in collect() if not asked.only or rule.code.startswith(tuple(asked.only))]
    marked = sorted(rule for rule in wanted if rule.code.endswith(".py"))  # the loops in C have their twin
    cases: dict[str, list[str]] = defaultdict(list)
    for name in tests.items:
        cases[name.partition("[")[0]].append(name)
    # those whose tests are not among the ones that are run here are left out
    by_rule = {rule: names for rule in marked if (names := cases[f"{rule.path}::{rule.test}"])}
    tests.learn(name for names in by_rule.values() for name in names)
    called = {
        rule: {function for name in names for function in tests.reach[name].functions}
        for rule, names in by_rule.items()
    }
    common = Counter(function for functions in called.values() for function in functions)

    def breaks(rule: Rule) -> bool:
        found = [m for m in changes(rule.code) if f"{m.file} {m.function}" in called[rule]]
        random.Random(asked.seed).shuffle(found)
        # what every test needs would break any of them: what few need says more
        found.sort(key=lambda mutant: common[f"{mutant.file} {mutant.function}"])
        killer = next((m for m in found[:TRIES] if not tests.survives(m, by_rule[rule])), None)
        what = f"fails with {killer}" if killer else f"is not to be broken in {rule.code} ({rule.test})"
        print(f"{rule.section}, {rule.text}: {what}", flush=True)
        return killer is not None

    unbroken = tests.count_failures(breaks, list(by_rule), asked.jobs)
    print(f"{len(by_rule)} rules, {unbroken} whose test did not fail")
    return 1 if unbroken else 0


def main() -> int:
    """All of it; returns the status."""
    asked = arguments()
    status = [2]

    def work(tests: Tests) -> None:
        status[0] = rules(asked, tests) if asked.rules else sample(asked, tests)

    folders = [str(TESTS / name) for name in RUN]
    options = ["-s", "-p", "no:cacheprovider", "-p", "no:terminal", "-m", "not kernel and not soak"]
    pytest.main([*options, "--rootdir", str(TESTS.parent), *folders], plugins=[Tests(PACKAGE, work)])
    return status[0]


if __name__ == "__main__":
    sys.exit(main())
