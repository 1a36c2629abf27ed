"""One run of all scripts against the kernel for each session, however many processes share its tests."""

from __future__ import annotations

import fcntl
import pickle

import pytest

from support.beside.cases import Case, KernelRuns


@pytest.fixture(scope="session")
def kernel_runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> KernelRuns:
    """The kernel's side of the scripts that are to run; made by the first process that asks."""
    found = [getattr(getattr(item, "function", None), "case", None) for item in request.session.items]
    runs = KernelRuns([case for case in found if isinstance(case, Case)])
    if not hasattr(request.config, "workerinput"):
        return runs
    folder = tmp_path_factory.getbasetemp().parent  # that of all processes of this session
    logs = folder / "kernel.logs"
    with open(folder / "kernel.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if logs.exists():
            runs.logs = pickle.loads(logs.read_bytes())
        else:
            runs.drive_all()
            logs.write_bytes(pickle.dumps(runs.logs))
    return runs
