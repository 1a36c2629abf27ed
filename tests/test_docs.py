"""Every example in README and docs runs as it is written."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.build import only_on_the_fastest_build
from support.examples import run_program

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
STORE = ROOT / "examples" / "store.py"  # starts processes of itself
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if path != STORE]


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return [match[1] for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_sessions_on_a_page_run_as_written(page: Path) -> None:
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_programs_on_a_page_run_as_written(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in blocks(page):
        if ">>>" not in source:
            run_program(source, page.name, capsys)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_runs(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_program(path.read_text(encoding="utf-8"), path.name, capsys)


@pytest.mark.kernel
@only_on_the_fastest_build
def test_the_store_loses_no_write_when_one_of_its_processes_is_killed() -> None:
    pytest.importorskip("cryptography", reason="tunnels with a key need it")
    paths = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
    command = [sys.executable, "-W", "error", str(STORE)]
    environment = {**os.environ, "PYTHONPATH": paths}
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout
    first, killed, three, back, last = result.stdout.splitlines()
    assert first == "four stores: 16 writes acknowledged; 64 reads, 0 wrong"
    assert killed.startswith("store3 was killed among 16 writes: all acknowledged, ")
    assert three == "three stores: 16 writes acknowledged; 48 reads, 0 wrong"
    assert back == "store3 is back, and has caught up with 16 newer values"
    assert last == "four stores: 64 reads, 0 wrong; store3 itself has old values of 0 keys"


def test_the_readme_has_a_program_and_a_session() -> None:
    programs = [source for source in blocks(ROOT / "README.md") if ">>>" not in source]
    assert programs
    assert len(blocks(ROOT / "README.md")) > len(programs)
