"""Scripts as tests: each is driven against the kernel and against our stack, and what they said is compared.

The kernel's runs take real time, most of it waiting: all scripts that are to run are driven at once, each in a thread
and a network namespace of its own, when the first of them is asked for. Ours run afterwards, one by one.

`tests/kernel/not_yet.txt` lists scripts whose outcome differs because something is not built yet, and fields that are
not compared anywhere for the same reason. A script that is there and agrees fails: take it off the list, by hand or
with

    PYTHONPATH=tests python -m support.beside --write
"""

from __future__ import annotations

import functools
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.beside.compare import differences, side_by_side
from support.beside.sides import KernelSide, OurSide
from support.beside.talk import Deviation, Entry, Side, Talk
from support.namespace import missing

NOT_YET = Path(__file__).parents[2] / "kernel" / "not_yet.txt"
AT_ONCE = 24  # threads
TRIES = 3  # a real difference is there every time
MOST_TRIES = 20  # of runs that a busy machine has disturbed
STALL = 0.005  # s; who has waited for a processor as long in a run has been disturbed

Script = Callable[[Talk], None]


@dataclass(frozen=True)
class Case:
    """A script and what it needs."""

    script: Script
    sysctls: Mapping[str, object]
    mtu: int
    ignored: frozenset[str]  # fields that are not compared
    differs: str  # why the outcome is not the same, on purpose

    @property
    def name(self) -> str:
        """How it is listed: file and test."""
        return f"{self.script.__module__.rpartition('.')[2]}::{self.script.__name__}"

    def against(self, side: Side) -> list[Entry]:
        """Drives the script against a side."""
        talk = Talk(side)
        try:
            self.script(talk)
        except Deviation as deviation:
            talk.log.append(Entry("end", str(deviation), {}, 0.0))
        except Exception:
            talk.log.append(Entry("end", traceback.format_exc(limit=-3), {}, 0.0))
        return talk.log

    def against_the_kernel(self) -> tuple[list[Entry], float]:
        """The kernel's log, and how long the machine has let it wait, in s. Must run in a thread of its own."""
        try:
            side = KernelSide(self.sysctls, self.mtu)
        except OSError:
            return [Entry("end", traceback.format_exc(limit=-3), {}, 0.0)], 0.0
        before = waited()
        try:
            log = self.against(side)
            return log, waited() - before
        finally:
            side.close()

    def against_ours(self) -> list[Entry]:
        """Our stack's log; an exception where none may be is its last entry."""
        try:
            side = OurSide(self.sysctls, self.mtu)
        except Exception:
            return [Entry("end", traceback.format_exc(limit=-3), {}, 0.0)]
        return self.against(side)


def both(
    *, sysctls: Mapping[str, object] | None = None, mtu: int = 1500, ignored: Iterable[str] = (), differs: str = ""
) -> Callable[[Script], Callable[..., None]]:
    """Makes a test of a script.

    sysctls are set on both sides; `ignored` fields are not compared; `differs` says why the outcome differs on purpose,
    and fails when it does not.
    """

    def decorate(script: Script) -> Callable[..., None]:
        case = Case(script, sysctls or {}, mtu, frozenset(ignored), differs)

        def test(kernel_runs: KernelRuns) -> None:
            kernel_runs.compare(case)

        # not functools.wraps: pytest would look for a fixture named as the script's argument
        test.__name__, test.__qualname__, test.__doc__ = script.__name__, script.__qualname__, script.__doc__
        test.__module__ = script.__module__
        setattr(test, "case", case)  # noqa: B010
        return pytest.mark.kernel(test)

    return decorate


def waited() -> float:
    """How long this thread has been ready to run, and no processor was free, in s; 0 if the kernel does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


@functools.cache
def not_yet() -> dict[str, str]:
    """The scripts (and the fields) that differ because something is not built yet, and what was seen of that."""
    lines = NOT_YET.read_text(encoding="utf-8").splitlines()
    entries = [line.partition("  ") for line in lines if line and not line.startswith("#")]
    return {name: reason.strip() for name, _, reason in entries}


def fields_not_yet() -> frozenset[str]:
    """Fields that are not compared, because ours are not right yet in nearly every script."""
    return frozenset(name for name in not_yet() if "::" not in name)


class KernelRuns:
    """What the kernel said to each script."""

    def __init__(self, cases: list[Case]) -> None:
        self._cases = cases
        self.logs: dict[str, list[Entry]] = {}
        self._stalls: dict[str, float] = {}  # s; of the runs since, as they were made one by one

    def compare(self, case: Case) -> None:
        """Fails where the two sides differ and should not, or agree and should not."""
        if reason := missing():
            pytest.skip(reason)
        found, report = self.outcome(case)
        expected = case.differs or not_yet().get(case.name, "")
        if expected and not found:
            pytest.fail(f"agrees with the kernel now; was expected to differ: {expected}")
        if found and not expected:
            pytest.fail("\n".join([*found, "", report]), pytrace=False)

    def outcome(self, case: Case, tries: int = TRIES) -> tuple[list[str], str]:
        """The differences, and both logs side by side."""
        self.drive_missing()
        ours = case.against_ours()
        ignored = case.ignored | fields_not_yet()
        for _ in range(MOST_TRIES):
            kernel = self.logs[case.name]
            found = differences(kernel, ours, ignored)
            if kernel and kernel[-1].what == "end":
                found.append(f"the script does not fit the kernel: {kernel[-1].name}")
            if bool(found) == bool(case.differs or case.name in not_yet()):
                break  # as expected
            if self._stalls.get(case.name, 1.0) < STALL:
                tries -= 1
            if not tries:
                break
            self.drive([case])
        return found, side_by_side(kernel, ours, ignored)

    def drive_missing(self) -> bool:
        """Drives the scripts that have not been, unless the kernel cannot be had; whether there were any."""
        left = [case for case in self._cases if case.name not in self.logs]
        if not left or missing():
            return False
        self.drive(left)
        return True

    def drive(self, cases: list[Case]) -> None:
        """Drives scripts against the kernel, many at once."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(0.0005)  # s; a thread that the kernel has woken up looks at the time soon
        try:
            # a thread that comes to the next case leaves the namespace of the last one
            with ThreadPoolExecutor(max(1, min(AT_ONCE, len(cases)))) as pool:
                runs = pool.map(Case.against_the_kernel, cases)
                for case, (log, stall) in zip(cases, runs, strict=True):
                    self.logs[case.name] = log
                    if len(cases) == 1:
                        self._stalls[case.name] = stall
        finally:
            sys.setswitchinterval(before)


@functools.cache
def cases_of(module: Any) -> list[Case]:
    """The cases in a module of scripts."""
    found = [getattr(value, "case", None) for value in vars(module).values()]
    return [case for case in found if isinstance(case, Case)]
