"""What a message handler is given: the message, who sent it, and ways to answer."""

from __future__ import annotations

from typing import Any

from .. import core
from ..connection import Connection
from ..hub import Hub
from ..message import (
    Message,
    MessageType,
    Sendable,
    envelope_data,
    json_text,
    rfc3339_now,
)
from ..wire import SendResult


class MessageContext(core.Context):
    """One message in the hands of its handlers.

    Replies speak the sender's dialect: an envelope is answered by an envelope, with the `id` of the
    request; anything else by bare text, bytes or JSON.
    """

    __slots__ = ()

    conn: Connection
    message: Message
    hub: Hub

    def _reply(self, type: MessageType | str, data: Any) -> SendResult | None:
        type_ = type if type.__class__ is MessageType else MessageType(type)
        if self.message.is_envelope:
            return self.conn.send(self._envelope(type_, data))
        return self.conn.send(_bare(type_, data))

    def reply_json(self, data: Any) -> SendResult | None:
        """Answer the sender with JSON. Raises what `reply` raises."""
        if self.message.is_envelope:
            return self.conn.send(self._envelope(MessageType.JSON, data))
        return self.conn.send(json_text(data))

    def reply_error(self, error: object) -> SendResult | None:
        """Answer the sender with `{"error": …}`, the text of `error`. Raises ConnectionClosed."""
        return self.reply(MessageType.ERROR, {"error": str(error)})

    def broadcast(self, type: MessageType | str, data: Any = None) -> SendResult | None:
        """Send an envelope to every connection, the sender included."""
        return self.hub.broadcast(Message(type, data, connection_id=self.conn.id))

    def broadcast_to_room(
        self, room: str, type: MessageType | str, data: Any = None
    ) -> SendResult | None:
        """Send an envelope to the members of a room, but not to the sender."""
        message = Message(type, data, room=room, connection_id=self.conn.id)
        return self.hub.broadcast_to_room(room, message, self.conn.id)

    def _envelope(self, type_: MessageType, data: Any) -> str:
        # As Message.to_json, for the four members there are.
        envelope: dict[str, Any] = {"type": type_._value_}
        if data is not None:
            envelope["data"] = envelope_data(data)
        envelope["target"] = self.conn.id
        envelope["timestamp"] = rfc3339_now()
        if self.message.id is not None:
            envelope["id"] = self.message.id
        return json_text(envelope)

    def __repr__(self) -> str:
        return f"<MessageContext {self.message!r} of {self.conn!r}>"


def _bare(type_: MessageType, data: Any) -> Sendable:
    if type_ is MessageType.TEXT:
        if isinstance(data, str):
            return data
        raise TypeError(f"a text reply is a str, not {data.__class__.__name__}")
    if type_ is MessageType.BINARY:
        if isinstance(data, bytes | bytearray | memoryview):
            return bytes(data)
        raise TypeError(f"a binary reply is bytes, not {data.__class__.__name__}")
    return json_text(data)
