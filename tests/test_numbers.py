"""Numbers that orjson would change: both twins find the same ones, in any bytes."""

from __future__ import annotations

import inspect
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph_fast import _numbers as compiled
from glyph_fast import json
from glyph_fast import numbers as python
from tests.abuse.attacks import TEXTS

TWINS = pytest.mark.parametrize("twin", [compiled, python], ids=["c", "py"])
LARGE = [b"18446744073709551616", b"-9223372036854775809", b"1" * 21, b"-" + b"9" * 19, b"9" * 5000]
FITS = [b"18446744073709551615", b"-9223372036854775808", b"9" * 19, b"1" * 18, b"0" * 30 + b"1"]
FRAGMENTS = [b'"', b"\\", b'\\"', b"\\\\", b",", b"[", b" ", b"-", b".", b"e", b"E", b"+", b"1"]
FRAGMENTS += [b"0" * 19, b"123456789012345678", b"x" * 70, "é😀".encode(), *LARGE, *FITS]


@TWINS
@pytest.mark.parametrize("kind", [bytes, bytes.decode], ids=["bytes", "str"])
@pytest.mark.parametrize("place", [b"%b", b"[%b]", b'["a\\\\",%b ,"b"]', '{"é😀":%b}'.encode()])
def test_an_integer_is_large_by_its_digits(twin: Any, place: bytes, kind: Any) -> None:
    for digits in LARGE:
        assert twin.has_large_integer(kind(place % digits)), digits
    for digits in FITS:
        assert not twin.has_large_integer(kind(place % digits)), digits


@TWINS
@pytest.mark.parametrize(
    "place",
    [b'"%b"', b'["\\"%b"]', b'["\\\\\\"",{"%b":1}]', b'"' + b"x" * 99 + b'\\"%b"', b'"\\%b"']
    + [b"%b.5", b"%be1", b"[%bE+2]", b"0.%b", b"1e%b", b"1e+%b", b"1.5e-%b"],
)  # fmt: skip
def test_text_in_strings_fractions_and_exponents_are_none(twin: Any, place: bytes) -> None:
    assert not twin.has_large_integer(place % LARGE[2])


@TWINS
def test_a_large_integer_is_found_wherever_it_lies(twin: Any) -> None:
    for before in range(80):
        for quoted in (b'""', b'"\\""', b'"1234567890123456789012"'):
            text = b"[" + quoted + b" " * before + b"," + LARGE[2] + b"," + b"1," * 30
            assert twin.has_large_integer(text), (before, quoted)


@TWINS
@pytest.mark.parametrize(
    ("name", "is_large"),
    [(name, "integer" in name and "string" not in name) for name in TEXTS],
)
def test_texts_that_are_hard_to_read(twin: Any, name: str, is_large: bool) -> None:
    assert twin.has_large_integer(TEXTS[name]) is is_large


@TWINS
def test_what_is_no_utf8_has_none(twin: Any) -> None:
    assert not twin.has_large_integer("\ud800" + "1" * 30)
    assert twin.has_large_integer("é" + "1" * 30) and twin.has_large_integer("1" * 30)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map(b"".join))
def test_the_twins_agree_on_any_text(text: bytes) -> None:
    found = python.has_large_integer(text)
    assert compiled.has_large_integer(text) == found
    for whole in (text.decode(), text.decode("latin-1")):
        assert compiled.has_large_integer(whole) == python.has_large_integer(whole) == found


def outcome(read: Any, text: bytes) -> object:
    try:
        return repr(read(text))
    except ValueError:
        return ValueError


STDLIB, ORJSON = json.stdlib_codec(), pytest.importorskip("orjson")
WORDS = [*LARGE[:4], *FITS, b"0" + LARGE[2], b"-0" + LARGE[2], b"[", b"]", b"{", b"}", b":", b","]
WORDS += [b'"a"', b'"', b"\\", b" ", b"-", b".", b"e", b"1", b"null", b'{"a":', b"[1,"]


@TWINS
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(b"".join))
def test_a_text_with_large_integers_reads_as_it_does_carefully(twin: Any, text: bytes) -> None:
    found = outcome(lambda text: twin.read_large(text, ORJSON.loads, STDLIB.loads), text)
    if twin.has_large_integer(text):
        assert found == outcome(STDLIB.loads, text)


@TWINS
@pytest.mark.parametrize(
    "text",
    ["{%s:1}", '[{"a":1,%s:2}]', "[0%s]", "[-0%s]", "[%s", "[%s 1]", '"a"%s', "%s x", "1 %s"],
)
def test_a_large_integer_in_a_wrong_place_is_no_json(twin: Any, text: str) -> None:
    with pytest.raises(ValueError):
        twin.read_large(text % ("9" * 30), ORJSON.loads, STDLIB.loads)


@TWINS
def test_large_integers_keep_every_digit_wherever_they_lie(twin: Any) -> None:
    large, text = 10**30 + 7, "1" * 30
    for value in (large, -large, [large, [-large, {"a": [large], text: text}], text], {"b": large}):
        written = STDLIB.dumps(value)
        for data in (written, written.decode()):
            assert twin.read_large(data, ORJSON.loads, STDLIB.loads) == value


@TWINS
def test_every_float_is_looked_at(twin: Any) -> None:
    for number in (math.nan, math.inf, -math.inf):
        for value in (number, [None, [number]], {"a": (1, {"b": number})}, [object, number]):
            assert not twin.is_finite(value, lambda kind: "plain")
    value = [None, "nan", 1, 1.5, (True, {"a": object})]
    assert twin.is_finite(value, lambda kind: [kind.__name__])
    assert not twin.is_finite([object], lambda kind: math.nan)


def test_the_twins_say_the_same() -> None:
    for name in ("has_large_integer", "read_large", "is_finite"):
        ours, theirs = getattr(compiled, name), getattr(python, name)
        assert inspect.getdoc(ours) == inspect.getdoc(theirs)


def test_the_plain_twin_serves_where_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    assert python.choose() is compiled
    name = "glyph_fast._numbers"

    def absent(*names: object) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(python, "import_module", absent)
    assert python.choose() is python
    name = "something.else"
    with pytest.raises(ModuleNotFoundError):
        python.choose()
    assert json.has_large_integer is compiled.has_large_integer
