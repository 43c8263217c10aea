"""Small constructors of Python syntax trees, each with a place in the Glyph source.

Generated code consists of names, constants, displays, calls of names, subscripts and control flow.
There is no constructor for attributes or imports, so it cannot contain any.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import TypedDict

from ..syntax.source import Position


class Place(TypedDict):
    """The location arguments of every Python node."""

    lineno: int
    col_offset: int
    end_lineno: int
    end_col_offset: int


def place(at: Position) -> Place:
    """Return the place of a node; Python counts columns from 0."""
    line, column, length = at
    return Place(
        lineno=line, col_offset=column - 1, end_lineno=line, end_col_offset=column - 1 + length
    )


def load(name: str, at: Position) -> ast.expr:
    """The value of a name."""
    return ast.Name(name, ast.Load(), **place(at))


def constant(value: object, at: Position) -> ast.expr:
    """A literal."""
    return ast.Constant(value, **place(at))  # type: ignore[arg-type]


def call(function: str, arguments: Iterable[ast.expr], at: Position) -> ast.expr:
    """`function(arguments)` of a function known by its name."""
    return ast.Call(load(function, at), list(arguments), [], **place(at))


def tuple_of(items: Iterable[ast.expr], at: Position) -> ast.expr:
    """`(a, b)`"""
    return ast.Tuple(list(items), ast.Load(), **place(at))


def item(value: ast.expr, index: int, at: Position) -> ast.expr:
    """`value[index]` of what the generated code has built itself."""
    return ast.Subscript(value, constant(index, at), ast.Load(), **place(at))


def bind(name: str, value: ast.expr, at: Position) -> ast.expr:
    """`(name := value)`"""
    return ast.NamedExpr(ast.Name(name, ast.Store(), **place(at)), value, **place(at))


def all_of(conditions: Sequence[ast.expr], at: Position) -> ast.expr:
    """`a and b`"""
    if len(conditions) == 1:
        return conditions[0]
    return ast.BoolOp(ast.And(), list(conditions), **place(at))


def any_of(conditions: Sequence[ast.expr], at: Position) -> ast.expr:
    """`a or b`"""
    if len(conditions) == 1:
        return conditions[0]
    return ast.BoolOp(ast.Or(), list(conditions), **place(at))


def choose(test: ast.expr, then: ast.expr, otherwise: ast.expr, at: Position) -> ast.expr:
    """`then if test else otherwise`"""
    return ast.IfExp(test, then, otherwise, **place(at))


def compare(left: ast.expr, operator: ast.cmpop, right: ast.expr, at: Position) -> ast.expr:
    """`left operator right`"""
    return ast.Compare(left, [operator], [right], **place(at))


def negation(value: ast.expr, at: Position) -> ast.expr:
    """`not value`"""
    return ast.UnaryOp(ast.Not(), value, **place(at))


def store(name: str, value: ast.expr, at: Position) -> ast.stmt:
    """`name = value`"""
    return ast.Assign([ast.Name(name, ast.Store(), **place(at))], value, **place(at))


def evaluate(value: ast.expr, at: Position) -> ast.stmt:
    """An expression as a statement."""
    return ast.Expr(value, **place(at))


def give_back(value: ast.expr | None, at: Position) -> ast.stmt:
    """`return value`"""
    return ast.Return(value, **place(at))


def when(test: ast.expr, body: list[ast.stmt], otherwise: list[ast.stmt], at: Position) -> ast.stmt:
    """`if test: … else: …`"""
    return ast.If(test, body or [ast.Pass(**place(at))], otherwise, **place(at))


def take_step(at: Position) -> ast.stmt:
    """`for _ in steps: break`: one step of the run's budget, or its failure."""
    target = ast.Name("_", ast.Store(), **place(at))
    body: list[ast.stmt] = [ast.Break(**place(at))]
    return ast.For(target, load("steps", at), body, [], **place(at))


def charge(size: int, at: Position) -> list[ast.stmt]:
    """`charge(size)`, unless it is nothing."""
    return [evaluate(call("charge", [constant(size, at)], at), at)] if size else []


def function(
    name: str, parameters: Sequence[tuple[str, bool]], body: list[ast.stmt], at: Position
) -> ast.FunctionDef:
    """`def name(parameters): body`; a parameter with True may be left out and is then ABSENT."""
    arguments = ast.arguments(
        posonlyargs=[],
        args=[ast.arg(parameter, **place(at)) for parameter, _ in parameters],
        kwonlyargs=[],
        kw_defaults=[],
        defaults=[load("ABSENT", at) for _, optional in parameters if optional],
    )
    statements = body or [ast.Pass(**place(at))]
    return ast.FunctionDef(name, arguments, statements, [], **place(at))
