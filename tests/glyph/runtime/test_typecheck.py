"""Types of functions' parameters and results, and of constants."""

from __future__ import annotations

import pytest

from tests.glyph.harness import failure_of, headlines, value_of


@pytest.mark.parametrize(
    ("type_", "argument", "value"),
    [
        ("int", "1.0", 1),
        ("int", "null", None),
        ("float", "1", 1),
        ("str", '"a"', "a"),
        ("int[]", "[1, 2.0]", [1, 2]),
        ("Database", "5", 5),
        ("(int) -> int", "7", 7),
        ("T", '"anything"', "anything"),
    ],
)
def test_arguments_that_fit(type_: str, argument: str, value: object) -> None:
    assert value_of(f"f({argument})", declared=f"! f<T>(a: {type_}): any {{ > a }}") == value


def test_float_without_fraction_becomes_an_int_for_an_int_parameter() -> None:
    assert value_of("half(7.0)", declared="! half(n: int) { > n / 2 }") == 3
    assert value_of("half(7.0)", declared="! half(n: float) { > n / 2 }") == 3.5
    assert value_of("half(7.0)", declared="! half(n) { > n / 2 }") == 3.5


@pytest.mark.parametrize(
    ("type_", "argument", "failure"),
    [
        ("int", "1.5", "`a` of `f`: expected int, found a float"),
        ("int", '"1"', "`a` of `f`: expected int, found a string"),
        ("bool", "1", "`a` of `f`: expected bool, found an integer"),
        ("str[]", "[1]", "`a` of `f`: element 0: expected str, found an integer"),
        ("U", "{}", "`a` of `f`: missing required field: n"),
        ("int | str", "[]", "`a` of `f`: an array is none of the declared types"),
    ],
)
def test_arguments_that_do_not_fit(type_: str, argument: str, failure: str) -> None:
    declared = f": U {{ n: int! }}\n! f(a: {type_}) {{ > a }}"
    assert failure_of(f"f({argument})", declared=declared) == failure


def test_results_are_checked() -> None:
    declared = '! f(a: any): int {\n  if a == 1 { > "one" }\n  > a\n}'
    assert (
        failure_of("f(1)", declared=declared) == "the result of `f`: expected int, found a string"
    )
    assert value_of("f(2)", declared=declared) == 2
    assert value_of("f()", declared="! f(): int { }") is None


def test_optional_arguments_and_defaults() -> None:
    declared = "! f(a: int!, b: str, c: int = a + 1, d: int! = 9) { > [a, b, c, d] }"
    assert value_of('[f(1), f(1, "x"), f(1, null, null, 5)]', declared=declared) == [
        [1, None, 2, 9],
        [1, "x", 2, 9],
        [1, None, None, 5],
    ]
    assert failure_of("[f][0]()", declared=declared) == "`f` cannot take 0 arguments"
    assert (
        failure_of("[f][0](1, null, 1, 1, 1)", declared=declared) == "`f` cannot take 5 arguments"
    )


def test_defaults_are_evaluated_for_each_call() -> None:
    declared = "! f(a: any = [0]) {\n  a[0] = a[0] + 1\n  > a[0]\n}"
    assert value_of("[f(), f(), f([5])]", declared=declared) == [1, 1, 6]


def test_constants_are_checked_and_evaluated_in_order() -> None:
    declared = "const A: int = 2\nconst B = [A, double(A)]\n! double(n: int) { > n * A }"
    assert value_of("[A, B, B[1]]", declared=declared) == [2, [2, 4], 4]
    assert headlines("const A: str = 5\n") == [
        "app.glyph:1:7: the value of `A` fails: constant `A`: expected str, found an integer"
    ]


def test_a_constant_cannot_be_changed_for_others() -> None:
    before = '$ a = LIST\na[0] = 9\nset(OBJECT, "k", 2)'
    declared = "const LIST = [1, [2]]\nconst OBJECT = {k: 1}"
    assert value_of("[a, LIST, OBJECT]", before, declared) == [[9, [2]], [1, [2]], {"k": 1}]
