"""Every example in README and docs runs as it is written."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

from support.examples import run_program

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


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


def test_the_readme_has_a_program_and_a_session() -> None:
    programs = [source for source in blocks(ROOT / "README.md") if ">>>" not in source]
    assert programs
    assert len(blocks(ROOT / "README.md")) > len(programs)
