"""Mutants of a Python module, made from its syntax tree."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.mutants.mutant import Mutant, difference
from tests.mutants.swapping import swap

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
ATTRIBUTES = {
    "startswith": "endswith",
    "endswith": "startswith",
    "partition": "rpartition",
    "rpartition": "partition",
    "READ": "CREATE",
    "CREATE": "CONTROL",
    "CONTROL": "ADMIN",
    "ADMIN": "READ",
}
STRIPS = {"strip", "lstrip", "rstrip", "lower", "upper", "casefold"}
SYMMETRIC = {"min", "max", "compare_digest", "gather", "union", "isclose"}
"""Their arguments have no order."""
LOGGERS = {"logger", "logging"}
"""Calls of these are not removed: tests need not check every line of a log."""


def mutants_of(file: Path) -> Iterator[Mutant]:
    """All mutants of a module."""
    text = file.read_text()
    tree = ast.parse(text)
    before = ast.unparse(tree)
    seen = set()
    for number, (node, function) in enumerate(_nodes(tree)):
        for choice in range(len(list(changes(node, function)))):
            mutated = ast.parse(text)
            copied = list(_nodes(mutated))[number][0]
            list(changes(copied, function))[choice]()
            after = ast.unparse(ast.fix_missing_locations(mutated))
            if after in seen or after == before:
                continue
            seen.add(after)
            was, becomes = difference(before, after)
            put = partial(swap, file, text, mutated)
            yield Mutant(file, node.lineno, function, was, becomes, put)


def _nodes(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """All statements and expressions that run, with the names of their functions."""

    def visit(node: ast.AST, function: str) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "args", "bases") and not (
                isinstance(node, ast.Call)
            ):
                continue
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, ast.AST) or _is_text(child) or _is_strictness(child):
                    continue
                inner = function
                if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                    inner = f"{function}.{child.name}".lstrip(".")
                if isinstance(child, ast.expr | ast.stmt):
                    yield child, inner
                yield from visit(child, inner)

    yield from visit(tree, "")


def _is_text(node: ast.AST) -> bool:
    """Whether a statement is a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_strictness(node: ast.AST) -> bool:
    """Whether this is `strict=True`, which only guards against faults elsewhere."""
    return isinstance(node, ast.keyword) and node.arg == "strict"


def changes(node: ast.AST, function: str) -> Iterator[Callable[[], None]]:
    """All changes of one node; each is made in place, once.

    Outside functions, numbers are bounds that somebody chose, and a test would but repeat them.
    """
    match node:
        case ast.Compare(ops=[operator, *_]):
            for other in COMPARISONS[type(operator)]:
                yield partial(node.ops.__setitem__, 0, other())
        case ast.BoolOp(op=operator, values=values):
            yield partial(
                setattr, node, "op", ast.Or() if isinstance(operator, ast.And) else ast.And()
            )
            for index in range(len(values)):
                yield partial(_drop, values, index)
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            yield partial(setattr, node, "op", OPERATORS[type(operator)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield partial(_become, node, operand)
        case ast.Constant(value=bool(value)):
            yield partial(setattr, node, "value", not value)
        case ast.Constant(value=int(value) | float(value)) if function or value in (0, 1):
            yield partial(setattr, node, "value", value + 1)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
            if isinstance(getattr(node, "ctx", ast.Load()), ast.Load) and len(parts) > 1:
                for index in range(len(parts)):
                    yield partial(_drop, parts, index)
        case ast.Dict(keys=keys, values=values) if len(keys) > 1:
            for index in range(len(keys)):
                yield partial(_drop_both, keys, values, index)
        case ast.Call():
            yield from _changes_of_call(node)
        case ast.Name(id=name) if name in NAMES:
            yield partial(setattr, node, "id", NAMES[name])
        case ast.Attribute(attr=name) if name in ATTRIBUTES:
            yield partial(setattr, node, "attr", ATTRIBUTES[name])
        case ast.Slice(lower=lower, upper=upper):
            if lower is not None:
                yield partial(setattr, node, "lower", None)
            if upper is not None:
                yield partial(setattr, node, "upper", None)
        case ast.stmt():
            yield from _changes_of_statement(node)
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        yield lambda: setattr(node, "test", _negated(node.test))
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        for clause in node.generators:
            for index in range(len(clause.ifs)):
                yield partial(_drop, clause.ifs, index)


def _changes_of_call(node: ast.Call) -> Iterator[Callable[[], None]]:
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=[]) if name in STRIPS:
            yield partial(_become, node, value)
        case ast.Call(args=[first, second, *_]) if (
            not isinstance(first, ast.Starred)
            and not isinstance(second, ast.Starred)
            and ast.unparse(node.func).rpartition(".")[2] not in SYMMETRIC
        ):
            yield partial(node.args.__setitem__, slice(0, 2), [second, first])


def _changes_of_statement(node: ast.stmt) -> Iterator[Callable[[], None]]:
    match node:
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield partial(setattr, node, "value", ast.Constant(None))
        case ast.Expr(value=value) if not _logs(value):
            yield partial(_become, node, ast.Pass())
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield partial(_become, node, ast.Pass())
        case ast.Return(value=None) | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield partial(_become, node, ast.Pass())
        case ast.Break() | ast.Continue():
            yield partial(_become, node, ast.Pass())
        case ast.Match(cases=cases) if len(cases) > 1:
            for index in range(len(cases)):
                yield partial(_drop, cases, index)
        case ast.Try(handlers=handlers):
            for handler in handlers:
                yield partial(setattr, handler, "type", ast.Tuple([], ast.Load()))


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _logs(node: ast.expr) -> bool:
    return any(isinstance(n, ast.Name) and n.id in LOGGERS for n in ast.walk(node))


def _negated(test: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), copy.deepcopy(test)), test)


def _drop(parts: list[object], index: int) -> None:
    del parts[index]


def _drop_both(keys: list[object], values: list[object], index: int) -> None:
    del keys[index], values[index]


def _become(node: ast.AST, other: ast.AST) -> None:
    """Turn a node into another, where it is."""
    place = {name: getattr(node, name) for name in node._attributes if hasattr(node, name)}
    node.__class__ = other.__class__
    node.__dict__ = {**place, **{name: getattr(other, name) for name in other._fields}}
