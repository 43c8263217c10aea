"""Query strings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.glyph.harness import World

ROUTE = "@ GET / {{\n{0}\n  > {1}\n}}\n"


def query(declared: str, result: str, target: str) -> Any:
    answer = World(ROUTE.format(declared, result)).get(target)
    return answer.json if answer.status == 200 else (answer.status, answer.json["error"])


@pytest.mark.parametrize(
    ("target", "value"),
    [
        ("/", {}),
        ("/?", {}),
        ("/?a=1&b=-2&c=%2B3", {"a": 1, "b": -2, "c": 3}),
        ("/?a=1.5&b=1e3&c=1.&d=.5", {"a": 1.5, "b": "1e3", "c": 1, "d": 0.5}),
        ("/?a=true&b=FALSE&c=True&d=yes", {"a": True, "b": False, "c": True, "d": "yes"}),
        ("/?a=x+y&b=x%20y&c=%C3%A9&d=%2B", {"a": "x y", "b": "x y", "c": "é", "d": "+"}),
        ("/?a=1&a=x&a=2", {"a": ["1", "x", "2"]}),
        ("/?a&b=&=c&&", {"a": "", "b": "", "": "c"}),
        ("/?a=b=c", {"a": "b=c"}),
        ("/?a=9223372036854775808", {"a": "9223372036854775808"}),
        ("/?a=%FF", {"a": "\ufffd"}),
        ("/?q=50%&a=%zz&%=1", {"q": "50%", "a": "%zz", "%": 1}),
        ("/?a%20b=1", {"a b": 1}),
    ],
)
def test_undeclared_parameters_are_what_they_look_like(target: str, value: Any) -> None:
    assert query("", "query", target) == value


@pytest.mark.parametrize(
    ("declared", "target", "value"),
    [
        ("? a: int", "/?a=7", 7),
        ("? a: int", "/?a=-7&a=8", -7),
        ("? a: str", "/?a=7", "7"),
        ("? a: string", "/?a=", ""),
        ("? a: float", "/?a=1e3", 1000),
        ("? a: float", "/?a=5", 5),
        ("? a: bool", "/?a=YES", True),
        ("? a: bool", "/?a=off", False),
        ("? a: bool", "/?a", False),
        ("? a: int[]", "/?a=1&a=2", [1, 2]),
        ("? a: [str]", "/?a=1", ["1"]),
        ("? a: List[bool]", "/?a=1&a=no", [True, False]),
        ("? a: int?", "/?a=5", 5),
        ("? a: int | str", "/?a=5", "5"),
        ("? a: int", "/", None),
        ("? a: int[]", "/", None),
        ("? a: int = 5", "/", 5),
        ("? a: int! = 5", "/", 5),
        ("? a: float = 0", "/?a=2", 2),
        ('? a: str = upper("x") + "y"', "/", "Xy"),
        ("? b: int = 2\n? a: int = b * 10", "/?b=3", 30),
        ("? a: int = await async { > 4 }", "/", 4),
    ],
)
def test_declared_parameters_are_variables_and_fields_of_query(
    declared: str, target: str, value: Any
) -> None:
    assert query(declared, "[a, query.a]", target) == [value, value]


@pytest.mark.parametrize(
    ("declared", "target", "message"),
    [
        ("? q: str!", "/", "required query parameter missing: q"),
        ("? q: int!", "/?Q=1", "required query parameter missing: q"),
        ("? n: int", "/?n=abc", "query param n: invalid integer value: abc"),
        ("? n: int", "/?n=1.0", "query param n: invalid integer value: 1.0"),
        ("? n: int", "/?n=", "query param n: invalid integer value: "),
        ("? n: int", "/?n=%201", "query param n: invalid integer value:  1"),
        ("? n: int", "/?n=9223372036854775808",
         "query param n: invalid integer value: 9223372036854775808"),
        ("? n: float", "/?n=nan", "query param n: invalid float value: nan"),
        ("? b: bool", "/?b=maybe", "query param b: invalid boolean value: maybe"),
        ("? a: int[]", "/?a=1&a=x", "query param a: element 1: invalid integer value: x"),
        ("", "/?" + "a&" * 1000, "more than 1000 query parameters"),
    ],
)  # fmt: skip
def test_bad_parameters_are_the_clients_fault(declared: str, target: str, message: str) -> None:
    assert query(declared, "query", target) == (400, message)


def test_a_default_that_is_not_needed_is_not_evaluated() -> None:
    assert query("? a: int = 1 / 0", "a", "/?a=1") == 1


def test_a_default_may_read_the_query() -> None:
    declared = "? b: int = 4\n? a: int = query.c"
    assert query(declared, "[a, b, query.a]", "/?c=2") == [2, 4, 2]
    assert query(declared, "[a, b]", "/") == [None, 4]
