"""What the scripts of tests/kernel show, in a table; --write makes not_yet.txt anew, --show NAME prints both logs."""

from __future__ import annotations

import argparse
import importlib
import sys

from support.beside.cases import NOT_YET, Case, KernelRuns, cases_of, fields_not_yet, not_yet

HEAD = """\
# Scripts whose outcome differs from the kernel's because something is not built yet, and the first difference seen.
# One that agrees must go from here; PYTHONPATH=tests python -m support.beside --write makes the list anew.
"""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="make not_yet.txt anew")
    parser.add_argument("--show", action="store_true", help="print both logs of each script that differs")
    parser.add_argument("names", nargs="*", help="parts of names: only these")
    arguments = parser.parse_args()
    files = sorted(NOT_YET.parent.glob("test_*.py"))
    cases = [case for file in files for case in cases_of(importlib.import_module(f"kernel.{file.stem}"))]
    cases = [case for case in cases if not arguments.names or any(part in case.name for part in arguments.names)]
    runs, known = KernelRuns(cases), not_yet()
    runs.drive([case for case in cases if runs.outcome(case, 1)[0]])  # a busy machine may have disturbed some
    listed = [f"{name}  {known[name]}" for name in fields_not_yet()]
    agreeing = 0
    for case in cases:
        found, report = runs.outcome(case, 1)
        agreeing += not found
        _tell(case, found, report if arguments.show else "", case.name in known)
        if found and not case.differs:
            listed.append(f"{case.name}  {found[0][:100]}")
    print(f"{agreeing} of {len(cases)} agree")
    if arguments.write:
        tried = {case.name for case in cases}
        if arguments.names:
            listed += [f"{name}  {why}" for name, why in known.items() if "::" in name and name not in tried]
        NOT_YET.write_text(HEAD + "".join(f"{line}\n" for line in sorted(listed)), encoding="utf-8")


def _tell(case: Case, found: list[str], report: str, known: bool) -> None:
    if found:
        why = case.differs or ("not yet" if known else "NEW")
        print(f"differs  {case.name}  ({why})\n           {found[0][:160]}")
        if report:
            print(report, file=sys.stdout)
    else:
        print(f"agrees   {case.name}{'  (off the list)' if known or case.differs else ''}")


if __name__ == "__main__":
    main()
