"""The examples that need libraries run as they are written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.examples import run_program

FOLDER = Path(__file__).parents[2] / "examples" / "libraries"
PROGRAMS = [path for path in sorted(FOLDER.glob("*.py")) if not path.name.startswith("test_")]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_a_program_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_program(path.read_text(encoding="utf-8"), path.name, capsys)


def test_the_tests_pass(tmp_path: Path) -> None:
    options = ["-q", "-W", "error", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function"]
    command = [sys.executable, "-m", "pytest", *options, "-c", os.devnull, "--rootdir", str(tmp_path), str(FOLDER)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "8 passed" in result.stdout, result.stdout + result.stderr
