"""Runs the programs of the documentation and of examples/ as they are written."""

from __future__ import annotations

import re

import pytest


def run_program(source: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs a block or file; each line with `print(...)  # text` must have printed that text."""
    exec(compile(source, name, "exec"), {"__name__": "__main__"})
    printed = capsys.readouterr().out
    for expected in re.findall(r"print\(.*\)\s+# (.*)$", source, re.MULTILINE):
        assert expected in printed
