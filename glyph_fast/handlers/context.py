"""The context that a message handler is given: the message, its sender, and ways to answer."""

from __future__ import annotations

from typing import Any

from .. import core
from ..dialects.base import Dialect
from ..dialects.message import Message
from ..hub.connection import Connection
from ..hub.hub import Hub
from ..wire import MessageType, SendResult

ANSWERED_FRAME = 2048  # characters that count in the sender's share of a turn like one frame


class MessageContext(core.Context):
    """One message in the hands of its handlers.

    Replies speak the sender's dialect: an envelope is answered by an envelope, with the `id` of the
    request; anything else by bare text, bytes or JSON.
    """

    __slots__ = ()

    conn: Connection
    """The sender's connection."""
    message: Message
    """What was received."""
    hub: Hub
    """All connections, and the rooms."""

    def _reply(self, type: MessageType | str, data: Any) -> SendResult:
        type_ = type if type.__class__ is MessageType else MessageType(type)
        dialect: Dialect = self.conn._plan.dialect
        return self.conn.send(dialect.reply(self.message, type_, data, self.conn.id))

    def reply_error(self, error: object) -> SendResult:
        """Answer the sender with `{"error": …}`, the text of `error`. Raises ConnectionClosed."""
        return self.reply(MessageType.ERROR, {"error": str(error)})

    def broadcast(self, type: MessageType | str, data: Any = None) -> SendResult:
        """Send an envelope to every connection, the sender included."""
        return self.hub.broadcast(Message(type, data, connection_id=self.conn.id))

    def broadcast_to_room(self, room: str, type: MessageType | str, data: Any = None) -> SendResult:
        """Send an envelope to the members of a room, but not to the sender."""
        message = Message(type, data, room=room, connection_id=self.conn.id)
        return self.hub.broadcast_to_room(room, message, self.conn.id)

    def _send_answer(self, text: str) -> SendResult:
        """Send the envelope of an answer that was written elsewhere."""
        return self.conn.send(text)

    def _keep_answer(self, text: str) -> bool:
        """The same for one that must not be lost; after False whoever sends it should drain."""
        self.conn._turn.charge(len(text) // ANSWERED_FRAME)
        kept: bool = self.conn._answer(text)
        return kept

    def __repr__(self) -> str:
        return f"<MessageContext {self.message!r} of {self.conn!r}>"
