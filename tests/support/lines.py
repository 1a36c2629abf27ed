"""Runs Python on the pure build and says which lines of the package nothing has run, in whatever process.

    python -m support.lines 90 -m pytest tests      # status 2 if fewer than 90 % of the lines have run

Lines that have run are no longer watched (slipcover). A tracer costs twice as much as the tests themselves, and this a
tenth. What has to be done in each process is in pure/sitecustomize.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import slipcover

from support.build import package_folder

PURE = Path(__file__).with_name("pure")
NOT_COUNTED = ["if TYPE_CHECKING:", "@overload", r": \.\.\.$", r"^\s*\.\.\.$"]


def run(arguments: list[str], folder: str) -> int:
    """Runs Python with these arguments; each of its processes leaves a file in the folder. Returns its status."""
    paths = [str(PURE), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {
        **os.environ, "AIONETFLOW_PURE": "1", "AIONETFLOW_LINES": folder,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
    }  # fmt: skip
    # -P: what an installation has left in the current folder would have pytest rewrite the package, as a plugin of its
    # own, past what counts the lines
    return subprocess.run([sys.executable, "-P", *arguments], env=environment, check=False).returncode


def merged(folder: str) -> dict[str, Any]:
    """What all those files say, in the form of slipcover's JSON; files that nothing has imported are in it too."""
    source = [str(package_folder())]
    coverage: dict[str, Any] = slipcover.Slipcover(source=source, exclude_also=NOT_COUNTED).get_coverage()
    for file in Path(folder).iterdir():
        slipcover.merge_coverage(coverage, json.loads(file.read_text()))
    return coverage


def main(least: float, arguments: list[str]) -> int:
    """The status of what was run, or 2."""
    with tempfile.TemporaryDirectory() as folder:
        status = run(arguments, folder)
        coverage = merged(folder)
    slipcover.print_coverage(coverage, skip_covered=True)
    share = coverage["summary"]["percent_covered"]
    if share < least:
        print(f"{share:.1f} % of the lines have run, fewer than {least:g} %", file=sys.stderr)
    return status or (2 if share < least else 0)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
