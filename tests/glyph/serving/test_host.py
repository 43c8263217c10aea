"""Python functions offered to programs."""

from __future__ import annotations

from typing import Any, Optional

import pytest

from glyph_fast.glyph.serving.host import HostFunction
from tests.glyph.harness import World


def call(function: Any, expression: str, name: str | None = None) -> tuple[int, Any, list[str]]:
    world = World(f"@ GET / {{\n  > {expression}\n}}\n", host=[HostFunction(function, name)])
    answer = world.get("/")
    return answer.status, answer.json, [failure.text for failure in world.failures]


def repeat(text: str, times: int = 2) -> str:
    return text * times


def describe(value: Any, names: list[str], extra: dict[str, int] | None = None) -> dict[str, Any]:
    return {"value": value, "names": names, "extra": extra}


def test_function_is_called_with_glyph_values() -> None:
    assert call(repeat, '[repeat("a"), repeat("b", 3), repeat("c", 2.0)]')[1] == ["aa", "bbb", "cc"]
    assert call(describe, 'describe(1, ["x"], {k: 1})')[1] == {
        "value": 1,
        "names": ["x"],
        "extra": {"k": 1},
    }


def test_function_may_have_another_name_and_be_a_value() -> None:
    expression = '[shout("a"), map(["b"], shout), "c" |> shout, "d".shout()]'
    assert call(repeat, expression, "shout")[1] == [
        "aa", ["bb"], "cc", "dd",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("repeat(5)", "`text` of `repeat`: expected str, found an integer"),
        ('repeat("a", 1.5)', "`times` of `repeat`: expected int, found a float"),
        ("[repeat][0]()", "`repeat` cannot take 0 arguments"),
        ('[repeat][0]("a", 1, 2)', "`repeat` cannot take 3 arguments"),
    ],
)
def test_arguments_are_checked(expression: str, failure: str) -> None:
    assert call(repeat, expression)[2] == [failure]


def test_results_are_checked_and_exceptions_are_failures() -> None:
    def lies() -> int:
        return "x"  # type: ignore[return-value]

    def raises() -> None:
        raise KeyError("k")

    assert call(lies, "lies()")[2] == ["the result of `lies`: expected int, found a string"]
    assert call(raises, "raises()")[2] == ["`raises` raised KeyError: 'k'"]


def test_tuples_become_arrays() -> None:
    def pair() -> Any:
        return (1, 2)

    assert call(pair, "pair()[1]")[1] == 2


def test_functions_of_the_program_go_before_offered_ones() -> None:
    world = World(
        '! repeat(x: any) { > "own" }\n@ GET / { > repeat("a") }\n', host=[HostFunction(repeat)]
    )
    assert world.get("/").json == "own"


def test_signatures_glyph_has_no_words_for_are_refused() -> None:
    async def waits() -> None: ...
    def keyword(*, a: int) -> None: ...
    def collects(*args: int) -> None: ...
    def sets(a: set[int]) -> None: ...
    def numbered(a: dict[int, str]) -> None: ...

    for function in (waits, keyword, collects, sets, numbered):
        with pytest.raises(TypeError):
            HostFunction(function)


def test_annotations_become_types() -> None:
    def f(a: int | None, b: Optional[str], c: int | str, d, e: list, f: object) -> bool:  # noqa: UP045
        return True

    assert call(f, 'f(null, null, "x", 1, [1], {})')[1] is True
    assert call(f, "f(null, null, true, 1, [1], {})")[2] == [
        "`c` of `f`: a boolean is none of the declared types"
    ]
