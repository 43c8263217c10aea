"""What a received frame is to a program, and what it is sent on as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from glyph_fast.glyph.runtime import frames
from glyph_fast.glyph.runtime.frames import msgspec_slicer, read_input, relay, stdlib_slicer

CASES: list[tuple[str, Any]] = [
    # 1: not JSON, so it is text
    ("hello", "hello"),
    ("", ""),
    ("{", "{"),
    ("nope", "nope"),
    ("[1,]", "[1,]"),
    ("{'a': 1}", "{'a': 1}"),
    ("NaN", "NaN"),
    ('{"a": 1} x', '{"a": 1} x'),
    ("\ufeff1", "\ufeff1"),
    # 2: JSON, but no object
    ('"quoted"', "quoted"),
    ("5", 5),
    (" [1, 2.5] ", [1, 2.5]),
    ("null", None),
    ("true", True),
    # 4: envelopes
    ('{"type": "json", "data": {"a": 1}}', {"a": 1}),
    ('{"type": "text", "data": "hi"}', "hi"),
    ('{"type": "json", "data": 0}', 0),
    ('{"type": "json", "data": false, "x": 1}', False),
    ('{"data": [1], "type": "json"}', [1]),
    ('{"type": "json"}', None),
    ('{"type": "text", "data": null, "room": "r", "timestamp": 5}', None),
    ('{"type": "json", "data": null, "text": "x"}', {"type": "json", "data": None, "text": "x"}),
    ('{"type": "json", "text": "x"}', {"type": "json", "text": "x"}),
    ('{"type": "json", "id": 1}', {"type": "json", "id": 1}),
    ('{"type": "json", "data": 1, "timestamp": {}, "room": 7}', 1),
    ('{"TYPE": "json", "Data": 3}', 3),
    ('{"\\u0074ype": "json", "data": 4}', 4),
    ('{"type": "js\\u006fn", "data": 4}', 4),
    ('{"type": "json", "data": 1, "data": 2}', 2),
    # 5: any other object
    ("{}", {}),
    ('{"text": "x", "n": 1}', {"text": "x", "n": 1}),
    ('{"type": "chat", "data": 1}', {"type": "chat", "data": 1}),
    ('{"type": "join_room", "room": "r"}', {"type": "join_room", "room": "r"}),
    ('{"type": 5, "data": 1}', {"type": 5, "data": 1}),
    ('{"event": "e", "data": 1}', {"event": "e", "data": 1}),
    ('{"data": {"type": "json"}}', {"data": {"type": "json"}}),
    ('{"a": "\\"type\\"", "data": 1}', {"a": '"type"', "data": 1}),
]


@pytest.fixture(params=["msgspec", "stdlib"])
def slicer(request: pytest.FixtureRequest) -> Iterator[None]:
    before = frames._slicer
    frames.set_slicer(msgspec_slicer() if request.param == "msgspec" else stdlib_slicer())
    yield
    frames.set_slicer(before)


@pytest.mark.parametrize(("text", "value"), CASES)
def test_value_of_a_frame(text: str, value: Any) -> None:
    found = read_input(text)
    assert found == value and type(found) is not int


@pytest.mark.parametrize(("text", "value"), CASES)
def test_frame_is_sent_on_as_the_same_value(slicer: None, text: str, value: Any) -> None:
    assert json.loads(relay(text)) == value


@pytest.mark.parametrize(
    ("text", "relayed"),
    [
        ('{"type":"json","data":{"n": 1.10, "big": 123456789012345678901234567890}}',
         '{"n": 1.10, "big": 123456789012345678901234567890}'),
        ('{"type":"json","data":1e400}', "1e400"),
        ('{"n": 1.50}', '{"n": 1.50}'),
        ("[1.0, 2]", "[1.0, 2]"),
    ],
)  # fmt: skip
def test_numbers_keep_their_digits(text: str, relayed: str) -> None:
    assert relay(text) == relayed


def test_the_slicers_agree_on_nested_members_called_data(slicer: None) -> None:
    text = '{"x": {"data": [1], "y": "}"}, "data" : {"data": "\\"data\\":"} , "type": "text"}'
    assert json.loads(relay(text)) == {"data": '"data":'}


@pytest.mark.parametrize("depth", [100, 900])
def test_frames_may_be_nested(slicer: None, depth: int) -> None:
    inner = "[" * depth + "]" * depth
    assert relay('{"type":"json","data":' + inner + "}") == inner


def test_frames_nested_without_end_are_text(slicer: None) -> None:
    text = "[" * 100_000 + "]" * 100_000
    assert json.loads(relay(text)) == text
    assert read_input(text) == text


def test_a_large_frame_is_relayed_without_being_decoded() -> None:
    payload = json.dumps(["x" * 1000] * 400)
    assert relay('{"type":"json","data":' + payload + "}") == payload
