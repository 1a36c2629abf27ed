"""The guard against compiled modules that are not what their sources say, and the switch to pure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import support.pure.sitecustomize as pure
from aionetflow import fast
from support.build import extension_modules, package_folder, stale_extensions

SUFFIX = EXTENSION_SUFFIXES[0]
OLD, BUILT, NEW = 1_000_000_000, 1_000_000_100, 1_000_000_200


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A source tree of one package with one compiled module, up to date."""
    (tmp_path / "setup.py").touch()
    folder = tmp_path / "package" / "tcp"
    folder.mkdir(parents=True)
    for name, when in (("window.py", OLD), ("window.pxd", OLD), ("window" + SUFFIX, BUILT)):
        (folder / name).touch()
        os.utime(folder / name, (when, when))
    return folder.parent


def test_finds_what_this_interpreter_would_load(package: Path) -> None:
    (package / "tcp" / "other.cpython-27-alien.so").touch()
    assert [path.name for path in extension_modules(package)] == ["window" + SUFFIX]
    assert stale_extensions(package) == []


@pytest.mark.parametrize("source", ["window.py", "window.pxd"])
def test_a_newer_source_makes_a_compiled_module_stale(package: Path, source: str) -> None:
    os.utime(package / "tcp" / source, (NEW, NEW))
    assert stale_extensions(package) == [f"window{SUFFIX} is older than {source}"]


def test_a_module_that_is_no_longer_compiled_is_left_over(package: Path) -> None:
    (package / "tcp" / "window.pxd").unlink()
    assert stale_extensions(package) == [f"window{SUFFIX} is left over: window.py is not compiled any more"]


def test_times_say_nothing_where_there_is_no_source_tree(package: Path) -> None:
    os.utime(package / "tcp" / "window.py", (NEW, NEW))
    (package.parent / "setup.py").unlink()
    assert stale_extensions(package) == []


def test_a_process_that_a_pure_run_starts_is_pure() -> None:
    code = "from aionetflow import fast; print(fast.get16.__module__)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fast.get16.__module__


def test_a_process_notes_the_lines_of_those_files_that_it_is_told(tmp_path: Path) -> None:
    environment = {
        **os.environ, "AIONETFLOW_PURE": "1", "AIONETFLOW_LINES": str(tmp_path), "AIONETFLOW_LINES_OF": "cli",
        "PYTHONPATH": os.pathsep.join((str(Path(pure.__file__).parent), str(package_folder().parent))),
    }  # fmt: skip
    subprocess.run([sys.executable, "-c", "import aionetflow.cli.status"], check=True, env=environment, timeout=60)
    (noted,) = (json.loads(file.read_text()) for file in tmp_path.iterdir())
    assert [Path(name).name for name in noted["files"]] == ["__init__.py", "status.py"]
