"""The syntax tree."""

from __future__ import annotations

from glyph_fast.glyph.syntax import nodes as n
from tests.glyph.trees import statements_of


def test_nodes_stand_where_an_error_about_them_belongs() -> None:
    let, assign, call = statements_of("$ abc = 1 + 2\n  abc.d = 3\n  x.f(1)")
    assert isinstance(let, n.Let) and isinstance(let.value, n.Binary)
    assert let.at == (2, 3, 3)
    assert let.value.at == (2, 11, 1)
    assert isinstance(assign, n.Assign) and assign.target.at == (3, 7, 1)
    assert isinstance(call, n.Evaluate) and call.value.at == (4, 5, 1)
