"""Parsing of the top level."""

from __future__ import annotations

import pytest

from glyph_fast.glyph.syntax.declarations import (
    Constant,
    Declared,
    Function,
    HttpRoute,
    Import,
    TypeDefinition,
)
from tests.glyph.harness import headlines, problems
from tests.glyph.trees import items_of, show_type


def test_empty_programs() -> None:
    assert items_of("") == items_of("\n\n# only a comment\n// another\n") == []


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    from glyph_fast.glyph.syntax.source import Source

    source = Source.from_bytes("a", b"\xef\xbb\xbf@ GET / {\r\n  > 1\r\n}\r\n")
    assert items_of(source.text)


def test_types() -> None:
    (item,) = items_of(
        "type Page<T, U> impl Shown, Sized\n{\n  a: int!\n  b: str?, c: T[] @max(3) @x\n"
        '  from: str = "x"\n  shout(a: int) -> str {\n    > a\n  }\n}\n'
    )
    assert isinstance(item, TypeDefinition)
    assert (item.name, item.type_parameters) == ("Page", ["T", "U"])
    assert [(f.name, show_type(f.type), f.required) for f in item.fields] == [
        ("a", "int", True),
        ("b", "str?", False),
        ("c", "T[]", False),
        ("from", "str", False),
    ]
    assert len(item.methods) == 1


def test_functions() -> None:
    one, two, three = items_of(
        '! f(a: int!, b: str = "x"): int { > a }\n! g<T>(x: T) -> T { > x }\n! h() { }\n'
    )
    assert isinstance(one, Function) and isinstance(two, Function) and isinstance(three, Function)
    assert [(p.name, p.required, p.default is not None) for p in one.parameters] == [
        ("a", True, False),
        ("b", False, True),
    ]
    assert (show_type(one.returns), show_type(two.returns)) == ("int", "T")
    assert three.returns is None


def test_constants_and_imports() -> None:
    one, two, three, four, five = items_of(
        'const A = 1\nconst B: str = "x"\nimport "./lib/utils.glyph"\nimport "./m" as n\n'
        'from "./m" import {\n  a, b as c,\n}\nmodule "x"\n'
    )
    assert isinstance(one, Constant) and isinstance(two, Constant)
    assert show_type(two.type) == "str"
    assert isinstance(three, Import) and isinstance(four, Import) and isinstance(five, Import)
    assert (three.namespace, four.namespace) == ("utils", "n")
    assert [(name, alias) for name, alias, _ in five.names] == [("a", "a"), ("b", "c")]


@pytest.mark.parametrize(
    ("text", "what", "name"),
    [
        ("! hello name: str! --loud: bool = false {\n  > {a: 1}\n}", "a command", "hello"),
        ('! version "Show it" { }', "a command", "version"),
        ('* "0 0 * * *" nightly { }', "a cron task", "0 0 * * *"),
        ('~ "user.created" async { }', "an event handler", "user.created"),
        ('& "email.send" {\n  + retries(3)\n}', "a queue worker", "email.send"),
        ('test "adds" { assert(1 == 1) }', "a test", "adds"),
        ("contract Store {\n  get(id: int) -> str\n}", "a contract", "Store"),
        ("trait Shown {\n  show() -> str\n}", "a trait", "Shown"),
        ("provider Mail {\n  send(to: str!) -> bool\n}", "a provider contract", "Mail"),
    ],
)
def test_items_that_are_not_run_are_parsed_over(text: str, what: str, name: str) -> None:
    item, route = items_of(text + "\n@ GET / { > 1 }\n")
    assert isinstance(item, Declared) and isinstance(route, HttpRoute)
    assert (item.what, item.name) == (what, name)


def test_what_is_not_run_is_not_checked_either() -> None:
    found = problems("! greet {\n  msg = unknown + 1\n}\n")
    assert [each.severity for each in found] == ["warning"]


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("hello", "app.glyph:1:1: expected a route, a type, a function or another declaration"),
        ("}", "app.glyph:1:1: expected a route, a type, a function or another declaration"),
        (": 5 { }", "app.glyph:1:3: expected a name for the type, found `5`"),
        (": T { a int }", "app.glyph:1:9: expected `:` and a type, found `int`"),
        ("! f(a: int", "app.glyph:1:11: expected `,` or `)`, found the end of the file"),
        ("const A", "app.glyph:1:8: expected `=`, found the end of the file"),
        ("import utils", "app.glyph:1:8: expected the module's path, as a string, found `utils`"),
        ('from "./a" { }', "app.glyph:1:12: expected `import`, found `{`"),
        ("! hello", "app.glyph:1:8: expected `{`, found the end of the file"),
    ],
)
def test_what_was_expected_is_said(text: str, headline: str) -> None:
    assert [line for line in headlines(text) if line.startswith(headline)]


@pytest.mark.parametrize(
    "text", ["macro! crud(name) {\n  @ GET / { }\n}", "crud!(users)", "macro!"]
)
def test_macros_are_refused_and_parsed_over(text: str) -> None:
    found = problems(text + "\n@ GET / { > 1 }\n")
    assert [(each.code, each.line) for each in found] == [("macros", 1)]
