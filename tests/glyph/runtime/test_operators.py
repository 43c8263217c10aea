"""Operators, fields and elements."""

from __future__ import annotations

from typing import Any

import pytest

from tests.glyph.harness import failure_of, value_of

MAX = 9223372036854775807


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("7 / -2", -3),
        ("-7 % 3", -1),
        ("7 % -3", 1),
        ("7.0 / 2", 3.5),
        ("-7.5 % 2", -1.5),
        ("1 + 2.5", 3.5),
        ("0.5 + 0.5", 1),
        (f"{MAX} + 1", -MAX - 1),
        (f"-{MAX} - 2", MAX),
        (f"{MAX} * 2", -2),
        (f"(-{MAX} - 1) / -1", -MAX - 1),
        ("-(1)", -1),
        ("- -1", 1),
        ('"a" + "b" + "c"', "abc"),
        ("[1] + [] + [2]", [1, 2]),
        ("!true || !false", True),
    ],
)
def test_arithmetic(expression: str, value: Any) -> None:
    assert value_of(expression) == value
    # The same with kinds that are not known before the program runs.
    declared = "! same(x: any) { > x }"
    dynamic = (
        expression.replace("7", "same(7)").replace('"a"', 'same("a")').replace("[1]", "same([1])")
    )
    if str(MAX) not in expression and "." not in expression:
        assert value_of(dynamic, declared=declared) == value


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("1 + true", "`+` cannot take an integer and a boolean"),
        ('1 + "a"', "`+` cannot take an integer and a string"),
        ('"a" + 1', "`+` cannot take a string and an integer"),
        ("null + 1", "`+` cannot take null and an integer"),
        ("[1] + 1", "`+` cannot take an array and an integer"),
        ('"a" - "b"', "`-` cannot take a string and a string"),
        ("true * 2", "`*` cannot take a boolean and an integer"),
        ("1 / 0", "division by zero"),
        ("1.5 / 0", "division by zero"),
        ("1 % 0", "division by zero"),
        ("1.5 % 0.0", "division by zero"),
        ('-"a"', "`-` cannot take a string"),
        ("!1", "a condition must be a boolean, not an integer"),
        ("null && true", "a condition must be a boolean, not null"),
        ("true && 1", "a condition must be a boolean, not an integer"),
        ('1 < "a"', "`<` cannot take an integer and a string"),
        ("true >= false", "`>=` cannot take a boolean and a boolean"),
        ("[1] > [0]", "`>` cannot take an array and an array"),
        ("big * big", "the result is too large for a number"),
    ],
)
def test_nothing_is_converted_and_what_does_not_fit_fails(expression: str, failure: str) -> None:
    assert failure_of(expression, "$ big = 1" + "0" * 200 + ".0") == failure


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 == 1.0", True),
        ("true == 1", False),
        ("false == 0", False),
        ("null == false", False),
        ('"1" == 1', False),
        ('"a" != "b"', True),
        ("[1, {a: 2.0}] == [1.0, {a: 2}]", True),
        ("[true] == [1]", False),
        ("{a: 1, b: 2} == {b: 2, a: 1}", True),
        ("{a: null} == {}", False),
        ("Ok(1) == Ok(1.0)", True),
        ("Ok(1) == Err(1)", False),
        ("1 < 2 == true", True),
        ("2 <= 2.0", True),
        ('"Z" < "a"', True),
        ('"é" > "z"', True),
    ],
)
def test_comparison(expression: str, value: bool) -> None:
    assert value_of(expression) is value


def test_logic_stops_where_it_is_decided() -> None:
    assert value_of("[false && 1 / 0 == 1, true || 1 / 0 == 1]") == [False, True]


def test_reading_fields_and_elements() -> None:
    before = '$ o = {a: {b: null}, "x y": 2}\n$ a = [10, 20]'
    expression = '[o.a.b, o.nope, o["x y"], o["nope"], a[1], a[1.0], a[0 + 1]]'
    assert value_of(expression, before) == [None, None, 2, None, 20, 20, 20]


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("o.nope.x", "null has no field `x`"),
        ("a.x", "an array has no field `x`"),
        ('"s".x', "a string has no field `x`"),
        ("a[2]", "index 2 is outside the array's 2 elements"),
        ("a[-1]", "index -1 is outside the array's 2 elements"),
        ("a[0.5]", "an index must be an integer, not a float"),
        ('a["0"]', "an index must be an integer, not a string"),
        ("o[1]", "an object's key must be a string, not an integer"),
        ('"s"[0]', "a string has no elements"),
    ],
)
def test_reading_what_is_not_there_fails(expression: str, failure: str) -> None:
    assert failure_of(expression, "$ o = {}\n$ a = [1, 2]") == failure


def test_mutation_is_seen_through_every_name() -> None:
    before = (
        "$ o = {a: {b: 1}, list: [{g: 1}]}\n$ same = o\n$ o.a.b = 2\no.c = 3\n"
        '$ o["d"] = 4\n$ o.list[0].g = 5\nsame.list[0].h = 6\n$ a = [1, 2]\na[0] = 9\n$ a[1.0] = 8'
    )
    assert value_of("[same, a]", before) == [
        {"a": {"b": 2}, "list": [{"g": 5, "h": 6}], "c": 3, "d": 4},
        [9, 8],
    ]


@pytest.mark.parametrize(
    ("statement", "failure"),
    [
        ("o.x.y = 1", "null has no field `y` to set"),
        ("a[5] = 1", "index 5 is outside the array's 1 elements"),
        ("a.x = 1", "an array has no field `x` to set"),
        ("o[1] = 1", "an object's key must be a string, not an integer"),
        ('"s"[0] = 1', "a string has no elements"),
    ],
)
def test_mutation_needs_what_is_mutated(statement: str, failure: str) -> None:
    assert failure_of("1", f"$ o = {{}}\n$ a = [1]\n{statement}") == failure


def test_iteration_goes_over_arrays_and_objects_in_order() -> None:
    before = (
        '$ r = []\nfor v in ["a", "b"] { r = r + [v] }\nfor i, v in ["c"] { r = r + [i, v] }\n'
        "for v in {y: 1, x: 2} { r = r + [v] }\nfor k, v in {z: 3} { r = r + [k, v] }"
    )
    assert value_of("r", before) == ["a", "b", 0, "c", 1, 2, "z", 3]


def test_an_object_may_grow_while_it_is_iterated() -> None:
    assert value_of("length(o)", "$ o = {a: 1, b: 2}\nfor k, v in o { o[k + k] = v }") == 4


@pytest.mark.parametrize("value", ['"text"', "5", "null", "true"])
def test_iteration_over_anything_else_fails(value: str) -> None:
    assert "`for` cannot go over" in failure_of("1", f"for v in {value} {{ }}")
    assert "`for` cannot go over" in failure_of("1", f"for k, v in {value} {{ }}")


@pytest.mark.parametrize(
    ("subject", "value"),
    [
        ("200", "ok"),
        ("200.0", "ok"),
        ("-5", "negative"),
        ("50", "many"),
        ("1", None),
        ("{kind: null, n: [1, 2, 3]}", [1, [2, 3]]),
        ("{kind: 1, n: []}", "object"),
        ("[1]", "one"),
        ("[1, 2]", None),
        ('"x"', "text"),
    ],
)
def test_match(subject: str, value: Any) -> None:
    cases = (
        '200 => "ok", -5 => "negative", n when n == 50 => "many", {kind, n: [a, ...r]} => [a, r],'
        ' {kind} => "object", [_] => "one", "x" => "text"'
    )
    assert value_of(f"match {subject} {{ {cases} }}") == value


def test_a_guard_of_a_match_must_be_a_boolean() -> None:
    assert "a condition must be" in failure_of("match 1 { n when n => 1 }")


def test_results_are_matched_by_what_they_hold() -> None:
    cases = "{ok: v} => v, {error: e} => [e]"
    assert value_of(f"[match Ok(1) {{ {cases} }}, match Err(2) {{ {cases} }}]") == [1, [2]]


def test_switch_takes_the_first_equal_case_and_nothing_else() -> None:
    text = "switch 1.0 { case 2 { r = 2 } case 1 { r = 1 } case 1 { r = 3 } default { r = 4 } }"
    assert value_of("r", f"$ r = 0\n{text}") == 1


def test_break_inside_a_switch_belongs_to_the_loop() -> None:
    before = "$ r = 0\nwhile true {\n r = r + 1\n switch r { case 3 { break } }\n}"
    assert value_of("r", before) == 3
