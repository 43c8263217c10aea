"""What a received payload is: plain text, bytes, bare JSON, or an envelope."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..json import loads
from ..message import ENVELOPE_MEMBERS, Message, MessageType

_OPENINGS = ("{", "[")
_BLANKS = " \t\n\r"  # RFC 8259 §2


def envelope_words(commands: Iterable[str]) -> dict[str, MessageType]:
    """The values of `type` that make an object an envelope, given the built-in words enabled."""
    return {
        type_.value: type_
        for type_ in (MessageType.JSON, MessageType.TEXT, *map(MessageType, commands))
    }


def may_be_json(payload: str) -> bool:
    """Whether a text could be a JSON object or array, judged by its first character alone."""
    return payload.lstrip(_BLANKS).startswith(_OPENINGS)


def read_text(payload: str, words: Mapping[str, MessageType], connection_id: str) -> Message:
    """The message that came as a text frame from the connection of that id."""
    if not may_be_json(payload):
        return Message(MessageType.TEXT, payload, raw=payload, connection_id=connection_id)
    try:
        value = loads(payload)
    except ValueError:
        return Message(MessageType.TEXT, payload, raw=payload, connection_id=connection_id)
    type_ = _envelope_type(value, words) if isinstance(value, dict) else None
    if type_ is None:
        return Message(MessageType.JSON, value, raw=payload, connection_id=connection_id)
    message = Message(type_, _data(value), raw=payload, connection_id=connection_id)
    message.set_members(value)
    return message


def _envelope_type(value: dict[str, Any], words: Mapping[str, MessageType]) -> MessageType | None:
    word = value.get("type")
    type_ = words.get(word) if isinstance(word, str) else None
    if type_ is None:
        event = value.get("event")
        if event and isinstance(event, str):
            return MessageType.JSON
    return type_


def _data(envelope: dict[str, Any]) -> Any:
    """Its `data`; where there is none, the whole object if it says more than an envelope does."""
    if "data" in envelope:
        return envelope["data"]
    return None if envelope.keys() <= ENVELOPE_MEMBERS else envelope
