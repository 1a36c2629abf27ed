"""What the sources promise as a whole: floors, no I/O in the core, sizes, .pxd against .py."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.build import only_on_the_pure_build, package_folder, stale_extensions

PACKAGE = package_folder()
ROOT = PACKAGE.parent
GENERATED = ROOT / "build" / "cython"

# From the roof to the ground. A module imports its own floor and those below it. "" is the package itself:
# whoever says `from aionetflow import Network` imports it.
FLOORS = (
    ("__main__", "cli", "testing"),
    ("",),
    ("anyio", "api", "async_socket", "inspect", "trio"),
    ("loop",),
    ("dropin",),
    ("network",),
    ("tunnel",),
    ("stack",),
    ("socket",),
    ("tcp", "udp"),
    ("ip",),
    ("ethernet",),
    ("link",),
    ("packet", "alarms", "clock", "gso", "fast", "_fast", "_slow", "config", "errors", "rng", "stats", "widths",
     "fast_paths", "settings", "siphash", "sysctl"),
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
CORE = {name for names in FLOORS[FLOORS.index(("stack",)) :] for name in names}
# Time and chance are handed to the core, and what it has to say it counts or raises.
NOT_IN_THE_CORE = {"asyncio", "logging", "random", "socket", "time"}

MAX_FILE = 400
MAX_FUNCTION = 50
EXCUSE = "better whole"


def room(module: str) -> str:
    """The first name below the package: "tcp" for "aionetflow.tcp.options", "" for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources(*suffixes: str) -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*") if path.suffix in suffixes)


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def core_sources(*suffixes: str) -> list[Path]:
    return [path for path in sources(*suffixes) if room(module_name(path)) in CORE]


# ---- floors


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full name of each module that a file imports or cimports, wherever in it that happens."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                names = [alias.name for alias in node.names]
                yield from from_import(path, node.lineno, node.level, node.module, names)
        return
    # Cython is not Python to ast; its import statements are lines.
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if match := re.match(r"\s*from (\.*)([\w.]*) c?import \(?([\w, ]*)", line):
            names = [name.split()[0] for name in match[3].split(",") if name.strip()]
            yield from from_import(path, number, len(match[1]), match[2] or None, names)
        elif match := re.match(r"\s*c?import ([\w.]+)", line):
            yield number, match[1]


def from_import(
    path: Path, line: int, level: int, module: str | None, names: list[str]
) -> Iterator[tuple[int, str]]:
    """`from module import name` imports module.name where that is a module, and module where it is not."""
    if level:
        folder = module_name(path.with_name("__init__.py")).split(".")
        module = ".".join([*folder[: len(folder) - level + 1], *([module] if module else [])])
    assert module is not None
    for name in names:
        yield line, f"{module}.{name}" if is_module(f"{module}.{name}") else module


def is_module(name: str) -> bool:
    place = ROOT.joinpath(*name.split("."))
    return (place / "__init__.py").exists() or any(place.with_suffix(s).exists() for s in (".py", ".pyx"))


def ours(name: str) -> bool:
    return name.partition(".")[0] == PACKAGE.name


@pytest.mark.parametrize("path", sources(".py", ".pyx", ".pxd"), ids=label)
@only_on_the_pure_build
def test_no_module_imports_a_layer_above_it(path: Path) -> None:
    here = room(module_name(path))
    assert here in FLOOR_OF, f"{here!r} has no floor: give it one in FLOORS"
    upwards = [
        f"{label(path)}:{line} imports {name}"
        for line, name in imports(path)
        if ours(name) and FLOOR_OF.get(room(name), -1) < FLOOR_OF[here]
    ]
    assert upwards == []


@pytest.mark.parametrize("path", core_sources(".py", ".pyx", ".pxd"), ids=label)
@only_on_the_pure_build
def test_the_core_does_no_io_and_reads_no_clock(path: Path) -> None:
    forbidden = [
        f"{label(path)}:{line} imports {name}"
        for line, name in imports(path)
        if name.partition(".")[0] in NOT_IN_THE_CORE
    ]
    assert forbidden == []


# ---- sizes


# From its `def` to the next line that starts in the first column.
PYX_FUNCTION = re.compile(r"^(?:cpdef|cdef|def)\b[^\n]*?(\w+)\(.*?(?=^[^\s)]|\Z)", re.MULTILINE | re.DOTALL)


def functions(path: Path) -> Iterator[tuple[str, int, str]]:
    """Name, number of lines and docstring of each function; of a .pyx, its whole text for the docstring."""
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield node.name, node.end_lineno - node.lineno + 1, ast.get_docstring(node) or ""
        return
    for match in PYX_FUNCTION.finditer(text):
        yield match[1], match[0].rstrip().count("\n") + 1, match[0]


def file_docstring(path: Path) -> str:
    text = path.read_text()
    if path.suffix == ".py":
        return ast.get_docstring(ast.parse(text)) or ""
    match = re.match(r'(?:\s*#[^\n]*\n)*\s*"""(.*?)"""', text, re.DOTALL)
    return match[1] if match else ""


@pytest.mark.parametrize("path", core_sources(".py", ".pyx"), ids=label)
@only_on_the_pure_build
def test_files_and_functions_of_the_core_are_small(path: Path) -> None:
    lines = path.read_text().count("\n")
    long = [
        f"{label(path)}: {name} has {count} lines"
        for name, count, docstring in functions(path)
        if count > MAX_FUNCTION and EXCUSE not in docstring
    ]
    assert lines <= MAX_FILE or EXCUSE in file_docstring(path), f"{label(path)} has {lines} lines"
    assert long == []


# ---- .pxd against .py


def declared_classes(pxd: Path) -> dict[str, tuple[str, set[str]]]:
    """The classes that a .pxd declares: name -> (name of the base, attributes)."""
    classes: dict[str, tuple[str, set[str]]] = {}
    attributes: set[str] = set()
    inside = False
    for raw in pxd.read_text().splitlines():
        line = raw.partition("#")[0].rstrip()
        if not line:
            continue
        if match := re.match(r"cdef class (\w+)(?:\(\s*(?:\w+\.)*(\w+)\s*\))?", line):
            attributes = set()
            classes[match[1]] = (match[2] or "", attributes)
            inside = True
        elif not line[0].isspace():
            inside = False
        elif inside:
            attributes |= declared_names(line.strip())
    return classes


def declared_names(line: str) -> set[str]:
    """The names in `cdef public uint32_t nxt, wnd`; none in a method, a decorator or a docstring."""
    # Brackets hold dimensions or type arguments, never a name.
    line = re.sub(r"\[[^\[\]]*\]", "", re.sub(r"\[[^\[\]]*\]", "", line))
    if not re.fullmatch(r"[\w\s,.*]+", line) or " " not in line.replace("*", " "):
        return set()
    return {piece.replace("*", " ").split()[-1] for piece in line.split(",") if piece.strip()}


def every_declared_class() -> dict[str, tuple[str, set[str]]]:
    return {name: entry for pxd in sources(".pxd") for name, entry in declared_classes(pxd).items()}


def inherited(name: str, classes: dict[str, tuple[str, set[str]]]) -> set[str]:
    found: set[str] = set()
    while name in classes:
        name, attributes = classes[name]
        found |= attributes
    return found


def assigned(node: ast.ClassDef) -> Iterator[tuple[int, str]]:
    """Line and name of each attribute that the methods of a class set on their first argument."""
    for method in node.body:
        if not isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) or not method.args.args:
            continue
        this = method.args.args[0].arg
        for part in ast.walk(method):
            # The context covers every form of assignment: plain, augmented, unpacked, `with … as self.x`.
            if not isinstance(part, ast.Attribute) or not isinstance(part.ctx, ast.Store):
                continue
            if isinstance(part.value, ast.Name) and part.value.id == this:
                yield part.lineno, part.attr


def setters(node: ast.ClassDef) -> set[str]:
    return {
        method.name
        for method in node.body
        if isinstance(method, ast.FunctionDef)
        and any(isinstance(d, ast.Attribute) and d.attr == "setter" for d in method.decorator_list)
    }


def test_every_pxd_has_its_module() -> None:
    alone = [label(p) for p in sources(".pxd") if not any(p.with_suffix(s).exists() for s in (".py", ".pyx"))]
    assert alone == []


@pytest.mark.parametrize("pxd", [p for p in sources(".pxd") if p.with_suffix(".py").exists()], ids=label)
@only_on_the_pure_build
def test_the_pxd_declares_every_attribute(pxd: Path) -> None:
    source = pxd.with_suffix(".py")
    defined = {n.name: n for n in ast.parse(source.read_text()).body if isinstance(n, ast.ClassDef)}
    declared = declared_classes(pxd)
    assert set(declared) - set(defined) == set(), f"classes that {label(source)} does not define"
    everything = every_declared_class()
    missing = [
        f"{label(source)}:{line} sets {name}.{attribute}"
        for name in declared
        for line, attribute in assigned(defined[name])
        if attribute not in inherited(name, everything) | setters(defined[name])
    ]
    assert missing == []


# ---- what was compiled

# An int literal that does not fit a C int is a Python object, and makes one of every number it meets.
LARGEST = 0x7FFFFFFF
LITERAL = re.compile(r"\b__pyx_int_(?:neg_)?(0x[0-9a-fA-F]+|\d+)\b")
ARITHMETIC = re.compile(r"PyNumber_\w+\(|PyObject_(?:Rich)?Compare\w*\(")
SOURCE_LINE = re.compile(r'^\s*/\* "([^"]+)":(\d+)$')


def boxed_literals(generated: Path) -> set[tuple[str, int]]:
    """File and line of the sources where the C code does arithmetic on a literal as a Python object."""
    found: set[tuple[str, int]] = set()
    where = ("", 0)
    for line in generated.read_text(errors="replace").splitlines():
        if match := SOURCE_LINE.match(line):
            where = (match[1], int(match[2]))
        elif ARITHMETIC.search(line) and any(int(n, 0) > LARGEST for n in LITERAL.findall(line)):
            found.add(where)
    return found


def current_c() -> list[Path]:
    """The generated C of the modules as they are now; that of one since changed or gone says nothing."""
    return [
        c
        for c in sorted(GENERATED.rglob("*.c"))
        for source in (ROOT / c.relative_to(GENERATED).with_suffix(suffix) for suffix in (".py", ".pyx"))
        if source.exists() and source.stat().st_mtime <= c.stat().st_mtime
    ]


def test_no_literal_is_boxed_in_compiled_code() -> None:
    generated = current_c()
    if not generated:
        pytest.skip("nothing was compiled here")
    boxed = sorted({hit for c in generated for hit in boxed_literals(c)})
    assert [f"{name}:{line}" for name, line in boxed] == []


@pytest.mark.skipif("AIONETFLOW_PURE" in os.environ, reason="a pure run loads no compiled module")
def test_no_compiled_module_is_older_than_its_source() -> None:
    assert stale_extensions(PACKAGE) == []


# ---- leftovers

# Written so that this line is not one of them.
LEFTOVER = re.compile(r"\b(?:TOD[O]|FIXM[E]|XX[X])\b|#\s*type:\s*ignore(?!\[)|#\s*noqa(?!:)")
ALL_TEXT = [*sources(".py", ".pyx", ".pxd", ".pyi"), *sorted(Path(__file__).parent.rglob("*.py"))]


@pytest.mark.parametrize("path", ALL_TEXT, ids=lambda path: path.name)
@only_on_the_pure_build
def test_nothing_is_left_for_later_or_ignored_wholesale(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), 1)
    assert [f"{path.name}:{number}" for number, line in lines if LEFTOVER.search(line)] == []
