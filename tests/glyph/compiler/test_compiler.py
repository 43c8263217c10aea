"""Generated code, as it reads."""

from __future__ import annotations

import ast

import pytest

from glyph_fast.glyph.checks.checks import check_program
from glyph_fast.glyph.compiler.compiler import compile_module
from glyph_fast.glyph.syntax.source import Source
from tests.glyph.harness import World, headlines, value_of


def code(text: str) -> list[str]:
    """The generated functions of a program."""
    (module,) = check_program(Source("app.glyph", text))
    assert not module.report.has_errors, module.report.diagnostics
    return [ast.unparse(f) for f in compile_module(module, is_main=True).functions]


def body(statements: str) -> str:
    """The generated body of a route."""
    (function,) = code("@ GET /x/:id {\n" + statements + "\n}\n")
    return "\n".join(line[4:] for line in function.splitlines()[1:])


def test_handlers_are_plain_functions_of_the_event_and_the_parameters() -> None:
    assert code("@ GET /:a/:b { > b }\n") == ["def http_1(event, v_a, v_b):\n    return v_b"]
    assert code("@ ws /:a { on connect { } }\n") == [
        "def ws_connect_1(event, v_client, v_a):\n    pass"
    ]


def test_what_is_given_is_only_fetched_where_it_is_read() -> None:
    assert body("> query.a") == "v_query = request_query(event)\nreturn field(v_query, 'a')"
    assert body("> 1") == "return 1"


def test_relays_do_not_decode() -> None:
    (function,) = code("@ ws /:r { on message { ws.broadcast_to_room(r, input) } }\n")
    assert function.endswith("    ws_broadcast_to_room_input(event, v_r)")
    assert "received_value" not in function
    (function,) = code("@ ws /:r { on message { ws.send(input) ws.join(input) } }\n")
    assert "received_exactly" in function and "ws_send_input(event)" in function


def test_integers_of_messages_become_floats_only_where_a_program_could_tell() -> None:
    def handler(statement: str) -> str:
        return code("! f(x: any) { }\n@ ws /c { on message {\n" + statement + "\n} }\n")[-1]

    for statement in (
        "ws.send(input.n / 2)",
        "ws.send(1 + input.n)",
        "ws.send(-input)",
        "ws.send(toString(input))",
        "ws.send(input |> f)",
        "ws.send(map(input, f))",
    ):
        assert "received_value(event)" in handler(statement), statement
    for statement in (
        "ws.send({n: input.n})",
        'ws.send("hello " + input.name)',
        "if input.n == 1 && input.n < 5 { ws.join(input.room) }",
        "ws.send(1 + 2 * 3)\nws.join(input)",
        "ws.send([input[input.n], length(input)])",
    ):
        assert "received_exactly(event)" in handler(statement), statement


def test_operations_of_known_kinds_are_inline() -> None:
    assert body("$ a = 1\n> a < 2") == "v_a = 1\nreturn v_a < 2"
    assert body('> "a" + id + "b"') == "return concat('a', v_id, 'b')"
    assert "wrap(t1)" in body("$ a = 1\n> a + 1")
    assert body("> input.n + 1").endswith("return add(field(v_input, 'n'), 1)")


def test_steps_are_counted_only_where_there_may_be_many() -> None:
    assert "budget" not in body("if id == id { > 1 }")
    assert "budget" in body("for a in [1] { }")


def test_messages_are_weighed_only_where_they_may_be_huge() -> None:
    def handler(statements: str) -> str:
        return code("! f(x: any) { > x }\n@ ws /:r { on message {\n" + statements + "\n} }\n")[-1]

    for statements in ("ws.send({a: input.b})", "f(1)\nws.send({r: r, n: now(), c: client})"):
        assert "weighed" not in handler(statements), statements
    loop = "$ a = []\nfor x in [1] { a = [a, a] }\nws.send(a)"
    for statements in ("ws.send({a: f(input)})", loop):
        assert "weighed" in handler(statements), statements


def test_functions_get_the_run_they_belong_to() -> None:
    function, handler = code("! f(a: any!, b: any) { > f(a) }\n@ GET / { > f(1, 2) }\n")
    assert function.splitlines()[0] == "def f_f(event, steps, depth, v_a=ABSENT, v_b=ABSENT):"
    assert "return f_f(event, steps, depth + 1, v_a)" in function
    assert handler.endswith("return f_f(event, steps, 1, 1, 2)")


def test_match_is_one_expression() -> None:
    assert body('> match id { "a" => 1, [x, ...r] when true => x, _ => 3 }') == (
        "return ((t1 := v_id), equal(t1, 'a') and (1,) or (is_longer(t1, 1) and "
        "((v_x := element(t1, 0)),) and ((v_r := rest(t1, 1)),) and True and (v_x,)) or (3,) or "
        "(None,))[1][0]"
    )


def test_names_of_sibling_blocks_are_different_variables() -> None:
    text = body('if id == "a" { $ x = 1 }\nif id == "b" { $ x = 2 }')
    assert "v_x = 1" in text and "v2_x = 2" in text


@pytest.mark.parametrize("keyword", ["class", "def", "lambda", "None", "__builtins__", "exec"])
def test_words_of_python_are_ordinary_names(keyword: str) -> None:
    declared = f"! {keyword}(x: any) {{ > x }}"
    assert value_of(f"{keyword}(1) + {keyword}", f"$ {keyword} = 5", declared) == 6


@pytest.mark.parametrize("name", ["event", "steps", "depth", "field", "t1", "v_x", "copied"])
def test_names_of_the_runtime_are_ordinary_names(name: str) -> None:
    text = (
        f"const {name} = 2\n! f({name}: any) {{ > {name} }}\n"
        f'@ GET /:{name} {{\n  for a in [1] {{ {name} = "x" }}\n  > [f(1), {name}]\n}}\n'
        f"@ GET /c/c {{ > [{name}] }}\n"
    )
    world = World(text)
    assert world.get("/1").json == [1, "x"]
    assert world.get("/c/c").json == [2]


def test_dunder_fields_are_fields_of_objects() -> None:
    world = World('@ GET / { > [{a: 1}.__class__, "x".__class__] }\n')
    assert world.get("/").status == 500
    assert world.failures[0].text == "a string has no field `__class__`"


def test_five_hundred_branches_and_cases_compile() -> None:
    cases = ", ".join(f"{n} => {n}" for n in range(299))
    chain = " else ".join(f"if x == {n} {{ > {n} }}" for n in range(299))
    switch = " ".join(f"case {n} {{ > {n} }}" for n in range(299))
    world = World(
        f"! a(x: any) {{ > match x {{ {cases} }} }}\n! b(x: any) {{ {chain} }}\n"
        f"! c(x: any) {{ switch x {{ {switch} }} }}\n@ GET / {{ > [a(298), b(298), c(298)] }}\n"
    )
    assert world.get("/").json == [298, 298, 298]


def test_what_python_cannot_compile_is_reported_with_its_item() -> None:
    inner = "1"
    for _ in range(8):
        inner = "(" + inner + " + 1" * 290 + ")"
    assert headlines(f"@ GET /a {{ > 1 }}\n@ GET /b {{ > {inner} }}\n") == [
        "app.glyph:2:1: this is too complex to compile"
    ]
