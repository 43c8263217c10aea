"""What a received payload is: plain text, bytes, bare JSON, or an envelope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..json import loads
from ..message import ENVELOPE_MEMBERS, Message, MessageType

# How a text begins that may be JSON and no mere string or number; RFC 8259 §2 allows blanks.
_BEGINNINGS = frozenset("{[ \t\n\r")


def envelope_words(commands: Iterable[str]) -> dict[str, MessageType]:
    """The values of `type` that make an object an envelope, given the built-in words enabled."""
    return {
        type_.value: type_
        for type_ in (MessageType.JSON, MessageType.TEXT, *map(MessageType, commands))
    }


def read_text(payload: str, words: Mapping[str, MessageType], connection_id: str) -> Message:
    """The message that came as a text frame from the connection of that id."""
    value = None
    if payload[:1] in _BEGINNINGS:
        try:
            value = loads(payload)
        except ValueError:
            pass
    if isinstance(value, dict) and ("type" in value or "event" in value):
        type_ = _envelope_type(value, words)
        if type_ is not None:
            return _envelope(type_, value, payload, connection_id)
    elif not isinstance(value, (dict, list)):
        return Message.received(MessageType.TEXT, payload, payload, connection_id)
    return Message.received(MessageType.JSON, value, payload, connection_id)


def _envelope(
    type_: MessageType, value: dict[str, Any], payload: str, connection_id: str
) -> Message:
    if "data" in value:
        message = Message.received(type_, value["data"], payload, connection_id)
        if len(value) > 2 or "type" not in value:
            message.set_members(value)
    else:
        # The whole object, if it says more than an envelope does.
        data = None if value.keys() <= ENVELOPE_MEMBERS else value
        message = Message.received(type_, data, payload, connection_id)
        message.set_members(value)
    message.is_envelope = True
    return message


def _envelope_type(value: dict[str, Any], words: Mapping[str, MessageType]) -> MessageType | None:
    word = value.get("type")
    type_ = words.get(word) if isinstance(word, str) else None
    if type_ is None:
        event = value.get("event")
        if event and isinstance(event, str):
            return MessageType.JSON
    return type_
