"""What a received text is: the table of the wire, row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from glyph_fast.config import CLIENT_COMMANDS
from glyph_fast.handlers import dialect
from glyph_fast.handlers.dialect import envelope_words, read_text
from glyph_fast.message import Message

ALL = envelope_words(CLIENT_COMMANDS)
NONE = envelope_words(())

# received, type, data, whether it is an envelope
TEXTS = [
    ("hello", "text", "hello", False),
    ("", "text", "", False),
    ("   ", "text", "   ", False),
    ('"quoted"', "text", '"quoted"', False),
    ("42", "text", "42", False),
    ("null", "text", "null", False),
    ("{", "text", "{", False),
    ("{'a': 1}", "text", "{'a': 1}", False),
    ("[1, 2", "text", "[1, 2", False),
    ('{"a": NaN}', "text", '{"a": NaN}', False),
    ("[" * 100_000, "text", "[" * 100_000, False),
    ("\ufeff{}", "text", "\ufeff{}", False),
    ("\u00a0{}", "text", "\u00a0{}", False),  # a blank to Python, none to JSON
    ("[1, 2]", "json", [1, 2], False),
    ("{}", "json", {}, False),
    (' \t\r\n{"a": 1}', "json", {"a": 1}, False),
    ('{"type": "chat", "text": "hi"}', "json", {"type": "chat", "text": "hi"}, False),
    ('{"type": "binary", "data": "AA=="}', "json", {"type": "binary", "data": "AA=="}, False),
    ('{"type": "error"}', "json", {"type": "error"}, False),
    ('{"type": 5, "data": 1}', "json", {"type": 5, "data": 1}, False),
    ('{"type": ["json"]}', "json", {"type": ["json"]}, False),
    ('{"data": 1}', "json", {"data": 1}, False),
    ('{"event": 5}', "json", {"event": 5}, False),
    ('{"event": ""}', "json", {"event": ""}, False),
    ('{"type": "JSON", "data": 1}', "json", {"type": "JSON", "data": 1}, False),
    ('{"type": "json", "data": {"a": 1}}', "json", {"a": 1}, True),
    ('{"type": "json", "data": null, "x": 1}', "json", None, True),
    ('{"type": "json"}', "json", None, True),
    ('{"type": "json", "room": "r", "timestamp": "T", "metadata": {}}', "json", None, True),
    ('{"type": "json", "x": 1}', "json", {"type": "json", "x": 1}, True),
    ('{"type": "text", "data": "hi"}', "text", "hi", True),
    ('{"type": "text", "data": 5}', "text", 5, True),
    ('{"event": "typing"}', "json", None, True),
    ('{"event": "typing", "data": true}', "json", True, True),
    ('{"type": "chat", "event": "typing", "data": 1}', "json", 1, True),
    ('{"type": "text", "event": "typing", "data": "x"}', "text", "x", True),
    ('{"type": "join_room", "room": "r"}', "join_room", None, True),
    ('{"type": "ping"}', "ping", None, True),
]


@pytest.mark.parametrize(("text", "type_", "data", "is_envelope"), TEXTS)
def test_a_text_becomes(text: str, type_: str, data: Any, is_envelope: bool) -> None:
    message = read_text(text, ALL, "me")
    assert (message.type, message.data, message.is_envelope) == (type_, data, is_envelope)
    assert message.raw == text
    assert message.connection_id == "me"


@pytest.mark.parametrize("word", CLIENT_COMMANDS)
def test_a_built_in_word_that_is_not_enabled_is_ordinary_json(word: str) -> None:
    value = {"type": word, "room": "r"}
    message = read_text(json.dumps(value), NONE, "me")
    assert (message.type, message.data, message.is_envelope) == ("json", value, False)


def test_the_other_members_of_an_envelope_are_set() -> None:
    message = read_text(
        '{"type":"json","event":"e","data":1,"room":"r","target":"t","timestamp":"T",'
        '"metadata":{"m":1},"id":[7]}',
        ALL,
        "me",
    )
    assert (message.event, message.room, message.target) == ("e", "r", "t")
    assert (message.timestamp, message.metadata, message.id) == ("T", {"m": 1}, [7])


def test_the_connection_id_is_always_the_servers() -> None:
    message = read_text('{"type":"json","connection_id":"somebody else"}', ALL, "me")
    assert message.connection_id == "me"


@pytest.mark.parametrize("member", ["event", "room", "target"])
@pytest.mark.parametrize("value", [None, 5, True, [], {}])
def test_a_text_member_of_the_wrong_kind_is_ignored(member: str, value: object) -> None:
    message = read_text(json.dumps({"type": "json", "data": 1, member: value}), ALL, "me")
    assert message.data == 1
    assert getattr(message, member) == ""


@pytest.mark.parametrize("value", [None, 1700000000, True, [], {}])
def test_a_timestamp_of_the_wrong_kind_is_ignored(value: object) -> None:
    message = read_text(json.dumps({"type": "json", "timestamp": value}), ALL, "me")
    assert not message.has_timestamp


@pytest.mark.parametrize("value", [None, 5, "m", []])
def test_metadata_of_the_wrong_kind_is_ignored(value: object) -> None:
    message = read_text(json.dumps({"type": "json", "metadata": value}), ALL, "me")
    assert message.metadata == {}


def test_members_of_an_object_that_is_no_envelope_stay_data() -> None:
    message = read_text('{"room":"r","metadata":{"a":1}}', ALL, "me")
    assert (message.room, message.metadata) == ("", {})
    assert message.data == {"room": "r", "metadata": {"a": 1}}


def test_what_begins_unlike_an_object_or_array_is_not_tried_as_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dialect, "loads", lambda payload: pytest.fail(f"tried {payload!r}"))
    for text in ("hello", "", '"quoted"', "42", "null", "\u00a0{}", "\ufeff{}"):
        assert read_text(text, ALL, "me").type == "text"


def test_an_envelope_can_be_sent_on() -> None:
    message = read_text('{"type":"json","data":1,"room":"r","timestamp":"T"}', ALL, "me")
    assert Message.from_json(message.to_json()).connection_id == "me"
