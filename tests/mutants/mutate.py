"""The ways in which a line of code can be wrong: one small change of the syntax tree at a time.

    for mutant in mutants(path):
        mutant.before, mutant.after     # "if seq_gt(a, b):" and "if seq_geq(a, b):"
        mutant.install()                # the function of the module that is imported now runs the change

Only what stands inside functions is changed: the code of a function object can be replaced whoever holds it.
"""

from __future__ import annotations

import ast
import copy
import importlib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.Mod: ast.FloorDiv,
}  # fmt: skip
CALLS = {
    "seq_gt": "seq_geq", "seq_geq": "seq_gt", "seq_lt": "seq_leq", "seq_leq": "seq_lt", "min": "max", "max": "min",
}  # fmt: skip


class Mutant(NamedTuple):
    """One change."""

    file: str  # below the package
    function: str  # "Recovery.on_ack"
    line: int
    before: str  # the first line of the statement, as it is ...
    after: str  # ... and as it would be
    code: types.CodeType

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.function}: {self.before}  ->  {self.after}"

    def install(self) -> None:
        """Makes the function run this."""
        module = "aionetflow." + self.file.removesuffix(".py").replace("/", ".")
        found: object = importlib.import_module(module)
        for name in self.function.split("."):
            found = vars(found)[name]
        if isinstance(found, property):
            found = found.fget if found.fget is not None else found
        found = getattr(found, "__func__", found)
        assert isinstance(found, types.FunctionType), self
        found.__code__ = self.code


def mutants(package: Path, file: str) -> Iterator[Mutant]:
    """All changes of a file, from its top to its end."""
    source = (package / file).read_text()
    tree = ast.parse(source)
    for name, function in _functions(tree):
        for statement in _statements(function):
            for after, line in _changes(statement):
                changed = _replaced(function, statement, after)
                code = _code_of(compile(changed, str(package / file), "exec"))
                yield Mutant(file, name, line, _first_line(statement), _first_line(after), code)


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            # a setter has the name of its getter
            methods = {member.name: member for member in node.body if isinstance(member, ast.FunctionDef)}
            yield from ((f"{node.name}.{name}", method) for name, method in methods.items())


def _statements(function: ast.FunctionDef) -> Iterator[ast.stmt]:
    """The statements inside a function, but for docstrings."""
    for node in ast.walk(function):
        if isinstance(node, ast.stmt) and node is not function and not _is_text(node):
            yield node


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _changes(statement: ast.stmt) -> Iterator[tuple[ast.stmt, int]]:
    """What a statement may become, what is nested in it left alone; and the line that changes."""
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.Expr | ast.Raise):
        yield ast.copy_location(ast.Pass(), statement), statement.lineno
    if isinstance(statement, ast.If | ast.While):
        yield _with(statement, statement.test, ast.UnaryOp(ast.Not(), statement.test)), statement.lineno
    for node in _expressions(statement):
        for after in _wrong(node):
            yield _with(statement, node, after), node.lineno


def _expressions(statement: ast.stmt) -> Iterator[ast.expr]:
    """The expressions of a statement itself, without annotations."""
    skipped = {id(child) for child in ast.walk(statement) if isinstance(child, ast.stmt) and child is not statement}
    if isinstance(statement, ast.AnnAssign):
        skipped.add(id(statement.annotation))
    todo: list[ast.AST] = [statement]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.expr):
            yield node
        todo += [child for child in ast.iter_child_nodes(node) if id(child) not in skipped]


def _wrong(node: ast.expr) -> Iterator[ast.expr]:
    """What an expression may become."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield ast.Compare(node.left, [COMPARISONS[type(node.ops[0])]()], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield node.operand
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        yield ast.Call(ast.Name(CALLS[node.func.id], ast.Load()), node.args, node.keywords)
    elif isinstance(node, ast.IfExp):
        yield ast.IfExp(node.test, node.orelse, node.body)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield ast.Constant(node.value + 1)


def _with(statement: ast.stmt, old: ast.expr, new: ast.expr) -> ast.stmt:
    """A copy of the statement with one expression replaced."""
    return copy.deepcopy(statement, {id(old): ast.copy_location(new, old)})


def _replaced(function: ast.FunctionDef, old: ast.stmt, new: ast.stmt) -> ast.Module:
    """A module in which there is nothing but the function, with one statement replaced."""
    changed = copy.deepcopy(function, {id(old): new})
    changed.decorator_list = []
    return ast.fix_missing_locations(ast.Module([changed], []))


def _first_line(statement: ast.stmt) -> str:
    return ast.unparse(statement).partition("\n")[0]


def _code_of(module: types.CodeType) -> types.CodeType:
    """The code of the only function in a module."""
    return next(code for code in module.co_consts if isinstance(code, types.CodeType))
