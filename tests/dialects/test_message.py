"""Messages: their members, and the way to JSON and back."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from glyph_fast.dialects.message import Message
from glyph_fast.errors import InvalidMessage
from glyph_fast.wire import MessageType

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def members(message: Message) -> dict[str, Any]:
    value = json.loads(message.to_json())
    assert isinstance(value, dict)
    return value


def test_types_are_their_words_on_the_wire() -> None:
    assert [type_.value for type_ in MessageType] == [
        "text", "binary", "json", "connect", "disconnect", "error", "join_room", "leave_room",
        "broadcast", "ping", "pong", "history", "presence", "reply",
    ]  # fmt: skip
    assert MessageType.JOIN_ROOM == "join_room"


def test_a_type_may_be_given_as_its_word() -> None:
    assert Message("json").type is MessageType.JSON


def test_an_unknown_type_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="shout"):
        Message("shout")


def test_empty_members_are_left_out() -> None:
    assert set(members(Message("json"))) == {"type", "timestamp"}


@pytest.mark.parametrize("data", [0, False, "", [], {}])
def test_data_is_left_out_only_when_null(data: object) -> None:
    assert members(Message("json", data))["data"] == data


def test_members_stand_in_the_order_of_the_envelope() -> None:
    message = Message(
        "json", 1, event="e", room="r", target="t", connection_id="c", metadata={"m": 1}, id=7
    )
    assert list(members(message)) == [
        "type", "event", "data", "room", "target", "connection_id", "timestamp", "metadata", "id",
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"\xff\x00", bytearray(b"\xff\x00"), memoryview(b"\xff\x00")])
def test_binary_data_is_base64(data: bytes) -> None:
    assert members(Message("binary", data))["data"] == "/wA="


def test_the_timestamp_is_rfc_3339_in_utc_and_stays_the_same() -> None:
    message = Message("text", "x")
    assert not message._has_timestamp
    first = members(message)["timestamp"]
    assert RFC3339.fullmatch(first)
    assert message.timestamp == first == members(message)["timestamp"]


def test_a_given_timestamp_is_kept() -> None:
    message = Message("text", "x", timestamp="2031-05-06T07:08:09Z")
    assert members(message)["timestamp"] == "2031-05-06T07:08:09Z"
    message.timestamp = "2032-05-06T07:08:09Z"
    assert members(message)["timestamp"] == "2032-05-06T07:08:09Z"


def test_metadata_is_there_to_be_filled() -> None:
    message = Message("text", "x")
    message.metadata["color"] = "blue"
    assert members(message)["metadata"] == {"color": "blue"}
    message.metadata = {}
    assert "metadata" not in members(message)


@pytest.mark.parametrize("data", [float("nan"), object(), {1: 2}])
def test_data_that_json_cannot_hold_is_refused(data: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        Message("json", data).to_json()


@pytest.mark.parametrize(
    "message",
    [
        Message("text", "hello", timestamp="T"),
        Message("json", {"a": [1, None]}, event="moved", room="r", timestamp="T", id="7"),
        Message("binary", b"\x00\xff", target="t", connection_id="c", timestamp="T"),
        Message("pong", metadata={"a": 1}, timestamp="T"),
    ],
    ids=lambda message: message.type,
)
def test_from_json_reads_what_to_json_wrote(message: Message) -> None:
    assert Message.from_json(message.to_json()) == message
    assert Message.from_json(message.to_json().decode()) == message


def test_from_json_takes_an_event_without_a_type_for_json() -> None:
    message = Message.from_json(b'{"event": "typing", "data": true}')
    assert (message.type, message.event, message.data) == ("json", "typing", True)


def test_from_json_ignores_members_of_the_wrong_kind() -> None:
    message = Message.from_json(
        b'{"type":"json","event":1,"room":[],"target":{},"connection_id":5,"timestamp":17,'
        b'"metadata":"m","data":1}'
    )
    assert (message.event, message.room, message.target, message.connection_id) == ("",) * 4
    assert message.metadata == {}
    assert not message._has_timestamp
    assert message.data == 1


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"hello", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[1]", "not an array"),
        (b'"x"', "not a string"),
        (b"null", "not null"),
        (b"true", "not a boolean"),
        (b"1", "not a number"),
        (b"{}", "unknown message type: None"),
        (b'{"type":"shout"}', "unknown message type: 'shout'"),
        (b'{"type":["json"]}', "unknown message type"),
        (b'{"type":"binary","data":"?"}', "not base64"),
    ],
)
def test_from_json_refuses_what_is_no_message(data: bytes, complaint: str) -> None:
    with pytest.raises(InvalidMessage, match=re.escape(complaint)):
        Message.from_json(data)


def test_messages_compare_by_their_members() -> None:
    assert Message("json", 1, timestamp="T") == Message("json", 1, timestamp="T")
    assert Message("json", 1, timestamp="T") != Message("json", 2, timestamp="T")
    assert Message("json", 1) != {"type": "json"}


def test_the_text_form_names_the_members_that_are_set() -> None:
    assert repr(Message("json", 1, room="r")) == "<Message json data=1 room='r'>"
