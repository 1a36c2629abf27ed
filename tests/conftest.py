"""Which build is tested, and the decoder that reads every frame a test puts on a wire.

AIONETFLOW_PURE=1 runs the .py twins even where compiled modules stand beside them; without it, what is
compiled is what is tested, and a compiled module older than its source ends the run before it starts.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import support.pure.sitecustomize as pure
from support.build import PURE, SECOND, extension_modules, package_folder, stale_extensions
from support.decode import check_frame

# The same examples in every run, and no deadline: what a machine is busy with is no fault of the code.
settings.register_profile("aionetflow", derandomize=True, deadline=None, max_examples=30 if SECOND else 75)
settings.load_profile("aionetflow")

# What the processes that tests start run, and the tests themselves do not: see support/pure/sitecustomize.py.
LINES_OF_OTHERS = "cli testing"


def pytest_configure(config: pytest.Config) -> None:
    # Here and not in the report header, which -q skips.
    if PURE:
        rest = os.environ.get("PYTHONPATH")
        folder = str(Path(pure.__file__).parent)
        os.environ["PYTHONPATH"] = folder + os.pathsep + rest if rest else folder
        if hasattr(config, "workerinput") or not getattr(config.option, "numprocesses", None):
            os.environ["AIONETFLOW_LINES_OF"] = LINES_OF_OTHERS
    elif stale := stale_extensions(package_folder()):
        pytest.exit("stale compiled modules, run make test:\n  " + "\n  ".join(stale), returncode=4)


def pytest_collection_finish() -> None:
    # Hundreds of thousands of objects that stay: the collector of cycles need not walk over them again and again.
    gc.collect()
    gc.freeze()


def pytest_report_header() -> str:
    return "aionetflow: " + build()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # With -q there is no header, and which build has passed must be seen.
    if terminalreporter.no_header or terminalreporter.verbosity < 0:
        terminalreporter.write_line("aionetflow: " + build())


def build() -> str:
    """Which build this run tests, in words."""
    if PURE:
        return "pure (AIONETFLOW_PURE)"
    count = len(extension_modules(package_folder()))
    return f"compiled ({count} modules)" if count else "pure (nothing is compiled here)"


@pytest.fixture(autouse=True)
def watched_frames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decodes each frame that a host puts on a wire in this test, by a decoder that is not ours.

    Not in the soak tests, which send millions of them, nor in the run that counts lines: its frames are those of the
    compiled one (tests/dropin/test_same_run.py).
    """
    if SECOND or request.node.get_closest_marker("soak"):
        return
    # not before pytest_configure has seen that what is compiled is fresh
    from aionetflow import stack
    from aionetflow.ethernet.interface import Interface

    def watch(make: Callable[..., Interface]) -> Callable[..., Interface]:
        def make_watched(node: stack.Stack, *args: Any) -> Interface:
            interface = make(node, *args)

            def tap(now: int, frame: bytes, outbound: bool) -> None:
                if outbound:  # what a router passes on may have been damaged before it came
                    check_frame(frame, interface.linktype, forwarded=node.forwards())

            interface.taps.append(tap)
            return interface

        return make_watched

    monkeypatch.setattr(stack, "make_ethernet", watch(stack.make_ethernet))
    monkeypatch.setattr(stack, "make_raw", watch(stack.make_raw))
