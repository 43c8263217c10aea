"""Constructors of Python syntax trees."""

from __future__ import annotations

import ast

from glyph_fast.glyph.compiler import emit
from glyph_fast.glyph.syntax.source import Position

AT = Position(7, 3, 2)


def text(node: ast.expr | ast.stmt) -> str:
    return ast.unparse(node)


def test_expressions() -> None:
    a, b = emit.load("a", AT), emit.load("b", AT)
    assert text(emit.call("f", [a, emit.constant("x", AT)], AT)) == "f(a, 'x')"
    assert text(emit.item(emit.tuple_of([a, b], AT), 0, AT)) == "(a, b)[0]"
    assert text(emit.bind("n", a, AT)) == "(n := a)"
    assert text(emit.all_of([a, b], AT)) == "a and b"
    assert text(emit.any_of([a], AT)) == "a"
    assert text(emit.choose(a, b, a, AT)) == "b if a else a"
    assert text(emit.negation(emit.compare(a, ast.Is(), b, AT), AT)) == "not a is b"


def test_statements() -> None:
    a = emit.load("a", AT)
    assert text(emit.store("x", a, AT)) == "x = a"
    assert text(emit.give_back(None, AT)) == "return"
    assert text(emit.when(a, [], [], AT)) == "if a:\n    pass"
    assert text(emit.take_step(AT)) == "for _ in steps:\n    break"
    function = emit.function("f", [("a", False), ("b", True)], [], AT)
    assert text(function) == "def f(a, b=ABSENT):\n    pass"


def test_nodes_carry_the_place_in_the_source() -> None:
    node = emit.load("a", AT)
    assert (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset) == (7, 2, 7, 4)
