"""The hub: who is connected, who is in which room, and sending to many at once."""

from __future__ import annotations

import asyncio
import heapq
import math
import os
from collections.abc import Callable
from typing import Any, cast

from . import core
from .config import Config
from .connection import Connection
from .errors import ConnectionNotFound
from .expiry import Expiry
from .message import Message, MessageType, Sendable, json_text
from .metrics import Metrics
from .room import Exclude, RoomManager, excluded_ids
from .users import Users, user_of
from .wire import (
    CLOSE_REASONS,
    CREDENTIALS_EXPIRED,
    GOING_AWAY,
    NOBODY,
    NORMAL,
    SendResult,
    is_sendable_code,
)

LARGEST_ROOMS = 20  # that are named in the figures
IDS_AT_ONCE = 64  # drawn with one system call
CLOSE_BATCH = 500  # connections closed before the loop gets a breath


class Hub:
    """All open connections of a server, and its rooms.

    Everything may be called from any thread: what sends or closes is handed to the loop in order
    and returns None at once; what reads gives a snapshot. A broadcast skips closed connections.
    `exclude` is a connection, an id, or an iterable of them.
    """

    def __init__(self, config: Config | None = None) -> None:
        self.metrics = Metrics(self.figures)
        self.turn: core.Turn | None = None
        self._everyone = core.Room()
        self._ids: list[str] = []  # for the next connections
        self._rooms = RoomManager()
        self._users = Users()
        self._expiry = Expiry()
        self.configure(config if config is not None else Config())

    def configure(self, config: Config) -> None:
        """Go by other options than those it was made with. Before the server runs."""
        self.config = config
        self._rooms.set_limits(
            max_members=config.max_room_members,
            max_rooms=config.max_rooms_per_connection,
            max_name=config.max_room_name,
        )

    def attach(self, turn: core.Turn) -> None:
        """Serve the connections of `turn`. Called once the server's loop runs."""
        self.turn = self._rooms.turn = turn
        self.metrics.core = turn.counters

    # Sending.

    def broadcast(self, message: Sendable, exclude: Exclude = None) -> SendResult | None:
        """Send a message (str, bytes or Message) to every connection."""
        frame, ids = core.Frame(message), excluded_ids(exclude)
        if self._rooms.is_posted(self._everyone.publish, frame, ids):
            return None
        return self._everyone.publish(frame, ids) if self._everyone.members else NOBODY

    def broadcast_json(self, value: object, exclude: Exclude = None) -> SendResult | None:
        """Send the bare JSON of a value to every connection."""
        return self.broadcast(json_text(value), exclude)

    def broadcast_to_room(
        self, room: str, message: Sendable, exclude: Exclude = None
    ) -> SendResult | None:
        """Send a message to the members of a room; to nobody when there is no such room."""
        return self._rooms.broadcast(room, message, exclude)

    def broadcast_json_to_room(
        self, room: str, value: object, exclude: Exclude = None
    ) -> SendResult | None:
        """Send the bare JSON of a value to the members of a room."""
        return self._rooms.broadcast(room, json_text(value), exclude)

    def broadcast_event(
        self, name: str, data: Any = None, room: str | None = None, exclude: Exclude = None
    ) -> SendResult | None:
        """Send an envelope with an event to every connection, or to the members of a room."""
        message = Message(MessageType.JSON, data, event=name, room=room or "")
        if room is None:
            return self.broadcast(message, exclude)
        return self._rooms.broadcast(room, message, exclude)

    def send_to(self, id: str, message: Sendable) -> SendResult | None:
        """Send a message to the connection of that id. Raises ConnectionNotFound."""
        conn = self._everyone.members.get(id)
        if conn is None or not conn.is_open:
            raise ConnectionNotFound(id)
        return conn.send(message)

    # Users. `user` is an identity as `authenticate` returned it, or the text by which it is known;
    # `user_of` in `users.py` tells how one follows from the other.

    def send_to_user(self, user: Any, message: Sendable) -> SendResult | None:
        """Send a message to every connection of a user; to nobody when there is none."""
        frame, key = core.Frame(message), user_of(user)
        if self._rooms.is_posted(self._users.publish, key, frame):
            return None
        return self._users.publish(key, frame)

    def disconnect_user(self, user: Any, code: int = NORMAL, reason: str = "") -> int | None:
        """Close every connection of a user, as `conn.close` does; return how many were open.

        Raises ValueError for a code that may not be sent.
        """
        if not is_sendable_code(code):
            raise ValueError(f"close code {code} may not be sent")
        key = user_of(user)
        if self._rooms.is_posted(self.disconnect_user, key, code, reason):
            return None
        connections = [conn for conn in self._users.of(key) if conn.is_open]
        for conn in connections:
            conn.close(code, reason)
        return len(connections)

    def get_user_connections(self, user: Any) -> list[Connection]:
        """The connections of a user, the oldest first."""
        return cast(list[Connection], self._users.of(user_of(user)))

    def get_user_connection_count(self, user: Any) -> int:
        """How many connections a user has."""
        return self._users.count(user_of(user))

    def expire(self, conn: Connection, at: float | None) -> None:
        """Close a connection with 4401 once the time is `at`, in seconds since the epoch.

        None: never. A second call replaces the first. Raises ValueError for NaN.
        """
        if at is not None and math.isnan(at):
            raise ValueError("a connection expires at a time, not at NaN")
        if not self._rooms.is_posted(self.expire, conn, at) and conn in self._everyone:
            self._expiry.set(conn, at)

    # Looking.

    def get_connections(self) -> list[Connection]:
        """Every connection, the oldest first."""
        return cast(list[Connection], list(self._everyone.members.values()))

    def get_connection_count(self) -> int:
        """How many connections there are."""
        return len(self._everyone.members)

    def __len__(self) -> int:
        return len(self._everyone.members)

    def get_connection(self, id: str) -> Connection | None:
        """The connection of that id, or None."""
        return cast("Connection | None", self._everyone.members.get(id))

    def get_room_manager(self) -> RoomManager:
        """The rooms."""
        return self._rooms

    def figures(self) -> dict[str, Any]:
        """What there is now: connections, what waits for them, rooms, and the largest 20 of those.

        Looks at every connection and every room, so it is for once a second, not for every message.
        """
        connections = self.get_connections()
        sizes = ((room.name, len(room)) for room in self._rooms)
        largest = heapq.nlargest(LARGEST_ROOMS, sizes, key=lambda each: each[1])
        return {
            "connections": len(connections),
            "queue_bytes": sum([conn.queued_bytes for conn in connections]),
            "queue_messages": sum([conn.queued_messages for conn in connections]),
            "rooms": len(self._rooms),
            "room_members": dict(largest),
        }

    # The life of a connection, for the dispatcher and the server.

    def open(self, conn: Connection) -> None:
        """Take in a connection that was just upgraded, and give it its id."""
        if not self._ids:
            digits = os.urandom(16 * IDS_AT_ONCE).hex()
            self._ids = [digits[at : at + 32] for at in range(0, len(digits), 32)]
        conn.id = self._ids.pop()
        conn._manager = self._rooms
        self._everyone.add(conn)
        if conn.identity is not None:
            self._users.add(conn, user_of(conn.identity))
        self.metrics.connections_total += 1

    def forget(self, conn: Connection, code: int) -> bool:
        """Remove one that is gone, from its rooms too; False when it was never taken in."""
        if conn not in self._everyone:
            return False
        self._everyone.discard(conn)
        self._users.discard(conn)
        self._expiry.forget(conn)
        self._rooms.forget(conn)
        self.metrics.count_disconnect(code)
        return True

    def set_clock(self, clock: Callable[[], float]) -> None:
        """Judge what expires by another clock than the system's; seconds since the epoch."""
        self._expiry.clock = clock

    def sweep(self) -> None:
        """Close those whose credentials have expired. Called by the server's sweep."""
        for conn in self._expiry.due():
            conn.close(CREDENTIALS_EXPIRED, CLOSE_REASONS[CREDENTIALS_EXPIRED])

    async def close_all(
        self, code: int = GOING_AWAY, reason: str | None = None, batch: int = CLOSE_BATCH
    ) -> None:
        """Begin the closing handshake with everyone, `batch` at a time."""
        text = CLOSE_REASONS.get(code, "") if reason is None else reason
        connections = self.get_connections()
        for start in range(0, len(connections), batch):
            for conn in connections[start : start + batch]:
                conn.close(code, text)
            await asyncio.sleep(0)
