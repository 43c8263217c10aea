"""What is known of values before the program runs."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.checks.checks import check_program
from glyph_fast.glyph.compiler.kinds import Kinds
from glyph_fast.glyph.syntax.declarations import HttpRoute
from glyph_fast.glyph.syntax.nodes import Let
from glyph_fast.glyph.syntax.source import Source
from glyph_fast.glyph.syntax.walk import walk


def kinds_of(statements: str) -> dict[str, str | None]:
    """The kind of each declared variable of a route."""
    text = "@ GET /x/:id {\n" + statements + "\n}\n"
    (module,) = check_program(Source("a", text))
    assert not module.report.has_errors, module.report.diagnostics
    (route,) = module.tree.items
    assert isinstance(route, HttpRoute)
    known = {binding.variable: "string" for binding in route.path_variables if binding.variable}
    kinds = Kinds([route.body], known)  # type: ignore[arg-type]
    return {
        node.name: kinds._of[node.variable]
        for node in walk(route.body)
        if isinstance(node, Let) and node.variable and node.is_declaration
    }


@pytest.mark.parametrize(
    ("statements", "kind"),
    [
        ("$ x = 1", "int"),
        ("$ x = 1 + 2 * 3", "int"),
        ("$ x = 1 + 2.5", "float"),
        ('$ x = "a" + "b"', "string"),
        ('$ x = "a" + id', "string"),
        ("$ x = 1 < 2", "bool"),
        ("$ x = !true && false", "bool"),
        ("$ x = -(1)", "int"),
        ("$ x = [1]", "array"),
        ("$ x = {a: 1}", "object"),
        ("$ x: int", "null"),
        ("$ x = length(id)", "int"),
        ("$ x = id.upper()", "string"),
        ("$ x = input", None),
        ("$ x = input.a + 1", None),
        ('$ x = 1 + "a"', None),
        ("$ x = 1\nx = 2", "int"),
        ('$ x = 1\nx = "a"', None),
        ("$ x = 1\nx = input", None),
        ("$ x = 0\nwhile x < 3 { x = x + 1 }", "int"),
        ("$ x = 0\nwhile x < 3 { x = x + 0.5 }", None),
        ('$ x = 1\n$ f = async { x = "a" }', None),
        ("$ x = match 1 { _ => 1 }", None),
    ],
)
def test_kind_of_a_variable(statements: str, kind: str | None) -> None:
    assert kinds_of(statements)["x"] == kind


def test_names_that_get_values_from_elsewhere_are_of_no_kind() -> None:
    found = kinds_of(
        "for v in [1] {\n v = v + 1\n $ a = v\n}\nid = 5\n$ b = id\ninput = 1\n$ c = input"
    )
    assert found == {"a": None, "b": None, "c": None}


def test_variables_that_depend_on_each_other() -> None:
    assert kinds_of("$ a = 0\n$ b = a\nwhile b < 3 {\n a = b + 1\n b = a\n}") == {
        "a": "int",
        "b": "int",
    }
