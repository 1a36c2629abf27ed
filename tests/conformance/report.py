"""What a run of the tests says: a table, the tests that need a look, and the same as JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from conformance.outcomes import Outcome
from conformance.run import FileResult

COLUMNS = (Outcome.PASSED, Outcome.FAILED, Outcome.EXCLUDED, Outcome.SKIPPED, Outcome.SURPRISE)
HEAD: tuple[str, ...] = (*COLUMNS, "virtual socket", "kernel socket")


def table(files: Sequence[FileResult]) -> str:
    """A line for each file and one for all."""
    rows = {f"{part.suite} {part.file}": _counts([part]) for part in files}
    rows["all"] = _counts(files)
    width = max(len(name) for name in rows)
    lines = ["".join([" " * width, *(f"  {head}" for head in HEAD)])]
    for name, counts in rows.items():
        cells = (f"{count:>{len(head) + 2}}" for head, count in zip(HEAD, counts, strict=True))
        lines.append("".join([name.ljust(width), *cells]))
    return "\n".join(lines)


def _counts(files: Iterable[FileResult]) -> list[int]:
    files = list(files)
    counts = [sum(part.count(column) for part in files) for column in COLUMNS]
    return [*counts, sum(part.virtual for part in files), sum(part.kernel for part in files)]


def wrong(files: Iterable[FileResult]) -> str:
    """Each test that ended as it should not, with the last line of what it said and where the rest is."""
    lines: list[str] = []
    for part in files:
        if not part.wrong:
            continue
        lines.append(f"\n{part.suite} {part.file}: {part.log}")
        lines += [f"  {result.status} {result.test}\n      {last_line(result.detail)}" for result in part.wrong]
    return "\n".join(lines)


def last_line(text: str) -> str:
    """The line of a traceback that says what happened.

    >>> last_line('Traceback ...\\nOSError: [Errno 98] in use\\n')
    'OSError: [Errno 98] in use'
    """
    return (text.strip().splitlines() or [""])[-1]


def write(path: Path, loop: str, files: Iterable[FileResult]) -> None:
    """All of it, as JSON."""
    content = {
        "loop": loop,
        "python": platform.python_version(),
        "files": [
            {"suite": part.suite, "file": part.file, "log": str(part.log), "tests": [asdict(r) for r in part.results]}
            for part in files
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
