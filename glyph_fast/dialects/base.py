"""A dialect: how the clients of a route speak, and what they are answered in.

Every message says by its form which format it has, so one `Dialect` serves clients of both: what
came as an envelope is answered by one, and anything else by the bare format. A route has the one
that its `Plan` was given when it was filled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..json import loads, value_of
from ..wire import MessageType
from . import bare, envelope
from .message import Message
from .writer import PLAIN, Writer

# How a text begins that may be JSON and no mere string or number; RFC 8259 §2 allows blanks.
_BEGINNINGS = frozenset("{[ \t\n\r")


class Dialect:
    """Bare messages and envelopes.

    `commands` are the built-in words that clients may use, `writer` writes answers.
    """

    __slots__ = ("words", "writer")

    def __init__(self, commands: Iterable[str] = (), writer: Writer = PLAIN) -> None:
        self.writer = writer
        # The values of `type` that make an object an envelope.
        self.words = {
            type_.value: type_
            for type_ in (MessageType.JSON, MessageType.TEXT, *map(MessageType, commands))
        }

    def read(self, payload: str, connection_id: str) -> Message:
        """The message that came as a text frame from the connection of that id."""
        value = value_of(payload) if payload[:1] in _BEGINNINGS else None
        return self.message_of(value, payload, connection_id)

    def message_of(self, value: Any, payload: str, connection_id: str) -> Message:
        """Read as `read` does a text whose JSON is this value; None when it is no message."""
        if isinstance(value, dict) and ("type" in value or "event" in value):
            type_ = envelope.type_of(value, self.words)
            if type_ is not None:
                message = Message._received(type_, None, payload, connection_id)
                envelope.read(message, value)
                return message
        elif not isinstance(value, (dict, list)):
            return Message._received(MessageType.TEXT, payload, payload, connection_id)
        return Message._received(MessageType.JSON, value, payload, connection_id)

    def reply(
        self, request: Message, type_: MessageType, data: Any, connection_id: str
    ) -> str | bytes:
        """What answers `request`, which that connection sent, with data of a type.

        Raises TypeError for data that does not go with the type or that JSON cannot hold.
        """
        if request.is_envelope:
            return envelope.reply(type_, data, connection_id, request.id, self.writer.dumps)
        return bare.reply(type_, data, self.writer.json_text)


def as_json(message: Message, dialect: Dialect) -> Message:
    """Make a message of JSON of one to the server, where its word means nothing.

    With an event it is still an envelope.
    """
    assert isinstance(message.raw, str)
    if message.event:
        message.type = MessageType.JSON
        return message
    value = None if isinstance(dialect, Undecoded) else loads(message.raw)
    return Message._received(MessageType.JSON, value, message.raw, message.connection_id)


class Undecoded(Dialect):
    """Leaves JSON undecoded, for handlers that look at `message.raw` alone, but for commands."""

    __slots__ = ("_may_be_command",)

    def __init__(self, commands: Iterable[str] = (), writer: Writer = PLAIN) -> None:
        words = tuple(commands)
        super().__init__(words, writer)
        # An escape could hide a word.
        self._may_be_command = re.compile(rf'"(?:{"|".join(words)})"|\\u').search

    def read(self, payload: str, connection_id: str) -> Message:
        """A message of JSON without data, unless it may be one to the server itself."""
        if ('"type"' in payload or "\\u" in payload) and self._may_be_command(payload):
            return super().read(payload, connection_id)
        return Message._received(MessageType.JSON, None, payload, connection_id)
