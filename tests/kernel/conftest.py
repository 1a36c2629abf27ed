"""One run of all scripts against the kernel for each session."""

from __future__ import annotations

import pytest

from support.beside.cases import Case, KernelRuns


@pytest.fixture(scope="session")
def kernel_runs(request: pytest.FixtureRequest) -> KernelRuns:
    """The kernel's side of the scripts that are to run."""
    found = [getattr(getattr(item, "function", None), "case", None) for item in request.session.items]
    return KernelRuns([case for case in found if isinstance(case, Case)])
