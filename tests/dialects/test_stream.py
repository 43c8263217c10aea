"""M: what is kept, as clients and programs see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from glyph_fast.dialects.bare import JsonText
from glyph_fast.dialects.message import Message
from glyph_fast.dialects.publication import ROOM, json_publication, publication
from glyph_fast.dialects.stream import (
    WRITTEN,
    Kept,
    _written,
    enveloped,
    kept_frame,
    place,
    read,
    rfc3339,
    room_reset,
    skip,
    with_room,
    write,
    write_all,
)
from glyph_fast.wire import Position

pytestmark = pytest.mark.both_cores

AT = 1_900_000_000.25
T = "2030-03-17T17:46:40.250000Z"


def kept(message: Any, room: str = "chat", user: str | None = None) -> Kept:
    if isinstance(message, list):  # a value
        made = json_publication(ROOM, room, json.dumps(message[0], separators=(",", ":")))
    else:
        made = publication(ROOM, room, message)
    return (*kept_frame(made)[:1], AT, kept_frame(made)[1], None, user)


def own(**members: Any) -> Message:
    return Message("json", members.pop("data", 1), timestamp="T", **members)


CASES: list[tuple[Any, dict[str, Any]]] = [
    ('a "text" ü', {"type": "text", "data": 'a "text" ü', "timestamp": T}),
    ("x" * 200, {"type": "text", "data": "x" * 200, "timestamp": T}),
    ("x" * 70_000, {"type": "text", "data": "x" * 70_000, "timestamp": T}),
    ("", {"type": "text", "data": "", "timestamp": T}),
    (b"\x00\xff", {"type": "binary", "data": "AP8=", "timestamp": T}),
    ([{"a": [1, None]}], {"type": "json", "data": {"a": [1, None]}, "timestamp": T}),
    ([None], {"type": "json", "data": None, "timestamp": T}),
    (JsonText([1]), {"type": "json", "data": [1], "timestamp": T}),
    (own(), {"type": "json", "data": 1, "timestamp": "T"}),
    (own(room="chat"), {"type": "json", "data": 1, "timestamp": "T"}),
    (own(room="other"), {"type": "json", "data": 1, "timestamp": "T"}),
    (own(data={"room": "chat"}, room="chat"), {"type": "json", "data": {"room": "chat"}}),
    (own(data={"a": 1, "room": "chat"}), {"type": "json", "data": {"a": 1, "room": "chat"}}),
    (
        own(data={"a": 1, "room": "chat"}, room="chat"),
        {"type": "json", "data": {"a": 1, "room": "chat"}},
    ),
    (own(target="ada", id=5, event="e"), {"type": "json", "data": 1, "event": "e"}),
    (
        own(connection_id="ada", metadata={"k": "v"}, room="chat"),
        {"connection_id": "ada", "metadata": {"k": "v"}},
    ),
    (Message("binary", b"\x00\xff", timestamp="T"), {"type": "binary", "data": "AP8="}),
    (Message("text", "x", timestamp="T"), {"type": "text", "data": "x"}),
]


@pytest.mark.parametrize(("message", "expected"), CASES, ids=lambda each: repr(each)[:40])
def test_what_was_sent_is_m(message: Any, expected: dict[str, Any]) -> None:
    found = write(5, kept(message), "chat")
    value = json.loads(found)
    assert next(iter(value)) == "offset"
    assert value["offset"] == 5
    assert {name: value[name] for name in expected} == expected
    assert not {"room", "target", "id", "user"} & value.keys()
    assert found == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    assert json.loads(with_room(found, "chat")) == {"room": "chat", **value}


@pytest.mark.parametrize(("message", "expected"), CASES, ids=lambda each: repr(each)[:40])
def test_a_program_reads_the_same(message: Any, expected: dict[str, Any]) -> None:
    found = read(5, kept(message, user="ada"))
    assert (found.offset, found.user) == (5, "ada")
    assert found.type.value == expected.get("type", "json")
    data = expected.get("data", 1)
    assert found.data == (b"\x00\xff" if data == "AP8=" else data)
    assert found.timestamp == expected.get("timestamp", "T")
    assert found.event == expected.get("event", "")
    assert (found.target, found.id) == ("", None)


def test_the_user_is_named_where_it_is_known() -> None:
    for message in ("hi", own(room="chat"), [1]):
        value = json.loads(write(1, kept(message, user="ada \u00fc"), "chat"))
        assert value["user"] == "ada ü"


def test_a_name_of_a_room_is_written_as_json() -> None:
    name = 'a "room" ü'
    assert json.loads(write(1, kept(own(room=name), name), name)) == {
        "offset": 1, "type": "json", "data": 1, "timestamp": "T",
    }  # fmt: skip
    assert json.loads(with_room(b'{"offset":1}', name)) == {"room": name, "offset": 1}


def test_many_are_written_in_order() -> None:
    found = write_all([(1, kept("a")), (2, kept("b"))], "chat")
    assert [json.loads(text)["data"] for text in found] == ["a", "b"]


def test_what_is_small_is_written_once_for_all_who_ask() -> None:
    _written.cache_clear()
    small, large = kept("x" * 1000), kept("x" * 1100)
    first, again = (write_all([(1, small), (2, large)], "chat") for _ in range(2))
    assert first == again == [write(1, small, "chat"), write(2, large, "chat")]
    assert first[0] is again[0] and first[1] is not again[1]
    assert write_all([(2, small)], "chat") == [write(2, small, "chat")]
    for number in range(3000):
        write_all([(number, small)], "chat")
    assert _written.cache_info().currsize == WRITTEN


def test_frames_for_enveloped_members() -> None:
    made = publication(ROOM, "chat", "hi", "ada")
    place(made, "e", 7, kept("hi"))
    assert made.position == ("e", 7)
    assert json.loads(enveloped(made).payload) == {
        "room": "chat", "offset": 7, "type": "text", "data": "hi", "timestamp": T,
    }  # fmt: skip
    assert json.loads(skip(made).payload) == {"type": "skip", "room": "chat", "offset": 7}
    assert json.loads(room_reset("chat", Position("e", 7)).payload) == {
        "type": "room_reset", "room": "chat", "data": {"epoch": "e", "offset": 7},
    }  # fmt: skip


def test_times_are_rfc_3339() -> None:
    assert rfc3339(AT).decode() == T
    assert rfc3339(0.0) == b"1970-01-01T00:00:00.000000Z"
