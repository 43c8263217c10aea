"""What a received text is: the table of the wire, row by row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from glyph_fast.dialects import base
from glyph_fast.dialects.base import Dialect, Undecoded
from glyph_fast.dialects.message import Message
from glyph_fast.options.declaration import CLIENT_COMMANDS
from glyph_fast.wire import MessageType

ALL = Dialect(CLIENT_COMMANDS)
NONE = Dialect()

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
    message = ALL.read(text, "me")
    assert (message.type, message.data, message.is_envelope) == (type_, data, is_envelope)
    assert message.raw == text
    assert message.connection_id == "me"


@pytest.mark.parametrize("word", CLIENT_COMMANDS)
def test_a_built_in_word_that_is_not_enabled_is_ordinary_json(word: str) -> None:
    value = {"type": word, "room": "r"}
    message = NONE.read(json.dumps(value), "me")
    assert (message.type, message.data, message.is_envelope) == ("json", value, False)


def test_the_other_members_of_an_envelope_are_set() -> None:
    message = ALL.read(
        '{"type":"json","event":"e","data":1,"room":"r","target":"t","timestamp":"T",'
        '"metadata":{"m":1},"id":[7]}',
        "me",
    )
    assert (message.event, message.room, message.target) == ("e", "r", "t")
    assert (message.timestamp, message.metadata, message.id) == ("T", {"m": 1}, [7])


def test_the_connection_id_is_always_the_servers() -> None:
    message = ALL.read('{"type":"json","connection_id":"somebody else"}', "me")
    assert message.connection_id == "me"


@pytest.mark.parametrize("member", ["event", "room", "target"])
@pytest.mark.parametrize("value", [None, 5, True, [], {}])
def test_a_text_member_of_the_wrong_kind_is_ignored(member: str, value: object) -> None:
    message = ALL.read(json.dumps({"type": "json", "data": 1, member: value}), "me")
    assert message.data == 1
    assert getattr(message, member) == ""


@pytest.mark.parametrize("value", [None, 1700000000, True, [], {}])
def test_a_timestamp_of_the_wrong_kind_is_ignored(value: object) -> None:
    message = ALL.read(json.dumps({"type": "json", "timestamp": value}), "me")
    assert not message._has_timestamp


@pytest.mark.parametrize("value", [None, 5, "m", []])
def test_metadata_of_the_wrong_kind_is_ignored(value: object) -> None:
    message = ALL.read(json.dumps({"type": "json", "metadata": value}), "me")
    assert message.metadata == {}


def test_members_of_an_object_that_is_no_envelope_stay_data() -> None:
    message = ALL.read('{"room":"r","metadata":{"a":1}}', "me")
    assert (message.room, message.metadata) == ("", {})
    assert message.data == {"room": "r", "metadata": {"a": 1}}


def test_what_begins_unlike_an_object_or_array_is_not_tried_as_json(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(base, "loads", lambda payload: pytest.fail(f"tried {payload!r}"))
    for text in ("hello", "", '"quoted"', "42", "null", "\u00a0{}", "\ufeff{}"):
        assert ALL.read(text, "me").type == "text"


def test_an_envelope_can_be_sent_on() -> None:
    message = ALL.read('{"type":"json","data":1,"room":"r","timestamp":"T"}', "me")
    assert Message.from_json(message.to_json()).connection_id == "me"


# What is answered.


def test_a_bare_message_is_answered_bare() -> None:
    request = ALL.read("hello", "me")
    assert ALL.reply(request, MessageType.TEXT, "hi", "me") == "hi"
    assert ALL.reply(request, MessageType.JSON, {"a": 1}, "me") == '{"a":1}'


def test_an_envelope_is_answered_by_one_with_its_id() -> None:
    request = ALL.read('{"type":"json","data":1,"id":"7"}', "me")
    answer = ALL.reply(request, MessageType.BINARY, b"\xff", "me")
    assert isinstance(answer, str)
    read = json.loads(answer)
    assert read.pop("timestamp")
    assert read == {"type": "binary", "data": "/w==", "target": "me", "id": "7"}


# What nobody looks at is not decoded.

RAW = Undecoded(CLIENT_COMMANDS)


@pytest.mark.parametrize(
    "text",
    ['{"type":"json","data":1}', '{"a": 1}', '{"event":"typing"}', "[1]", '{"type":"shout"}'],
)
def test_json_is_left_undecoded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "loads", lambda payload: pytest.fail(f"decoded {payload!r}"))
    message = RAW.read(text, "me")
    assert (message.type, message.data, message.raw) == ("json", None, text)
    assert message.connection_id == "me"


@pytest.mark.parametrize("word", CLIENT_COMMANDS)
def test_a_command_is_read_in_whatever_letters(word: str) -> None:
    text = json.dumps({"type": word, "room": "r"})
    assert RAW.read(text, "me") == ALL.read(text, "me")
    assert RAW.read(text, "me").type == word
    escaped = text.replace(word, f"\\u{ord(word[0]):04x}{word[1:]}")
    assert RAW.read(escaped, "me").type == word


def test_a_word_that_is_not_enabled_is_left_undecoded() -> None:
    assert Undecoded(("ping",)).read('{"type":"join_room","room":"r"}', "me").data is None
    assert Undecoded().read('{"type":"ping","data":""}', "me").type == "json"
