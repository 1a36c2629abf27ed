"""The examples that need libraries run as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.examples import run_program

EXAMPLES = sorted((Path(__file__).parents[2] / "examples" / "libraries").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_program(path.read_text(encoding="utf-8"), path.name, capsys)
