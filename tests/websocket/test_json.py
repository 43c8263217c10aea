"""JSON: one rule set, whichever library runs."""

from __future__ import annotations

import builtins
import contextlib
import enum
import gc
import json as stdlib
import math
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

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


@dataclass
class Data:
    a: object = 1
    _b: object = None


@dataclass(frozen=True, slots=True)
class Slotted:
    when: date


class Odd(enum.Enum):
    SET = frozenset()
    DAY = date(2031, 5, 6)


NOON = time(12, 30)
EAST = timezone(timedelta(hours=5, minutes=30))

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
    (Data(), '{"a":1,"_b":null}'),
    (Data([Data(Colour.RED, 2**70)]), '{"a":[{"a":"red","_b":1180591620717411303424}],"_b":null}'),
    ([Slotted(date(2031, 5, 6)), None], '[{"when":"2031-05-06"},null]'),
    (datetime(2031, 5, 6, 7, 8, 9), '"2031-05-06T07:08:09"'),
    (datetime(2031, 5, 6, 7, 8, 9, 10, UTC), '"2031-05-06T07:08:09.000010+00:00"'),
    (datetime(2031, 5, 6, 7, 8, 9, tzinfo=EAST), '"2031-05-06T07:08:09+05:30"'),
    ({"at": NOON}, '{"at":"12:30:00"}'),
    (Odd.DAY, '"2031-05-06"'),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=[text[:24] for _, text in WRITTEN])
def test_a_value_has_one_text(codec: Codec, value: object, text: str) -> None:
    assert codec.dumps(value) == text.encode()


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
    (Odd.SET, TypeError),
    (Data, TypeError),
    (Data(math.nan), ValueError),
    ([None, Data(math.inf)], ValueError),
    (Data({1: 2}), TypeError),
    ((i for i in "ab"), TypeError),
]


@pytest.mark.parametrize(("value", "error"), UNWRITABLE, ids=[repr(v)[:18] for v, _ in UNWRITABLE])
def test_what_is_no_json_value_is_refused(
    codec: Codec, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        codec.dumps(value)


def test_a_key_that_is_no_string_is_refused_in_words(codec: Codec) -> None:
    with pytest.raises(TypeError, match="JSON object keys must be strings, not int"):
        codec.dumps({1: 2})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal(1), "Decimal is not a JSON value"),
        ([{1, 2}], "set is not a JSON value, at [0]"),
        ({"a": {"b c": [0, object()]}}, "object is not a JSON value, at ['a']['b c'][1]"),
        ({"user": Data([1, b"x"])}, "bytes is not a JSON value, at ['user']['a'][1]"),
        ([[{"x": 1, 2: 3}]], "JSON object keys must be strings, not int, at [0][0]"),
        ({"n": [1.5, math.nan]}, "nan is not a JSON value, at ['n'][1]"),
        ([None, -math.inf], "-inf is not a JSON value, at [1]"),
        ({"t": ("x", "\ud800")}, "half a surrogate pair is not a JSON value, at ['t'][1]"),
        ({"\ud800": 1}, "half a surrogate pair is not a JSON value"),
        (Odd.SET, "frozenset is not a JSON value"),
    ],
)
def test_an_error_names_the_path_and_nothing_comes_before_it(
    codec: Codec, value: object, said: str
) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        codec.dumps(value)
    assert str(caught.value) == said
    assert caught.value.__cause__ is None and caught.value.__context__ is None


def test_depth_that_the_encoder_takes_is_not_refused_by_the_check(codec: Codec) -> None:
    deep: object = 2**70  # which the quick way leaves to the careful one
    for _ in range(600):
        deep = [deep]
    assert codec.dumps(deep).endswith(b"1180591620717411303424" + b"]" * 600)


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


EDGES = [10**18, 10**19, 2**63 - 1, 2**63, 2**63 + 1, 2**64 - 1, 2**64, 2**64 + 1, 10**20, 10**21]
EDGES += [99 * 10**17, 19 * 10**18, 18 * 10**18, 10**40, 9 * 10**18, 95 * 10**17]


@pytest.mark.parametrize("number", [*EDGES, *[-edge for edge in EDGES]])
@pytest.mark.parametrize("form", ["%d", "[%d]", '{"a":%d}', "[1,%d ,2]", "[ %d\n]", "[-1,%d]"])
def test_integers_keep_every_digit_at_the_edges(codec: Codec, number: int, form: str) -> None:
    text = form % number
    found = codec.loads(text)
    while isinstance(found, list | dict):
        numbers = [*found.values()] if isinstance(found, dict) else found
        found = number if number in numbers else numbers
    assert found == number and type(found) is int
    assert codec.loads(f'["{number}", 1]') == [str(number), 1]


LONG = "x" * json.MAX_CAREFUL
LARGE_AND_PLAIN = [
    [LONG, 2**63 - 1, 2**64 - 1, -(2**63)],
    [LONG, ": 123456789012345678901234567890,"],
    [LONG, '\\" 123456789012345678901234567890'],
    [LONG, 0.12345678901234567, 1e300],
    [1234567890123456789] * 5000,
]


LARGE_AND_PLAIN += [
    ["123456789012345678901", *[""] * 50_000],
    [LONG, 'a\\"\\\\" 123456789012345678901 \\', "\\\\", '"'],
]


@pytest.mark.parametrize("value", LARGE_AND_PLAIN, ids=range(len(LARGE_AND_PLAIN)))
def test_a_large_text_is_read_where_its_integers_fit(value: object) -> None:
    assert json.loads(stdlib.dumps(value)) == value
    assert json.loads(stdlib.dumps(value).encode()) == value


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_a_large_text_with_larger_integers_is_refused(number: int) -> None:
    """Reading it digit by digit would take all others' time."""
    with pytest.raises(ValueError, match="beyond 64 bits"):
        json.loads(stdlib.dumps([LONG, number]))
    assert json.loads(stdlib.dumps([LONG[:60_000], number]))[1] == number


@pytest.mark.parametrize("is_collecting", [True, False])
def test_garbage_is_collected_after_a_large_text_as_before(is_collecting: bool) -> None:
    try:
        if not is_collecting:
            gc.disable()
        for end in ("]", ""):
            with contextlib.suppress(ValueError):
                json.loads("[" + "[]," * 10_000 + "[]" + end)
            assert gc.isenabled() is is_collecting
    finally:
        gc.enable()


@pytest.mark.parametrize("text", ["[1,", "[NaN]", '["\\ud800"]', "[" * 2000 + "]" * 2000, '["x'])
def test_what_is_no_json_is_read_once(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    def read_again(self: object, text: str) -> object:
        raise AssertionError("a second reading")

    codec = json.orjson_codec()
    monkeypatch.setattr(stdlib.JSONDecoder, "decode", read_again)
    with pytest.raises(ValueError):
        codec.loads(text)


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


# --- with a function of the program's for what JSON does not know


def of_decimal(value: object) -> object:
    if isinstance(value, Decimal):
        return {"digits": str(value), "more": [None]}
    raise TypeError(f"nothing stands for {type(value).__name__}")


@pytest.mark.parametrize("make", CODECS.values(), ids=CODECS)
def test_a_default_is_asked_for_what_is_not_known_alone(make: Any) -> None:
    dumps = make(of_decimal).dumps
    assert dumps([Decimal("1.5"), Colour.RED, Data()]) == (
        b'[{"digits":"1.5","more":[null]},"red",{"a":1,"_b":null}]'
    )
    assert dumps({"big": 2**70, "d": Data(a=Decimal(2))}) == (
        b'{"big":1180591620717411303424,"d":{"a":{"digits":"2","more":[null]},"_b":null}}'
    )


@pytest.mark.parametrize("make", CODECS.values(), ids=CODECS)
def test_what_a_default_does_not_know_is_named_with_its_path(make: Any) -> None:
    with pytest.raises(TypeError) as caught:
        make(of_decimal).dumps({"a": [Decimal(1), {1}]})
    assert str(caught.value) == "nothing stands for set, at ['a'][1]"
    assert caught.value.__context__ is None


@pytest.mark.parametrize("make", CODECS.values(), ids=CODECS)
def test_a_default_may_be_wrong(make: Any) -> None:
    with pytest.raises(ValueError, match="nan is not a JSON value, at \\['a'\\]"):
        make(lambda value: math.nan).dumps({"a": {1}, "b": None})
    with pytest.raises(ValueError, match="nested too deeply"):
        make(lambda value: value).dumps({1})
    with pytest.raises(ZeroDivisionError):
        make(lambda value: 1 / 0).dumps([{1}])


def test_without_a_default_there_is_one_codec() -> None:
    assert json.codec_with(None) is json.codec
    assert json.codec_with(str).name == json.codec.name


class Move(Struct):
    by: object


@pytest.mark.parametrize("kind", [Move, Data, Colour])
def test_a_class_is_no_value(codec: Codec, kind: type) -> None:
    with pytest.raises(TypeError, match="is not a JSON value"):
        codec.dumps(kind)


def test_a_struct_is_made_plain_once() -> None:
    """It was three times: to weigh it, to write it, and by the codec to look at it."""
    asked = []

    def default(value: object) -> object:
        asked.append(value)
        return str(value)

    dumps = orjson_codec(default).dumps
    assert dumps(Move(by=Fraction(1))) == b'{"by":"1"}'
    assert asked == [Fraction(1)]
    asked.clear()
    assert dumps(Fraction(2)) == b'"2"'
    assert asked == [Fraction(2)]
