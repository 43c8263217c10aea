"""The kind of a message that may be an envelope, and the handlers it goes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import core
from ..dialects.base import as_json
from ..dialects.message import Message
from ..wire import ELSE_ORDINARY, MessageType
from .answering import asked
from .builtin import refuse_text
from .registry import Plan
from .signature import Call

if TYPE_CHECKING:
    from ..hub.connection import Connection


UNREAD = object()
COMMAND_FRAMES = 28  # that a built-in message counts like, beside those of its JSON


class Reading(core.Dispatch):
    """The part of a dispatcher that reads.

    `deliver` hands a message to a stream, `nobody` stands for handlers that are not there.
    `is_meant` says of a built-in word whether its message is one to the server; else it is ordinary
    JSON.
    """

    deliver: Call | None
    nobody: tuple[Call, ...]
    is_meant: Callable[[Connection, Message], bool]

    def _read(
        self, conn: Connection, payload: str, value: Any = UNREAD
    ) -> tuple[Message, tuple[Call, ...]]:
        """A text that may be JSON: the message it is, and who handles that.

        `value` is its JSON where that was read before, None when it is none.
        """
        plan: Plan = conn._plan
        if value is UNREAD:
            message = plan.dialect.read(payload, conn.id)
        else:
            message = plan.dialect.message_of(value, payload, conn.id)
        if message.id is not None:  # somebody waits for an answer
            message, calls = self._takers(plan, conn, message)
            if message.is_envelope and (calls or not plan.is_open):
                calls = asked(conn, message, self.hub, calls)
            return message, calls
        return self._takers(plan, conn, message)

    def _takers(
        self, plan: Plan, conn: Connection, message: Message
    ) -> tuple[Message, tuple[Call, ...]]:
        """The message, which may be another than it seemed to be, and who handles it."""
        type_ = message.type
        if type_ is not MessageType.JSON:
            if type_ is MessageType.TEXT:
                takers = (plan.events.get(message.event, ()) if message.event else ()) or plan.text
                return message, takers if isinstance(message.data, str) else self._textless(takers)
            conn._turn.charge(COMMAND_FRAMES)
            if type_ not in ELSE_ORDINARY:
                calls = plan.events.get(message.event) if message.event else None
                return message, calls or plan.commands[type_]
            if self.is_meant(conn, message):  # with an event too: somebody may wait for it
                return message, plan.commands[type_]
            message = as_json(message, plan.dialect)
        if message.event and (calls := plan.events.get(message.event)):
            return message, calls
        if plan.json_as_text:
            message.type, message.data = MessageType.TEXT, message.raw
        return message, plan.json

    def _textless(self, calls: tuple[Call, ...]) -> tuple[Call, ...]:
        """Return who handles a `text` envelope without one: the stream, which reads it raw."""
        streams = calls[:1] if calls[:1] == (self.deliver,) else ()
        return calls if calls in (streams, self.nobody) else (*streams, refuse_text)
