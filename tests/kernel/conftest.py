"""One run of all scripts against the kernel for each session, however many processes share its tests.

AIONETFLOW_KERNEL_LOGS is a folder for what the kernel said: a second session that is given it, on the other build, asks
only for what is not there yet. The kernel is the same for both.
"""

from __future__ import annotations

import fcntl
import os
import pickle
from pathlib import Path

import pytest

from support.beside.cases import Case, KernelRuns


@pytest.fixture(scope="session")
def kernel_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> KernelRuns:
    """The kernel's side of the scripts that are to run; made by the first process that asks."""
    found = [getattr(getattr(item, "function", None), "case", None) for item in request.session.items]
    runs = KernelRuns([case for case in found if isinstance(case, Case)])
    own = tmp_path_factory.getbasetemp()
    if hasattr(request.config, "workerinput"):
        own = own.parent  # that of all processes of this session
    folder = Path(os.environ.get("AIONETFLOW_KERNEL_LOGS") or own)
    logs = folder / "kernel.logs"
    with open(folder / "kernel.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if logs.exists():
            runs.logs = pickle.loads(logs.read_bytes())
        if runs.drive_missing():
            logs.write_bytes(pickle.dumps(runs.logs))
    return runs
