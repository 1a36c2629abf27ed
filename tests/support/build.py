"""What is built here: which modules are compiled, and whether they still are what their sources say."""

from __future__ import annotations

import importlib.util
import os
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest


def package_folder() -> Path:
    """Where aionetflow's sources are: the tree, or the place it was installed to. Imports nothing."""
    spec = importlib.util.find_spec("aionetflow")
    if spec is None or not spec.submodule_search_locations:
        raise pytest.UsageError("aionetflow is not installed here: run make test")
    return Path(spec.submodule_search_locations[0])


def extension_modules(package: Path) -> list[Path]:
    """The compiled modules that the running interpreter would load; other Pythons have their own."""
    return sorted(path for path in package.rglob("*.*") if module_of(path))


def module_of(path: Path) -> str:
    """The bare name of an extension module, "_fast" for "_fast.cpython-311.so"; "" of anything else."""
    name, _, suffix = path.name.partition(".")
    return name if "." + suffix in EXTENSION_SUFFIXES else ""


def stale_extensions(package: Path) -> list[str]:
    """One line for each compiled module that Python would prefer, silently, to a newer source or to none.

    Only in the source tree: in an installed wheel the times of the files say nothing.
    """
    if not (package.parent / "setup.py").exists():
        return []
    return [reason for path in extension_modules(package) if (reason := why_stale(path))]


def why_stale(extension: Path) -> str:
    beside = [extension.with_name(module_of(extension) + suffix) for suffix in (".py", ".pxd", ".pyx")]
    sources = [path for path in beside if path.exists()]
    if not any(path.suffix != ".py" for path in sources):
        return f"{extension.name} is left over: {beside[0].name} is not compiled any more"
    newer = [path.name for path in sources if path.stat().st_mtime > extension.stat().st_mtime]
    return f"{extension.name} is older than {' and '.join(newer)}" if newer else ""


PURE = bool(os.environ.get("AIONETFLOW_PURE"))
# The run that counts lines comes second, where there is a compiled one: what that has proven, and is the same on both
# builds, need not be proven again.
SECOND = PURE and "AIONETFLOW_LINES" in os.environ and bool(extension_modules(package_folder()))
COMPILED = not PURE and bool(extension_modules(package_folder()))
# For what looks at nothing that differs between the builds: one of the two runs is enough. The compiled one has what
# takes long or starts processes; the pure one what is for the coverage of interpreted modules, or about the sources.
only_on_the_fastest_build = pytest.mark.skipif(
    PURE and bool(extension_modules(package_folder())), reason="the compiled run has it"
)
only_on_the_pure_build = pytest.mark.skipif(COMPILED, reason="the pure run has it")
