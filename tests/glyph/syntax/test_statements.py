"""Parsing of statements and blocks."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax import nodes as n
from tests.glyph.harness import headlines
from tests.glyph.trees import show, show_type, statements_of


def kinds(text: str) -> list[str]:
    return [type(statement).__name__ for statement in statements_of(text)]


def test_statements_need_no_line_of_their_own() -> None:
    assert kinds("$ a = 1 $ b = 2 a = 3 f() $ c = 4") == ["Let", "Let", "Assign", "Evaluate", "Let"]


@pytest.mark.parametrize(
    ("text", "name", "type_", "value"),
    [
        ("$ x = 1", "x", "none", "1"),
        ("let x = 1", "x", "none", "1"),
        ("$ x: int = 1", "x", "int", "1"),
        ("$ x: str", "x", "str", None),
        ("let x: User[] = []", "x", "User[]", "[]"),
    ],
)
def test_declarations(text: str, name: str, type_: str, value: str | None) -> None:
    (let,) = statements_of(text)
    assert isinstance(let, n.Let)
    assert (let.name, show_type(let.declared)) == (name, type_)
    assert (show(let.value) if let.value else None) == value


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("x = 1", "x"),
        ("x.a.b = 1", "x.a.b"),
        ("$ x.a.b = 1", "x.a.b"),
        ("x[0] = 1", "x[0]"),
        ("$ x[0] = 1", "x[0]"),
        ('$ x["k"].f[0].g = 1', "x['k'].f[0].g"),
        ("let x.a = 1", "x.a"),
    ],
)
def test_assignments(text: str, target: str) -> None:
    (assign,) = statements_of(text)
    assert isinstance(assign, n.Assign)
    assert show(assign.target) == target


def test_words_that_begin_statements_may_be_variables() -> None:
    assert kinds("if = 1\nreturn = 2\nlet = 3") == ["Assign", "Assign", "Assign"]


def test_return_with_and_without_a_value_and_with_a_status() -> None:
    found = statements_of("> 1 :: 201\n> a\nreturn [1]\nif true { return }\n> b : : 404")
    returns = [r for r in found if isinstance(r, n.Return)]
    assert [(show(r.value) if r.value else None, r.status) for r in returns] == [
        ("1", 201),
        ("a", None),
        ("[1]", None),
        ("b", 404),
    ]


def test_guards_and_validations() -> None:
    guard, silent, validation = statements_of('? a > 1 :: 404 "no"\n? b::400\n? m.check(a)')
    assert isinstance(guard, n.Guard) and isinstance(silent, n.Guard)
    assert (show(guard.condition), guard.status, guard.text) == ("(a > 1)", 404, "no")
    assert (silent.status, silent.text) == (400, "")
    assert isinstance(validation, n.Validation) and validation.name == "m.check"


def test_else_may_stand_on_the_next_line_and_braces_too() -> None:
    (found,) = statements_of("if a\n{\n}\nelse if b { }\n\nelse\n{\n}")
    assert isinstance(found, n.If)
    assert [show(condition) for condition, _ in found.branches] == ["a", "b"]
    assert found.otherwise is not None


def test_loops() -> None:
    loop, single, pair = statements_of(
        "while a < 1 { break continue }\nfor v in [1] { }\nfor k, v in o { }"
    )
    assert isinstance(loop, n.While) and isinstance(single, n.For) and isinstance(pair, n.For)
    assert single.key is None and single.value.name == "v"
    assert pair.key is not None and (pair.key.name, pair.value.name) == ("k", "v")


def test_switch() -> None:
    (found,) = statements_of('switch a {\n case "x" { }\n case 1 + 1 { }\n default { }\n}')
    assert isinstance(found, n.Switch)
    assert [show(value) for value, _ in found.cases] == ["'x'", "(1 + 1)"]
    assert found.default is not None


def test_expressions_with_effects_are_statements() -> None:
    assert (
        kinds("f()\na.b.c()\na |> f\na.b\nawait f\nasync { }\nmatch a { _ => f() }")
        == ["Evaluate"] * 7
    )


def test_assert_with_and_without_text() -> None:
    one, two = statements_of('assert(a)\nassert(a > 1, "text")')
    assert isinstance(one, n.Assert) and isinstance(two, n.Assert)
    assert one.message is None and two.message is not None


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("$ a 1", "app.glyph:2:5: expected `=`, found `1`"),
        ("$ 1 = 1", "app.glyph:2:3: expected a variable name, found `1`"),
        ("$ a.b", "app.glyph:2:6: expected `=`, found the end of the line"),
        ("if true\n> 1", "app.glyph:2:8: expected `{`, found `>`"),
        ("for a of [1] { }", "app.glyph:2:7: expected `in`, found `of`"),
        ("switch 1 { 5 { } }", "app.glyph:2:12: expected `case`, `default` or `}`, found `5`"),
        ("? 1 + 1", "app.glyph:2:8: expected `::` and a status, found the end of the line"),
        ("> 1 :: x", "app.glyph:2:8: expected a status code, found `x`"),
        ("a: int = 1", "app.glyph:2:2: expected `=`, found `:`"),
        (" * 5", "app.glyph:1:12: expected a statement, found `*`"),
        ("else { }", "app.glyph:2:1: `else` cannot stand here"),
        ("> 1 § 2", "app.glyph:2:5: unexpected character `§`"),
    ],
)
def test_what_was_expected_is_said(text: str, headline: str) -> None:
    assert headline in headlines("@ GET /:a {\n" + text + "\n}\n")


def test_nothing_is_skipped_silently() -> None:
    assert headlines('@ GET /:s {\n  $ a = split(s, ",") [0] ]\n}\n') == [
        "app.glyph:2:27: expected a statement, found `]`"
    ]


@pytest.mark.parametrize(
    "opening", ["if true {\n", "while true {", "{", "for a in [1] {", "switch 1 { case 1 {"]
)
def test_blocks_nested_without_end_are_an_error_and_no_crash(opening: str) -> None:
    assert headlines("@ GET / {\n" + opening * 5_000)


def test_endless_else_if_is_an_error_and_no_crash() -> None:
    text = "if true { }" + " else if true { }" * 5000
    assert "this chain is too long" in headlines("@ GET / {\n" + text + "\n}\n")[0]
