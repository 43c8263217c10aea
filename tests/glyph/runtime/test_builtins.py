"""Built-in functions on texts and numbers, responses."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from glyph_fast.glyph.checks.signatures import BUILTINS
from glyph_fast.glyph.runtime import arrays, builtins
from tests.glyph.harness import World, failure_of, value_of


def test_every_built_in_function_is_there() -> None:
    assert BUILTINS.keys() == builtins.BUILTINS.keys() | arrays.BUILTINS.keys()
    assert not builtins.BUILTINS.keys() & arrays.BUILTINS.keys()


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('length("é😀")', 2),
        ("length([1, 2])", 2),
        ("length({a: 1})", 1),
        ('upper("straße é")', "STRASSE É"),
        ('lower("ÀB")', "àb"),
        ('trim("\\t a \\n\\u00a0")', "a"),
        ('split("a,b,,c", ",")', ["a", "b", "", "c"]),
        ('split("", ",")', [""]),
        ('split("é😀", "")', ["é", "😀"]),
        ('join([1, 2.0, "a", null, true, [1], {b: 2}], "-")', '1-2-a-null-true-[1]-{"b":2}'),
        ('join([], "-")', ""),
        ('contains("abc", "bc")', True),
        ('contains("abc", "")', True),
        ('replace("aaa", "a", "bb")', "bbbbbb"),
        ('substring("é😀x", 1, 2)', "😀"),
        ('substring("abc", 3, 3)', ""),
        ('substring("abc", 0.0, 2.0)', "ab"),
        ('[startsWith("abc", "ab"), endsWith("abc", "ab")]', [True, False]),
        ('[indexOf("é😀x", "x"), indexOf("a", "b")]', [2, -1]),
        ('charAt("é😀", 1)', "😀"),
        ('[parseInt(" 42 "), parseInt("-7"), parseInt("+7"), parseInt(3), parseInt(4.0)]',
         [42, -7, 7, 3, 4]),
        ('[parseFloat("3.14"), parseFloat("1e3"), parseFloat(".5"), parseFloat(2)]',
         [3.14, 1000, 0.5, 2]),
        ("[abs(-3), abs(-2.5), min(1, 2.5), max(1, 2.5), min(-1, -2)]", [3, 2.5, 1, 2.5, -2]),
        ('toString("a")', "a"),
        ("toString(1000000.0)", "1000000"),
        ("toString(2.50)", "2.5"),
        ("toString([1, {b: null}])", '[1,{"b":null}]'),
        ("[toString(null), toString(true)]", ["null", "true"]),
        ("generateId() == generateId()", False),
    ],
)  # fmt: skip
def test_results(expression: str, value: Any) -> None:
    assert value_of(expression) == value


@pytest.mark.parametrize(
    ("expression", "failure"),
    [
        ("length(5)", "an integer has no length"),
        ("length(null)", "null has no length"),
        ("upper(1)", "`upper` takes a string, not an integer"),
        ('split("a", 1)', "`split` takes a string, not an integer"),
        ('join("a", ",")', "`join` takes an array, not a string"),
        ('contains(["a"], "a")', "`contains` takes a string, not an array"),
        ('substring("abc", 2, 1)', "2 to 1 is no part of a string of 3 characters"),
        ('substring("abc", -1, 1)', "-1 to 1 is no part of a string of 3 characters"),
        ('substring("abc", 0, 4)', "0 to 4 is no part of a string of 3 characters"),
        ('charAt("a", 1)', "index 1 is outside the string's 1 characters"),
        ('charAt("a", "0")', "an index must be an integer, not a string"),
        ('parseInt("4x")', '"4x" is not an integer'),
        ('parseInt("")', '"" is not an integer'),
        ('parseInt("1_000")', '"1_000" is not an integer'),
        ('parseInt("9223372036854775808")', '"9223372036854775808" is not a 64-bit integer'),
        ("parseInt(1.5)", "the number must be an integer, not a float"),
        ('parseFloat("nan")', '"nan" is not a number'),
        ('parseFloat("inf")', '"inf" is not a number'),
        ('parseFloat("1e999")', "the result is too large for a number"),
        ('abs("1")', "`abs` takes a number, not a string"),
        ("min(1, true)", "`min` takes a number, not a boolean"),
        ("randomInt(2, 1)", "`randomInt` from 2 to 1 has no numbers"),
    ],
)
def test_wrong_arguments_fail(expression: str, failure: str) -> None:
    assert failure_of(expression) == failure


def test_parse_int_of_endless_digits_fails_at_once() -> None:
    assert "is not a 64-bit integer" in failure_of('parseInt("' + "9" * 100_000 + '")')


def test_now_is_the_time_in_whole_seconds() -> None:
    before = int(time.time())
    assert before <= value_of("now()") <= time.time()
    assert isinstance(value_of('now("ignored")'), int)


def test_random_numbers_include_both_ends() -> None:
    drawn = value_of(
        "r", "$ r = []\n$ i = 0\nwhile i < 200 {\n i = i + 1\n r = r + [randomInt(1, 3)]\n}"
    )
    assert set(drawn) == {1, 2, 3}


def test_ids_are_random_uuids() -> None:
    assert uuid.UUID(value_of("generateId()")).version == 4


@pytest.mark.parametrize(
    ("reply", "status", "content_type", "content"),
    [
        ('text("hé")', 200, "text/plain; charset=utf-8", "hé".encode()),
        ('text("no", 404)', 404, "text/plain; charset=utf-8", b"no"),
        ('html("<b>x</b>")', 200, "text/html; charset=utf-8", b"<b>x</b>"),
        ('blob("a,b", "text/csv", 201)', 201, "text/csv", b"a,b"),
        ('text("x") :: 202', 202, "text/plain; charset=utf-8", b"x"),
    ],
)
def test_responses(reply: str, status: int, content_type: str, content: bytes) -> None:
    answer = World(f"@ GET / {{ > {reply} }}\n").get("/")
    assert (answer.status, answer.content_type, answer.content) == (status, content_type, content)


@pytest.mark.parametrize(
    ("call", "status", "location"),
    [
        ('redirect("/a")', 302, "/a"),
        ('redirect("https://x.example/?q=1#f", 308)', 308, "https://x.example/?q=1#f"),
        ('redirect("/ö ä")', 302, "/%C3%B6%20%C3%A4"),
        ('redirect("/%41")', 302, "/%41"),
    ],
)
def test_redirections(call: str, status: int, location: str) -> None:
    answer = World(f"@ GET / {{ > {call} }}\n").get("/")
    assert (answer.status, answer.headers["Location"], answer.content) == (status, location, b"")


@pytest.mark.parametrize(
    "call",
    [
        'redirect("/a", 200)',
        'redirect("")',
        'redirect("/a\\r\\nX: y")',
        'blob("a", "")',
        'blob("a", "x\\ny")',
        'text("a", 99)',
        "text(1)",
        'html("a", "200")',
    ],
)
def test_responses_that_cannot_be_sent_fail(call: str) -> None:
    assert World(f"@ GET / {{ > {call} }}\n").get("/").status == 500
