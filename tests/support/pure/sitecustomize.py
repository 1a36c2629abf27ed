"""With AIONETFLOW_PURE=1, load aionetflow from its .py files, even where compiled modules stand beside them.

conftest.py imports this file, and puts its folder on PYTHONPATH under the one name that Python imports by
itself when it starts: so the processes that a test starts are as pure as the test. For support/lines.py, which counts
the lines that run, each of them notes its own (in the folder AIONETFLOW_LINES): of all files, or of those below
AIONETFLOW_LINES_OF. To have them noted takes two seconds, ten times as much as to import them.
"""

from __future__ import annotations

import atexit
import importlib.machinery
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

SOURCES = (importlib.machinery.SourceFileLoader, importlib.machinery.SOURCE_SUFFIXES)
EXTENSIONS = (importlib.machinery.ExtensionFileLoader, importlib.machinery.EXTENSION_SUFFIXES)


def find(name: str, path: Sequence[str], kind: tuple[type, list[str]]) -> ModuleSpec | None:
    specs = (importlib.machinery.FileFinder(entry, kind).find_spec(name) for entry in path)
    return next((spec for spec in specs if spec is not None), None)


class PureFinder:
    """Finds the modules inside aionetflow as sources, and those that are only compiled not at all."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith("aionetflow.") or path is None:
            return None
        spec = find(name, path, SOURCES)
        if spec is None and find(name, path, EXTENSIONS) is not None:
            # A bare None would let the next finder load it.
            raise ModuleNotFoundError(f"{name} is not in the pure build", name=name)
        return spec


def note_lines(folder: str) -> None:
    """Leaves a file in the folder, when this process ends, that says which lines of the package have run."""
    import slipcover

    package = Path(__file__).parents[3] / "aionetflow"
    parts = os.environ.get("AIONETFLOW_LINES_OF", "").split()
    lines = slipcover.Slipcover()
    matcher = slipcover.FileMatcher(sources=[package / part for part in parts] or [package])
    slipcover.ImportManager(lines, matcher).__enter__()

    def write() -> None:
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".json", delete=False) as file:
            json.dump(lines.get_coverage(), file)

    atexit.register(write)


# A second copy of this file (pytest imports one by itself) would be harmless, and slower.
INSTALLED = any(getattr(finder, "__name__", "") == PureFinder.__name__ for finder in sys.meta_path)
if os.environ.get("AIONETFLOW_PURE") and not INSTALLED:
    sys.meta_path.insert(0, PureFinder)
    if "AIONETFLOW_LINES" in os.environ:
        note_lines(os.environ["AIONETFLOW_LINES"])  # before the finder: it wraps what the others find
