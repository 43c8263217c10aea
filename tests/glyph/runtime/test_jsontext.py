"""JSON in and out of programs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from glyph_fast import json as strict_json
from glyph_fast.glyph.runtime import jsontext
from glyph_fast.glyph.runtime.jsontext import number_text, read, to_text, write, write_text
from glyph_fast.glyph.runtime.values import Failure, FunctionValue, Headers, Result


@pytest.fixture(params=["orjson", "json"], autouse=True)
def codec(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to read and write JSON: the quick one, and the one that is always there."""
    if request.param == "orjson":
        assert jsontext._loads is not strict_json.loads
        return
    slow = strict_json.stdlib_codec()
    monkeypatch.setattr(jsontext, "_loads", slow.loads)
    monkeypatch.setattr(jsontext, "_dumps", jsontext._dumps_by_stdlib)


def test_numbers_come_in_as_floats() -> None:
    value = read('{"a": 1, "b": [2, {"c": 3}], "d": true, "e": 1.5}')
    assert value == {"a": 1, "b": [2, {"c": 3}], "d": True, "e": 1.5}
    assert [type(value["a"]), type(value["b"][0]), type(value["b"][1]["c"])] == [float] * 3
    assert value["d"] is True
    assert type(read("7")) is float


@pytest.mark.parametrize("text", ["", "{", "nope", "[1,]", "1e999", "9" * 400, '"\\ud800"', "NaN"])
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        read(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (1.0, "1"),
        ([2.0, 2.5, {"a": 3.0}], '[2,2.5,{"a":3}]'),
        ("1.0", '"1.0"'),
        ({"a": "x.0", "b": 1.0}, '{"a":"x.0","b":1}'),
        (-0.0, "0"),
        (Result(True, [1.0]), '{"ok":[1]}'),
        ({"r": Result(False, None)}, '{"r":{"error":null}}'),
        (Headers({"A": "b"}), '{"A":"b"}'),
        (True, "true"),
        (9007199254740994.0, "9007199254740994"),
        ("é<>&\u2028", '"é<>&\u2028"'),
    ],
)
def test_floats_without_fraction_go_out_without_a_point(value: Any, text: str) -> None:
    assert write(value) == text.encode()


def test_large_and_small_floats_are_json() -> None:
    for number in (1e16, 2.0**53, -(2.0**64), 1e20, 1e21, 1e23, 1.5e300, 1e-7, 123456789.25):
        assert json.loads(write(number)) == number


def test_what_json_cannot_hold_is_a_failure() -> None:
    function = FunctionValue("f", lambda: None, 0, 0)
    circular: list[Any] = []
    circular.append(circular)
    deep: Any = []
    for _ in range(5000):
        deep = [deep]
    for value in (function, [function], circular, deep):
        with pytest.raises(Failure):
            write(value)


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5, "5"),
        (1000000.0, "1000000"),
        (2.5, "2.5"),
        (-0.0, "0"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.00001, "0.00001"),
        (1e-7, "1e-7"),
        (1.25e-10, "1.25e-10"),
        (0.1, "0.1"),
    ],
)
def test_numbers_as_text(number: float, text: str) -> None:
    assert number_text(number) == text


def test_text_of_values() -> None:
    assert [to_text(v) for v in ("a", 1.0, None, [1.0, "x"], {"k": True})] == [
        "a",
        "1",
        "null",
        '[1,"x"]',
        '{"k":true}',
    ]


def test_text_of_a_frame() -> None:
    assert write_text({"a": "é", "b": 2.0}) == '{"a":"é","b":2}'
