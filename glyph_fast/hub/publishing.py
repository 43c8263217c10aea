"""The ways to send by a hub: to everyone, to a room, to a user, to a connection by its id.

Every publication goes through `RoomManager._publish` to the broker, and from there through
`Hub._deliver` to its members here. So whatever is sent has one order, in all processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..dialects.message import Message, Sendable
from ..dialects.publication import (
    CONNECTION,
    EVERYONE,
    ROOM,
    USER,
    Exclude,
    json_publication,
)
from ..errors import ConnectionNotFound
from ..wire import MessageType, SendResult
from .streams import Streams
from .users import user_of

if TYPE_CHECKING:
    from .connection import Connection


class Publishing(Streams):
    """The part of a `Hub` that sends. `exclude` is a connection, an id, or an iterable of them."""

    if TYPE_CHECKING:  # of the hub

        def get_connection(self, id: str) -> Connection | None: ...

    def broadcast(self, message: Sendable, exclude: Exclude = None) -> SendResult:
        """Send a message (str, bytes or Message) to every connection."""
        return self._rooms._publish(self._writer.publication(EVERYONE, None, message, exclude))

    def broadcast_json(self, value: object, exclude: Exclude = None) -> SendResult:
        """Send the bare JSON of a value to every connection."""
        text = self._writer.json_text(value)
        return self._rooms._publish(json_publication(EVERYONE, None, text, exclude))

    def broadcast_to_room(
        self, room: str, message: Sendable, exclude: Exclude = None
    ) -> SendResult:
        """Send a message to the members of a room; to nobody when there is no such room."""
        return self._rooms._publish(self._writer.publication(ROOM, room, message, exclude))

    def _broadcast_json_text_to_room(self, room: str, text: str) -> SendResult:
        """Send what is JSON already to the members of a room."""
        return self._rooms._publish(json_publication(ROOM, room, text))

    def broadcast_json_to_room(
        self, room: str, value: object, exclude: Exclude = None
    ) -> SendResult:
        """Send the bare JSON of a value to the members of a room."""
        text = self._writer.json_text(value)
        return self._rooms._publish(json_publication(ROOM, room, text, exclude))

    def broadcast_event(
        self, name: str, data: Any = None, room: str | None = None, exclude: Exclude = None
    ) -> SendResult:
        """Send an envelope with an event to every connection, or to the members of a room."""
        message = Message(MessageType.JSON, data, event=name, room=room or "")
        if room is None:
            return self.broadcast(message, exclude)
        return self.broadcast_to_room(room, message, exclude)

    def send_to(self, id: str, message: Sendable) -> SendResult:
        """Send a message to the connection of that id. Raises ConnectionNotFound.

        With workers an id that is not of this process may be of another: then the result is
        pending, and nothing is raised.
        """
        conn = self.get_connection(id)
        if conn is not None and conn.is_open:
            return conn.send(message)  # one receiver, and it is here: nothing is published
        if self._rooms._broker.is_alone:
            raise ConnectionNotFound(id)
        return self._rooms._publish(self._writer.publication(CONNECTION, id, message))

    def send_to_user(self, user: Any, message: Sendable) -> SendResult:
        """Send a message to every connection of a user; to nobody when there is none.

        Where users have rooms (`user_room`) it is published in the user's.
        """
        key = user_of(user)
        if (rooms := self._rooms._user_rooms) is not None and (own := rooms.of(key)) is not None:
            return self.broadcast_to_room(own, message)
        return self._rooms._publish(self._writer.publication(USER, key, message))
