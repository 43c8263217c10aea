"""Messages as events, and the ids that say where a stream is."""

from __future__ import annotations

import json

import pytest

from glyph_fast import core
from glyph_fast.dialects.events import block, data_of, id_of, read_id, streamed
from glyph_fast.dialects.message import Message
from glyph_fast.dialects.publication import EVERYONE, ROOM, json_publication, publication
from glyph_fast.wire import Position


def read(data: bytes):
    value = json.loads(data)
    value.pop("timestamp", None)
    return value


def test_an_event_is_lines_and_an_empty_one():
    assert block(b"{}") == b"data: {}\n\n"
    assert block(b"{}", b"x", "open", 1000) == b"event: open\nretry: 1000\nid: x\ndata: {}\n\n"
    assert block(b"", b"x") == b"id: x\n\n"


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ("hi", {"type": "text", "data": "hi"}),
        ("", {"type": "text", "data": ""}),
        ("a\nb\r\n", {"type": "text", "data": "a\nb\r\n"}),
        ("12", {"type": "text", "data": "12"}),
        ("{no", {"type": "text", "data": "{no"}),
        (b"\0\xff", {"type": "binary", "data": "AP8="}),
        ('{"a": 1}', {"type": "json", "data": {"a": 1}}),
        ('{"type": "move", "x": 1}', {"type": "json", "data": {"type": "move", "x": 1}}),
        ('{"type": ["json"]}', {"type": "json", "data": {"type": ["json"]}}),
        ("[1,\n2]", {"type": "json", "data": [1, 2]}),
        ('{"type":"json","data":1}', {"type": "json", "data": 1}),
        ('{"type":"skip","room":"a","offset":1}', {"type": "skip", "room": "a", "offset": 1}),
        ('{"event":\n"e"}', {"event": "e"}),
        (Message("text", "x", room="r"), {"type": "text", "data": "x", "room": "r"}),
    ],
)
def test_data_is_an_envelope_in_one_line(message, data):
    frame = core.Frame(message)
    line = data_of(frame)
    assert read(line) == data
    assert b"\n" not in line and b"\r" not in line
    assert data_of(frame) is line  # made once


@pytest.mark.parametrize(
    ("made", "data"),
    [
        (publication(ROOM, "a", "[1]"), {"room": "a", "type": "text", "data": "[1]"}),
        (publication(ROOM, "a", b"\0"), {"room": "a", "type": "binary", "data": "AA=="}),
        (json_publication(ROOM, "a", "5"), {"room": "a", "type": "json", "data": 5}),
        (json_publication(EVERYONE, None, "[1]"), {"type": "json", "data": [1]}),
        (
            publication(ROOM, "a", Message("json", 1, event="e")),
            {"room": "a", "type": "json", "event": "e", "data": 1},
        ),
        (
            publication(ROOM, "a", Message("json", 1, room="b")),
            {"room": "b", "type": "json", "data": 1},
        ),
        (publication(EVERYONE, None, Message("text", "x")), {"type": "text", "data": "x"}),
    ],
)
def test_what_is_published_becomes_an_envelope_that_names_its_room(made, data):
    frame = streamed(made)
    assert read(frame.payload) == data
    assert read(data_of(frame)) == data


PLACES = {"chat:1": Position("e-_1", 7), "ö, :": Position("a:b,c/é", 0)}


def test_an_id_tells_the_positions_of_rooms():
    text = id_of(PLACES.items()).decode()
    assert text.isascii() and not set(text) & set(" \r\n\0")
    assert read_id(text, PLACES) == PLACES
    assert read_id(text, ["chat:1", "other"]) == {"chat:1": PLACES["chat:1"]}
    assert id_of([]) == b""


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: "12",
        lambda text: text + ",",
        lambda text: text[:-1] + "x",
        lambda text: text[1:],
        lambda text: text.replace(":", ";"),
        lambda text: text + "9" * 30,
        lambda text: text + " ",
        lambda text: "ﬀ" + text[1:],
    ],
)
def test_what_is_no_id_of_ours_tells_nothing(change):
    text = id_of([("chat:1", Position("epoch", 7))]).decode()
    assert read_id(change(text), ["chat:1"]) == {}
