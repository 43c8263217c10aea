"""Parsing of expressions, patterns and types."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax.declarations import TypeDefinition
from tests.glyph.harness import headlines
from tests.glyph.trees import expression_of, items_of, show_type


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("1 + 2 * 3 - 4", "((1 + (2 * 3)) - 4)"),
        ("1 < 2 == true", "((1 < 2) == True)"),
        ("a || b && c || d", "(a || (b && c) || d)"),
        ("!a == b", "((!a) == b)"),
        ("- a.b + !!c", "((-a.b) + (!(!c)))"),
        ("-5 - -2.5", "(-5 - -2.5)"),
        ("(1 + 2) * 3", "((1 + 2) * 3)"),
        ("a % b / c", "((a % b) / c)"),
        ("await f |> g", "await(g(f))"),
        ("a |> f |> g(1)", "g(f(a), 1)"),
        ("a |> b.f(1)", "b.f(a, 1)"),
        ("a + b |> f", "f((a + b))"),
    ],
)
def test_operators_bind_as_the_levels_say(text: str, tree: str) -> None:
    assert expression_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a.b.c[0].d(1)(2)", "a.b.c[0].d(1)(2)"),
        ("f(1)[0].x", "f(1)[0].x"),
        ('"a".upper()', "'a'.upper()"),
        ("[1, 2,][0]", "[1, 2][0]"),
        ("{a: 1}.a", "{a: 1}.a"),
        ("(a).b", "a.b"),
        ("o.default.from.in", "o.default.from.in"),
        ("f()", "f()"),
    ],
)
def test_any_postfix_chain_may_stand_behind_any_primary(text: str, tree: str) -> None:
    assert expression_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("{a: 1, b: 2,}", "{a: 1, b: 2}"),
        ('{"a b": 1, for: 2, null: 3}', "{a b: 1, for: 2, null: 3}"),
        ("{:a = 1, :b = 2}", "{a: 1, b: 2}"),
        ("{\n  a:\n    1,\n  b: 2\n}", "{a: 1, b: 2}"),
        ("{}", "{}"),
        ("[\n1,\n2\n]", "[1, 2]"),
        ("f(\n1,\n2\n)", "f(1, 2)"),
        ("1 +\n2", "(1 + 2)"),
        ("(1\n+ 2)", "(1 + 2)"),
        ("a &&\nb", "(a && b)"),
    ],
)
def test_lines_may_break_where_nothing_could_end(text: str, tree: str) -> None:
    assert expression_of(text) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("match x { 1 => a, -2 => b _ => c }", "match x {1 => a; -2 => b; _ => c}"),
        ('match x {\n  "a" => 1\n  true => 2\n}', "match x {'a' => 1; True => 2}"),
        ("match x { n when n > 1 => n }", "match x {n when (n > 1) => n}"),
        ("match x { n when (n) => n }", "match x {n when n => n}"),
        ("match x { n when ((n)) => (n) }", "match x {n when n => n}"),
        ("match x { {a, b: [p, ...r]} => p }", "match x {{a: a, b: [p, ...r]} => p}"),
        ('match x { {"k": _} => 1, [] => 2 }', "match x {{k: _} => 1; [] => 2}"),
        ("match x {\n 1 =>\n  a\n}", "match x {1 => a}"),
        ("match x { }", "match x {}"),
    ],
)
def test_match(text: str, tree: str) -> None:
    assert expression_of(text) == tree


@pytest.mark.parametrize(
    ("text", "type_"),
    [
        ("int", "int"),
        ("str?", "str?"),
        ("str[]", "str[]"),
        ("[int]", "int[]"),
        ("[int]?", "int[]?"),
        ("List[str]", "List<str>"),
        ("List<List<int>>", "List<List<int>>"),
        ("Map[str, int]", "Map<str, int>"),
        ("m.User", "m.User"),
        ("int | str | null_", "int | str | null_"),
        ("(int, str) -> bool", "function"),
        ("Page<User>[]", "Page<User>[]"),
    ],
)
def test_types(text: str, type_: str) -> None:
    (item,) = items_of(f": T {{\n  a: {text}! = x\n}}\n")
    assert isinstance(item, TypeDefinition)
    (field,) = item.fields
    assert show_type(field.type) == type_
    assert field.required and field.default is not None


def test_symbols_glued_to_an_equals_sign_are_told_apart() -> None:
    (item,) = items_of(": T {\n  a: List<int>= []\n  b: int!=1\n}\n")
    assert isinstance(item, TypeDefinition)
    assert [(f.required, f.default is not None) for f in item.fields] == [
        (False, True),
        (True, True),
    ]


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("1 +", "app.glyph:2:12: expected a value, found `}`"),
        ("f(1 2)", "app.glyph:2:13: expected `,` or `)`, found `2`"),
        ("a.", "app.glyph:2:11: expected a field name, found the end of the line"),
        ("a[1", "app.glyph:2:12: expected `]`, found `}`"),
        ("{a 1}", "app.glyph:2:12: expected `:` after the key, found `1`"),
        ("match 1 { 1 2 }", "app.glyph:2:21: expected `=>` after the pattern, found `2`"),
        ("match 1 { + => 2 }", "app.glyph:2:19: expected a pattern, found `+`"),
        ("match 1 { [...r, a] => 1 }", "app.glyph:2:24: expected `]` after the rest, found `,`"),
        ("in", "app.glyph:2:9: `in` is a reserved word"),
    ],
)
def test_what_was_expected_is_said(text: str, headline: str) -> None:
    assert headline in headlines(f"@ GET /:a {{\n  $ x = {text}\n}}\n")


@pytest.mark.parametrize("brackets", ["()", "[]", "{}"])
def test_deep_nesting_is_an_error_and_no_crash(brackets: str) -> None:
    opening = "{a: " if brackets == "{}" else brackets[0]
    found = headlines("@ GET / {\n  > " + opening * 10_000 + "1" + brackets[1] * 10_000 + "\n}\n")
    assert "this is nested too deeply" in found[0]


@pytest.mark.parametrize("text", ["!" * 10_000 + "true", "- " * 10_000 + "1", "await " * 10_000])
def test_endless_prefixes_are_an_error_and_no_crash(text: str) -> None:
    assert "this is nested too deeply" in headlines("@ GET / {\n  > " + text + "\n}\n")[0]


@pytest.mark.parametrize("text", ["1" + " + 1" * 10_000, "x" + ".y" * 10_000, "x" + " |> f" * 9999])
def test_endless_chains_are_an_error_and_no_crash(text: str) -> None:
    assert "this chain is too long" in headlines("@ GET /:x {\n  > " + text + "\n}\n")[0]


def test_types_nested_or_suffixed_without_end_are_errors() -> None:
    for text in ("[" * 10_000, "int" + "[]" * 10_000, "List<" * 10_000, "(" * 10_000):
        assert "this is nested too deeply" in headlines(f": T {{\n  a: {text}\n}}\n")[0]
