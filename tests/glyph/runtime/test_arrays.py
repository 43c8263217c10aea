"""Built-in functions on arrays and objects; Results."""

from __future__ import annotations

from typing import Any

import pytest

from tests.glyph.harness import failure_of, value_of

DECLARED = """
! double(x: any) { > x * 2 }
! even(x: any) { > x % 2 == 0 }
! add(a: any, b: any) { > a + b }
! by_size(a: any, b: any) { > length(a) - length(b) }
! larger(a: any, b: any) { > a > b }
! quad(x: any) { > double(double(x)) }
! fails(x: any) { > x.y.z }
"""


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("append([1], [2])", [1, [2]]),
        ("reverse([1, 2, 3])", [3, 2, 1]),
        ("flat([1, [2, [3]], []])", [1, 2, [3]]),
        ("slice([1, 2, 3], 1, 9)", [2, 3]),
        ("slice([1, 2, 3], -5, 2)", [1, 2]),
        ("slice([1, 2, 3], 2, 1)", []),
        ("sort([3, 1.5, 2])", [1.5, 2, 3]),
        ('sort(["b", "B", "a"])', ["B", "a", "b"]),
        ("sort([])", []),
        ('sort(["ccc", "b", "aa", "d"], by_size)', ["b", "d", "aa", "ccc"]),
        ("sort([1, 3, 2], larger)", [3, 2, 1]),
        ("map([1, 2], double)", [2, 4]),
        ("map([1], quad)", [4]),
        ("[1, 2].map(double).filter(even)", [2, 4]),
        ("filter([1, 2, 3, 4], even)", [2, 4]),
        ("[find([1, 2, 3], even), find([1], even)]", [2, None]),
        ("[some([1, 2], even), every([1, 2], even), every([], even)]", [True, False, True]),
        ("reduce([1, 2, 3], add, 10)", 16),
        ('keys({b: 1, a: 2, "c d": 3})', ["b", "a", "c d"]),
    ],
)
def test_results(expression: str, value: Any) -> None:
    assert value_of(expression, declared=DECLARED) == value


def test_new_arrays_share_nothing_with_the_old() -> None:
    before = "$ a = [2, 1]\n$ b = append(a, 3)\n$ c = sort(a)\n$ d = reverse(a)\nb[0] = 9"
    assert value_of("[a, c, d]", before) == [[2, 1], [1, 2], [1, 2]]


def test_set_and_remove_change_the_object_and_return_it() -> None:
    before = '$ o = {a: 1}\n$ s = set(o, "b", 2)\n$ r = remove(o, "a")\nremove(o, "nope")'
    assert value_of("[o, s == o, r == o]", before) == [{"b": 2}, True, True]


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ('append("a", 1)', "`append` takes an array, not a string"),
        ('sort([1, "a"])', "`sort` takes numbers or strings, not a mixture"),
        ("sort([true, false])", "`sort` takes numbers or strings, not a mixture"),
        ("sort([1, 2], even)", "`even` cannot take 2 arguments"),
        ("map([1], 5)", "`map` takes a function, not an integer"),
        ("map(5, double)", "`map` takes an array, not an integer"),
        ("map([1], fails)", "an integer has no field `y`"),
        ("map([1], add)", "`+` cannot take an integer and null"),
        ('set([], "a", 1)', "`set` takes an object, not an array"),
        ("set({}, 1, 1)", "an object's key must be a string, not an integer"),
        ("remove({}, 1)", "`remove` takes a string, not an integer"),
        ("keys([])", "`keys` takes an object, not an array"),
        ('slice([1], "a", 1)', "an index must be an integer, not a string"),
        ("(1)(2)", "an integer cannot be called"),
        ("[double][0](1, 2)", "`double` cannot take 2 arguments"),
    ],
)
def test_wrong_arguments_fail(expression: str, failure: str) -> None:
    assert failure_of(expression, declared=DECLARED) == failure


def test_an_order_must_be_a_number_or_a_boolean() -> None:
    assert "the order of `sort` must be" in failure_of(
        "sort([1, 2], text2)", declared='! text2(a: any, b: any) { > "x" }'
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[Ok(1).ok, Ok(1).value, Ok(1).error]", [True, 1, None]),
        ("[Err(2).ok, Err(2).value, Err(2).error]", [False, None, 2]),
        ("[Ok(1).isOk(), Ok(1).isErr(), Err(1).isErr()]", [True, False, True]),
        (
            "[Ok(1).unwrap(), Err(2).unwrapOr(5), Ok(1).unwrapOr(5), Err(3).unwrapErr()]",
            [1, 5, 1, 3],
        ),
        ("[Ok(4).map(double), Err(4).map(double)]", [{"ok": 8}, {"error": 4}]),
        ("[Ok(4).mapErr(double), Err(4).mapErr(double)]", [{"ok": 4}, {"error": 8}]),
        ("[Ok(4).andThen(double), Ok(4).andThen(Err), Err(4).andThen(double)]", None),
        ("[Err(4).orElse(double), Ok(4).orElse(double)]", [{"ok": 8}, {"ok": 4}]),
        ("[Ok(1), {r: Err([1])}]", [{"ok": 1}, {"r": {"error": [1]}}]),
    ],
)
def test_results_values(expression: str, value: Any) -> None:
    if value is None:  # built-in functions are no values
        declared = DECLARED + "\n! failed(x: any) { > Err(x) }"
        expression = expression.replace("(Err)", "(failed)")
        assert value_of(expression, declared=declared) == [{"ok": 8}, {"error": 4}, {"error": 4}]
        return
    assert value_of(expression, declared=DECLARED) == value


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("Err(1).unwrap()", "`unwrap` of an error"),
        ("Ok(1).unwrapErr()", "`unwrapErr` of a success"),
        ("Ok(1).nope", "a Result has no field `nope`"),
        ("[1].unwrap()", "an array has no method `unwrap`"),
        ("Ok(1).map(5)", "`map` takes a function, not an integer"),
        ("Ok(1).isOk(1)", "`isOk` cannot take 2 arguments"),
    ],
)
def test_results_fail_where_they_are_misused(expression: str, failure: str) -> None:
    assert failure_of(expression) == failure


def test_a_method_name_of_results_may_be_a_function_of_the_program() -> None:
    assert value_of("[1].unwrap()", declared="! unwrap(x: any) { > x[0] }") == 1
