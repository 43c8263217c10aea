"""What a call calls."""

from __future__ import annotations

import pytest

from tests.glyph.harness import World, headlines, problems, value_of

DOUBLE = "! double(x: int!): int { > x * 2 }"


def test_built_in_functions_go_before_those_of_the_program() -> None:
    assert value_of('length("abc")', declared="! length(x: any) { > 99 }") == 3


def test_pipes_prefer_functions_of_the_program_and_accept_built_ins() -> None:
    assert value_of('"abc" |> length', declared="! length(x: any) { > 99 }") == 99
    assert value_of('"abc" |> length |> double', declared=DOUBLE) == 6
    assert value_of('"a,b" |> split(",")') == ["a", "b"]


def test_methods_are_functions_of_what_stands_before_the_dot() -> None:
    assert value_of('[s.upper(), s.length(), s.contains("b"), "x".upper()]', '$ s = "abc"') == [
        "ABC",
        3,
        True,
        "X",
    ]
    assert value_of("o.a.b.length()", '$ o = {a: {b: "four"}}') == 4
    assert value_of("o.n.double()", "$ o = {n: 4}", DOUBLE) == 8


def test_full_names_are_built_in_functions() -> None:
    assert value_of("time.now() - now()") in (0, -1)


def test_variables_may_share_names_with_functions() -> None:
    assert value_of("[upper, upper(upper)]", '$ upper = "a"') == ["a", "A"]


def test_functions_are_values_that_can_be_passed_on_and_called() -> None:
    declared = DOUBLE + "\n! twice(f: any!, x: int!) { > f(f(x)) }"
    assert value_of("twice(double, 3)", declared=declared) == 12
    assert value_of("[g(1), fs[0](2)]", "$ g = double\n$ fs = [double]", DOUBLE) == [2, 4]


def test_unknown_functions_are_warned_about_and_fail_when_called() -> None:
    text = (
        '@ GET /bad/:x { > scan_xss(x) }\n@ GET /worse { > crypto.hash("a") }\n@ GET /ok { > 1 }\n'
    )
    assert [(d.severity, d.line, d.column) for d in problems(text)] == [
        ("warning", 1, 19),
        ("warning", 2, 18),
    ]
    world = World(text)
    assert [world.get(path).status for path in ("/bad/1", "/worse", "/ok")] == [500, 500, 200]
    assert [failure.text for failure in world.failures] == [
        "unknown function `scan_xss`",
        "unknown function `crypto.hash`",
    ]


def test_method_of_an_unknown_name_is_an_unknown_function() -> None:
    assert "unknown function `x.trim`" in headlines("@ GET / { > x.trim() }\n")[0]


def test_field_of_an_unknown_name_is_an_error() -> None:
    assert headlines("@ GET / { > db.users.all() }\n")[0] == "app.glyph:1:13: unknown name `db`"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("ws.send()", "`ws.send` takes 1 argument, not 0"),
        ("ws.send(1, 2)", "`ws.send` takes 1 argument, not 2"),
        ("ws.broadcast()", "`ws.broadcast` takes 1 to 2 arguments, not 0"),
        ("ws.broadcast_to_room(1)", "`ws.broadcast_to_room` takes 2 arguments, not 1"),
        ("ws.close(1, 2)", "`ws.close` takes 0 to 1 arguments, not 2"),
        ("ws.get_rooms(1)", "`ws.get_rooms` takes 0 arguments, not 1"),
        ("ws.sned(1)", "unknown function `ws.sned`"),
    ],
)
def test_calls_of_ws_are_checked_at_load(call: str, message: str) -> None:
    (found,) = problems(f"@ ws /c {{\n  on message {{ {call} }}\n}}\n")
    assert (found.severity, found.message, found.line, found.column) == ("error", message, 2, 19)


def test_ws_may_be_used_in_functions_of_the_program() -> None:
    world = World(
        "! tell(text: str!) { ws.broadcast(text) }\n"
        '@ ws /c { on message { tell(input) } }\n@ GET /tell { > tell("http") }\n'
    )
    peer = world.connect("/c")
    assert peer.says("hello") == ['"hello"']
    assert world.get("/tell").status == 200
    assert peer.frames[-1] == '"http"'


def test_piped_calls_count_the_piped_value() -> None:
    assert "takes 1 argument, not 2" in headlines('@ GET /:x { > x |> upper("a") }\n')[0]
