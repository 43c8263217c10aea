"""Which variable a name stands for, and what has to be declared."""

from __future__ import annotations

import pytest

from tests.glyph.harness import World, headlines, problems, value_of


def body(text: str) -> list[str]:
    return headlines("@ GET /x/:id {\n" + text + "\n}\n")


def test_dollar_assigns_what_an_enclosing_block_has_declared() -> None:
    assert value_of("x", "$ x = 1\nif true { $ x = 2 }") == 2


def test_dollar_declares_where_no_enclosing_block_has() -> None:
    assert value_of("x", "if true { $ x = 2 }\n$ x = 1") == 1


def test_siblings_have_variables_of_their_own() -> None:
    before = '$ r = []\nif true { $ a = 1 r = r + [a] }\nif true { $ a = "b" r = r + [a] }'
    assert value_of("r", before) == [1, "b"]


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("$ a = 1\n$ a = 2", "app.glyph:3:3: `a` is already declared here"),
        ("$ id = 1", "app.glyph:2:3: `id` is already declared here"),
        ("? q: int\n$ q = 1", "app.glyph:3:3: `q` is already declared here"),
        ("? id: int", "app.glyph:2:3: `id` is already declared here"),
        ("? q: int\n? q: str", "app.glyph:3:3: `q` is already declared here"),
        ("if true { $ a = 1 }\n> a", "app.glyph:3:3: unknown name `a`"),
        ("for v in [1] { }\n> v", "app.glyph:3:3: unknown name `v`"),
        ("> match 1 { n => n } + n", "app.glyph:2:24: unknown name `n`"),
        ("a = 1", "app.glyph:2:1: `a` is assigned before it is declared"),
        ("$ a = a", "app.glyph:2:7: unknown name `a`"),
        ("> a\n$ a = 1", "app.glyph:2:3: unknown name `a`"),
        ("break", "app.glyph:2:1: `break` outside a loop"),
        ("while true { $ f = async { break } }", "app.glyph:2:28: `break` outside a loop"),
        ("> auth", "app.glyph:2:3: unknown name `auth`"),
        ("> client", "app.glyph:2:3: unknown name `client`"),
    ],
)
def test_scoping_errors_have_their_place(text: str, headline: str) -> None:
    assert headlines("@ GET /x/:id {\n" + text + "\n}\n") == [headline]


def test_duplicate_parameters_of_a_path_are_an_error() -> None:
    assert headlines("@ GET /:a/:a { }\n") == ["app.glyph:1:7: `a` is already declared here"]


@pytest.mark.parametrize("name", ["input", "query", "headers", "ws"])
def test_http_handlers_may_hide_what_they_are_given(name: str) -> None:
    assert value_of(name, f"$ {name} = 5") == 5


def test_hiding_in_a_block_lasts_as_long_as_the_block() -> None:
    assert value_of("input", "if true { $ input = 5 }") is None


@pytest.mark.parametrize("name", ["input", "client", "room", "ws"])
def test_websocket_handlers_may_not_declare_what_they_are_given(name: str) -> None:
    text = f"@ ws /:room {{\n  on message {{ $ {name} = 1 }}\n}}\n"
    assert headlines(text) == [f"app.glyph:2:18: `{name}` is already declared here"]


@pytest.mark.parametrize("name", ["query", "headers", "auth"])
def test_websocket_handlers_may_declare_other_names(name: str) -> None:
    assert headlines(f"@ ws /c {{\n  on message {{ $ {name} = 1 }}\n}}\n") == []


def test_given_names_and_parameters_can_be_assigned() -> None:
    world = World(
        '@ GET /:id {\n  id = id + "!"\n  input = [1]\n  > [id, input]\n}\n'
        '@ ws /:room {\n  on message {\n    input = room\n    room = "x"\n'
        "    ws.send([input, room])\n  }\n}\n"
    )
    assert world.get("/a").json == ["a!", [1]]
    assert world.connect("/r").says("hi") == ['["r","x"]']


def test_functions_see_their_parameters_constants_and_functions_only() -> None:
    text = (
        "const C = 1\n! g() { > C }\n! f(a: int!) { > a + C + g() + x }\n"
        "@ GET / {\n  $ x = 1\n  > f(x)\n}\n"
    )
    assert headlines(text) == ["app.glyph:3:32: unknown name `x`"]


def test_a_function_cannot_change_a_variable_of_its_caller() -> None:
    declared = "! f() {\n  $ x = 2\n  > x\n}\n"
    assert value_of("[f(), x]", "$ x = 1", declared) == [2, 1]


def test_parameters_of_functions_can_be_assigned_by_dollar() -> None:
    assert value_of("f(1)", declared="! f(a: int!) {\n  $ a = a + 1\n  > a\n}") == 2


def test_defaults_see_earlier_parameters_only() -> None:
    assert value_of("f(1)", declared="! f(a: int!, b: int = a + 1) { > [a, b] }") == [1, 2]
    assert headlines("! f(a: int = b, b: int = 1) { > a }\n") == [
        "app.glyph:1:14: unknown name `b`"
    ]


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("$ MAX = 2", 3),
        ("MAX = 2", 1),
        ("MAX.a = 2", 1),
        ("$ MAX[0] = 1", 3),
        ("if true { $ MAX = 1 }", 13),
    ],
)
def test_constants_cannot_be_assigned(text: str, column: int) -> None:
    found = headlines("const MAX = [1]\n@ GET / {\n" + text + "\n}\n")
    assert found == [f"app.glyph:3:{column}: the constant `MAX` cannot be assigned"]


def test_loops_and_patterns_may_hide_constants() -> None:
    declared = "const A = 1"
    assert value_of("r", "$ r = 0\nfor A in [5] { r = A }", declared) == 5
    assert value_of("match 7 { A => A } + A", declared=declared) == 8


def test_constants_are_read_after_their_declaration() -> None:
    assert headlines("const A = B\nconst B = 1\n") == ["app.glyph:1:11: unknown name `B`"]


def test_loop_names_are_fresh_and_assignable() -> None:
    assert value_of("r", "$ r = []\nfor i in [1, 2] { i = i * 10 r = r + [i] }") == [10, 20]
    assert value_of("x", "$ x = 0\nfor x in [1] { }") == 0


def test_async_blocks_see_and_assign_the_variables_around_them() -> None:
    before = (
        "$ x = 1\n$ f = async {\n  x = x + 1\n  $ g = async {\n x = x * 10\n > x }\n  > await g\n}"
    )
    assert value_of("[await f, x]", before) == [20, 20]


def test_the_same_name_twice_in_a_pattern_is_one_variable() -> None:
    assert value_of("match [1, 2] { [a, a] => a }") == 2


@pytest.mark.parametrize(
    ("program", "hint"),
    [
        ("@ GET / { > wss.send(1) }", "did you mean `ws.send`?"),
        ('@ GET / { > crypto.hash("x") }', "there is no `crypto` here"),
        ("@ GET / { $ a = 1\n$ a = 2 }", "assign it without `$`, or choose another name"),
        ("! f() { > 1 }\n! f() { > 2 }", "choose another name"),
        ("! f(a: int!, a: int!) { > a }", "choose another name"),
        ("@ GET /:a/:a { }", "choose another name"),
        (": T { a: int!, a: int! }", "choose another name"),
        ("@ GET / {\n  if true {\n    $ a = 1\n", "the `{` of line 2 has no `}`"),
    ],
)
def test_hints_lead_to_what_can_be_written(program: str, hint: str) -> None:
    assert problems(program + "\n")[0].hint == hint
