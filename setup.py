"""Which modules are compiled, and how; everything else about the project is in pyproject.toml."""

import os
import sys
import tempfile
from pathlib import Path

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

PACKAGE = Path("aionetflow")

# A .py is compiled if it has a .pxd beside it. A list here would only repeat that, and a .pxd that is not
# compiled is worse than none: its neighbours cimport from it and would fail when they are imported.
TYPED = [pxd.with_suffix(".py") for pxd in PACKAGE.rglob("*.pxd")]
COMPILED = sorted([*PACKAGE.rglob("*.pyx"), *(path for path in TYPED if path.exists())])

# Without debug information: whoever steps through this code steps through the .py, on the pure build.
FLAGS = ["/O2"] if sys.platform == "win32" else ["-O3", "-g0"]
CORES = os.cpu_count() or 1

NO_COMPILER = "aionetflow: no working C compiler (or no Python.h): building pure Python, complete but slower"

PROBE = """
#define PY_SSIZE_T_CLEAN
#include <Python.h>
PyMODINIT_FUNC PyInit_probe(void) { return NULL; }
"""


def dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def compiler_works() -> bool:
    """Whether an extension module can be built here at all: a compiler, a linker and Python's headers."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROBE)
        extension = Extension("probe", [str(source)])
        command = build_ext(Distribution({"name": "probe", "ext_modules": [extension]}))
        command.build_lib = command.build_temp = folder
        try:
            command.ensure_finalized()
            command.run()
        except (BaseError, CCompilerError, OSError):
            return False
    return True


def extensions() -> list[Extension]:
    """All modules of COMPILED, or none of them: a half-built tree does not import.

    Leaving compilation out is decided here, before it starts. Once it has started, an error in our own code
    is an error.
    """
    if os.environ.get("AIONETFLOW_BUILD") == "pure" or not COMPILED:
        return []
    if not compiler_works():
        print(NO_COMPILER, file=sys.stderr)
        return []
    from Cython.Build import cythonize

    modules: list[Extension] = cythonize(
        [Extension(dotted(path), [str(path)], extra_compile_args=FLAGS) for path in COMPILED],
        # A None where an object is expected is an AttributeError, not a crash of the interpreter.
        # Widths come from the .pxd alone: an annotation is for readers and mypy (list[bytes] would not match list).
        compiler_directives={"language_level": 3, "nonecheck": True, "annotation_typing": False},
        annotate=False,
        build_dir="build/cython",
        nthreads=CORES,
        quiet=True,
    )
    return modules


# Cython's workers import this file anew where processes are not forked: they must not build too.
if __name__ == "__main__":
    modules = extensions()
    options = {"build_ext": {"parallel": CORES}}
    if not modules and os.environ.get("AIONETFLOW_BUILD") != "pure":
        # pip hides what a build prints, but names the version it installed: "aionetflow-0.1.0+pure".
        options["egg_info"] = {"tag_build": "+pure"}
    setup(ext_modules=modules, options=options)
