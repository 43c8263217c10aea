"""Putting modules together."""

from __future__ import annotations

from tests.glyph.harness import headlines, problems, value_of


def test_constants_that_fail_are_load_errors() -> None:
    assert headlines("const A = [][1]\nconst B = f()\n! f() { > f() }\n") == [
        "app.glyph:1:7: the value of `A` fails: index 1 is outside the array's 0 elements",
        "app.glyph:2:7: the value of `B` fails: more than 200 calls inside each other",
    ]


def test_a_function_called_too_early_sees_null() -> None:
    assert value_of("[A, B]", declared="const A = f()\nconst B = [1]\n! f() { > B }") == [
        None,
        [1],
    ]


def test_constants_may_use_guards_in_functions_only_to_fail() -> None:
    assert "not today" in headlines('const A = f()\n! f() {\n  ? false :: 400 "not today"\n}\n')[0]


def test_broadcasting_for_a_constant_fails() -> None:
    (found,) = problems("const A = f()\n! f() { ws.broadcast(1) }\n")
    assert found.code == "constant-failed" and "there is none yet" in found.message
