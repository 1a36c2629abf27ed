"""A program on a virtual network has the kernel connect, bind and send nothing, and asks nobody for names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.loops import LOOPS

TESTS = Path(__file__).parents[1]


def audited(*arguments: str) -> str:
    """What an audit hook and the kernel's own tables have seen of a run of support/audited.py."""
    command = [sys.executable, "-W", "error", "-m", "support.audited", *arguments]
    done = subprocess.run(command, cwd=TESTS, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", LOOPS)
def test_an_audit_hook_sees_no_socket_of_the_kernel(kind: str) -> None:
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    assert audited(kind) == ""


@pytest.mark.kernel
def test_it_would_see_one() -> None:
    seen = audited("asyncio", "--outside")
    assert all(what in seen for what in ("socket.__new__", "socket.bind", "socket.connect", "socket:["))
