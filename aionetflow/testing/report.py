"""What is said of a test that failed on a network: how to run it again, and what happened last."""

import os
import re
import shlex
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest

from aionetflow.testing.recording import LAST
from aionetflow.testing.run import Run

_LONGEST_NAME = 120  # characters of a file's name, which systems limit to 255 octets


def describe(item: pytest.Item, run: Run) -> str:
    """The section of the report."""
    config: Any = item.config  # pytest 9.2 has a type of its own for node ids
    node = shlex.quote(config.cwd_relative_nodeid(item.nodeid))
    seed = shlex.quote(f"--netflow-seed={run.settings.seed}")
    lines = [f"seed {run.settings.seed}, {run.settings.time} time. To run it again:", f"    pytest {node} {seed}"]
    lines += [f"    {doubt}" for doubt in _doubts(run)]
    count = run.recorder.count
    lines.append(f"the last {LAST} of {count} frames:" if count > LAST else "frames:" if count else "no frames")
    lines += run.recorder.lines(run.start_ns)
    sockets = run.note_sockets()
    lines += ["sockets:", *sockets] if sockets else ["no sockets"]
    folder = item.config.getoption("--netflow-pcap")
    if folder is not None:
        lines.append(f"capture: {_write(Path(folder), item.nodeid, run)}")
    return "\n".join(lines)


def file_name(nodeid: str) -> str:
    """A file name that says which test it is about, and is no other test's.

    >>> file_name("tests/test_a.py::test_b[x/y]")
    'tests_test_a.py__test_b_x_y_-5eeaa1ed.pcapng'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", nodeid)
    return f"{plain[-_LONGEST_NAME:]}-{zlib.crc32(nodeid.encode()):08x}.pcapng"


def _write(folder: Path, nodeid: str, run: Run) -> str:
    path = folder / file_name(nodeid)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        run.recorder.write(path, run.start_ns)
    except OSError as error:
        return f"not written: {error}"
    return str(path)


def _doubts(run: Run) -> list[str]:
    """Why the next run may differ from this one."""
    doubts = []
    if run.settings.time == "real":
        doubts.append('on real time no two runs are the same to the microsecond; with time="virtual" they are')
    if sys.flags.hash_randomization and os.environ.get("PYTHONHASHSEED", "random") == "random":
        doubts.append("sets of strings have another order in each run: PYTHONHASHSEED is not set")
    threads = threading.active_count() - run.threads
    if threads > 0:
        doubts.append(f"threads that the test has started: {threads}, which run whenever the system lets them")
    return doubts
