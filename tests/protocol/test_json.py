"""JSON: one rule set, whichever library runs."""

from __future__ import annotations

import builtins
import enum
import json as stdlib
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glyph_fast import json
from glyph_fast.json import Codec, orjson_codec, stdlib_codec

CODECS = {"orjson": orjson_codec, "json": stdlib_codec}
BOTH = orjson_codec(), stdlib_codec()


@pytest.fixture(params=list(CODECS))
def codec(request: pytest.FixtureRequest) -> Codec:
    """Each way of reading and writing JSON in turn."""
    return CODECS[request.param]()


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(enum.StrEnum):
    YES = "yes"


class Text(str):
    pass


Point = namedtuple("Point", "x y")

WRITTEN: list[tuple[object, str]] = [
    (None, "null"),
    (True, "true"),
    (0, "0"),
    (-1, "-1"),
    (2**53 + 1, "9007199254740993"),
    (2**63, "9223372036854775808"),
    (2**64, "18446744073709551616"),
    (-(2**63) - 1, "-9223372036854775809"),
    (10**40, "1" + "0" * 40),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (0.1, "0.1"),
    (1e16, "1e+16"),
    (1.5e300, "1.5e+300"),
    ("", '""'),
    ("é 😀 \u2028", '"é 😀 \u2028"'),
    ('"\\/', '"\\"\\\\/"'),
    ("\x00\x1f\n\t\x7f", '"\\u0000\\u001f\\n\\t\x7f"'),
    ("null", '"null"'),
    ([], "[]"),
    ({}, "{}"),
    ([1, [None, {}]], "[1,[null,{}]]"),
    ((1, 2), "[1,2]"),
    (Point(1, 2), "[1,2]"),
    ({"b": 1, "a": None}, '{"b":1,"a":null}'),
    (OrderedDict(b=1, a=2), '{"b":1,"a":2}'),
    ({Text("a"): Text("b")}, '{"a":"b"}'),
    ({"a": 2**70, "b": None}, '{"a":1180591620717411303424,"b":null}'),
    (Colour.RED, '"red"'),
    (Level.HIGH, "3"),
    (Word.YES, '"yes"'),
    ([Colour.RED, None], '["red",null]'),
    (UUID(int=7), '"00000000-0000-0000-0000-000000000007"'),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=[text[:24] for _, text in WRITTEN])
def test_a_value_has_one_text(codec: Codec, value: object, text: str) -> None:
    assert codec.dumps(value) == text.encode()


@dataclass
class Data:
    a: int = 1


UNWRITABLE: list[tuple[object, type[Exception]]] = [
    (math.nan, ValueError),
    (math.inf, ValueError),
    (-math.inf, ValueError),
    ({"a": [None, math.nan]}, ValueError),
    ([(math.inf,)], ValueError),
    ([None, 2**70, math.nan], ValueError),
    ("\ud800", ValueError),
    ({"\udfff": 1}, ValueError),
    ({1: 2}, TypeError),
    ({None: 2}, TypeError),
    ({True: 2}, TypeError),
    ({"a": {1.5: 2}}, TypeError),
    ([{"a": ({b"b": 2},)}], TypeError),
    (b"bytes", TypeError),
    (bytearray(b"bytes"), TypeError),
    ({1, 2}, TypeError),
    (object(), TypeError),
    (1j, TypeError),
    (Decimal(1), TypeError),
    (datetime.now(UTC), TypeError),
    (Data(), TypeError),
    ((i for i in "ab"), TypeError),
]


@pytest.mark.parametrize(("value", "error"), UNWRITABLE, ids=[repr(v)[:24] for v, _ in UNWRITABLE])
def test_what_is_no_json_value_is_refused(
    codec: Codec, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        codec.dumps(value)


def test_a_key_that_is_no_string_is_refused_in_words(codec: Codec) -> None:
    with pytest.raises(TypeError, match="JSON object keys must be strings, not int"):
        codec.dumps({1: 2})


def test_an_object_is_refused_by_the_name_of_its_type(codec: Codec) -> None:
    with pytest.raises(TypeError, match="datetime is not a JSON value"):
        codec.dumps([datetime.now(UTC)])


def test_circles_and_endless_depth_are_refused(codec: Codec) -> None:
    circle: list[object] = []
    circle.append(circle)
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (circle, deep):
        with pytest.raises(ValueError):
            codec.dumps(value)
    with pytest.raises(ValueError):
        codec.loads("[" * 100_000)


READ: list[tuple[str, object]] = [
    ("null", None),
    (" \t\r\n1 ", 1),
    ("-0", 0),
    ("18446744073709551615", 2**64 - 1),
    ("18446744073709551616", 2**64),
    ("-9223372036854775809", -(2**63) - 1),
    ('{"a":[1180591620717411303424]}', {"a": [2**70]}),
    ("1" * 400, int("1" * 400)),
    ('"18446744073709551616"', "18446744073709551616"),
    ("1e5", 100000.0),
    ("0.1", 0.1),
    ("1234567890123456789.5", 1234567890123456789.5),
    ("1e-400", 0.0),
    ('"\\u00e9\\n\\/\x7f"', "é\n/\x7f"),
    ('"\\ud83d\\ude00"', "😀"),
    ('"\\\\ud800"', "\\ud800"),
    ('"é😀"', "é😀"),
    ('{"a":1,"a":2}', {"a": 2}),
    ('{"":{}}', {"": {}}),
    ("[[],{}]", [[], {}]),
]


@pytest.mark.parametrize("kind", [str, str.encode])
@pytest.mark.parametrize(("text", "value"), READ, ids=[text[:24] for text, _ in READ])
def test_a_text_has_one_value(codec: Codec, text: str, value: object, kind: Any) -> None:
    found = codec.loads(kind(text))
    assert found == value
    assert type(found) is type(value)


MALFORMED = ["", " ", "{", "[1,]", '{"a":1,}', "{a:1}", "'a'", "01", "+1", ".5", "1.", "0x1", "tru"]
MALFORMED += ["NaN", "Infinity", "-Infinity", "[NaN]", "1e400", "-1e400", "1 2", "//x", "\ufeff1"]
MALFORMED += [
    '"\x00"',
    '"\n"',
    '"\\x"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '["\\ud800x"]',
    "1_0",
    "١",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_text_is_a_value_error(codec: Codec, text: str) -> None:
    for data in (text, text.encode()):
        with pytest.raises(ValueError):
            codec.loads(data)


@pytest.mark.parametrize("data", [b"\xff", b'"\xc3"', b'"\xed\xa0\x80"', '"é"'.encode("utf-16")])
def test_bytes_that_are_not_utf8_are_a_value_error(codec: Codec, data: bytes) -> None:
    with pytest.raises(ValueError):
        codec.loads(data)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


def outcome(function: Any, argument: object) -> object:
    try:
        return repr(function(argument))
    except (ValueError, TypeError) as error:
        return issubclass(type(error), ValueError)


@given(VALUES)
def test_both_codecs_agree_on_any_value(value: object) -> None:
    fast, plain = BOTH
    text = outcome(fast.dumps, value)
    if isinstance(text, str):  # 1e-7 may be written 1e-07
        assert repr(fast.loads(fast.dumps(value))) == repr(plain.loads(plain.dumps(value)))
    else:
        assert text == outcome(plain.dumps, value)


@given(st.text(alphabet='{}[]",:\\ud8c0e1.-+ntrfals', max_size=12) | VALUES.map(stdlib.dumps))
def test_both_codecs_agree_on_any_text(text: str) -> None:
    fast, plain = BOTH
    assert outcome(fast.loads, text) == outcome(plain.loads, text)


def test_orjson_is_used_where_it_is_installed() -> None:
    assert json.codec.name == "orjson"
    assert json.dumps([1]) == b"[1]" and json.loads(b"[1]") == [1]


def test_the_standard_library_serves_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_orjson(monkeypatch, missing="orjson")
    assert json._best_codec().name == "json"


def test_a_broken_orjson_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    hide_orjson(monkeypatch, missing="somewhere.else")
    with pytest.raises(ModuleNotFoundError):
        json._best_codec()


def hide_orjson(monkeypatch: pytest.MonkeyPatch, *, missing: str) -> None:
    """Make `import orjson` fail because `missing` is."""
    real_import = builtins.__import__

    def fake_import(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "orjson":
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake_import)
