"""Going through a syntax tree."""

from __future__ import annotations

from glyph_fast.glyph.syntax import nodes as n
from glyph_fast.glyph.syntax.source import Position
from glyph_fast.glyph.syntax.walk import walk
from tests.glyph.trees import items_of, statements_of


def test_walk_finds_every_node() -> None:
    statements = statements_of(
        "if a && !b { $ x = {k: [1, f(2)[0].g]} } else { > match c { {m: [n]} when n => 3 } }\n"
        "for i, v in d { while e { await async { g() } } }\n? h :: 400\nx[0] = 4"
    )
    names = {node.name for node in walk(statements) if isinstance(node, n.Name)}
    assert names == set("abcdefghnx")
    literals = [node.value for node in walk(statements) if isinstance(node, n.LiteralValue)]
    assert sorted(str(value) for value in literals) == ["0", "0", "1", "2", "3", "4"]


def test_walk_enters_parameters_and_defaults() -> None:
    items = items_of(": T { a: int = f(1) }\n! g(b: int = 2) { > 3 }\n")
    values = [node.value for node in walk(items) if isinstance(node, n.LiteralValue)]
    assert sorted(values) == [1, 2, 3]


def test_walk_of_a_deep_tree_needs_no_stack() -> None:
    at = Position(1, 1)
    tree: n.Expression = n.LiteralValue(1, at=at)
    for _ in range(50_000):
        tree = n.Unary("-", tree, at=at)
    assert sum(1 for _ in walk(tree)) == 50_001
