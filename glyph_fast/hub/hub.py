"""The hub: who is connected, who is in which room, and sending to many at once."""

from __future__ import annotations

import asyncio
import heapq
import math
import os
from collections.abc import Callable
from typing import Any, cast

from .. import core
from ..broker.memory import MemoryBroker
from ..dialects.message import Message
from ..dialects.publication import (
    CONNECTION,
    EVERYONE,
    ROOM,
    USER,
    Publication,
)
from ..dialects.writer import Writer
from ..errors import HandshakeError
from ..interfaces import Broker
from ..options.config import Config
from ..options.rooms import Declarations, RoomDeclaration
from ..wire import (
    CLOSE_REASONS,
    CREDENTIALS_EXPIRED,
    GOING_AWAY,
    NOBODY,
    NORMAL,
    SendResult,
    is_sendable_code,
)
from .connection import Connection, WritingConnection
from .expiry import Expiry
from .members import Members
from .metrics import Metrics
from .presence import Presence
from .publishing import Publishing
from .room_presence import PresenceStats, Present
from .rooms import RoomManager
from .sessions import Sessions
from .user_rooms import UserRooms
from .users import Users, user_of

LARGEST_ROOMS = 20  # that are named in the figures
IDS_AT_ONCE = 64  # drawn with one system call
CLOSE_BATCH = 500  # connections closed before the loop gets a breath


class Hub(Publishing):
    """All open connections of a server, and its rooms.

    Everything an application calls may be called from any thread: what sends or closes is handed
    to the loop in order, and a send's result is pending; what reads gives a snapshot. A broadcast
    skips closed connections.
    `exclude` is a connection, an id, or an iterable of them. `broker` brings publications to other
    processes; without one there are none.
    """

    def __init__(self, config: Config | None = None, broker: Broker | None = None) -> None:
        self.metrics = Metrics(self._figures)
        """What the operators' port tells of this process: counters, and what there is now."""
        self._turn: core.Turn | None = None  # until the server runs
        self._everyone = Members()
        # Connections of mounted applications: counted and drained, and sent nothing.
        self._guests: dict[Connection, Callable[[int, str], object]] = {}
        self._ids: list[str] = []  # for the next connections
        broker = broker if broker is not None else MemoryBroker()
        broker.attach(self._deliver, self._obey)
        self._rooms = RoomManager(broker=broker)
        self._rooms._user_of = self._user_of
        self._users = Users()
        self._sessions = Sessions()
        self._expiry = Expiry()
        self._orders: dict[str, Callable[..., object]] = {}  # of other nodes, besides its own
        self._also_swept: list[Callable[[], object]] = []  # called about once a second
        self._configure(config if config is not None else Config())

    def _configure(self, config: Config) -> None:
        """Go by other options than those it was made with. Before the server runs."""
        self._config = config
        self._writer = self._rooms._writer = Writer(config.json_default)
        self._connection_type = WritingConnection if self._writer.knows_more else Connection
        self._rooms._set_limits(
            max_members=config.max_room_members,
            max_rooms=config.max_rooms_per_connection,
            max_name=config.max_room_name,
        )
        self._rooms._user_rooms = None if config.user_room is None else UserRooms(config.user_room)
        self._rooms._history_answer = config.history_answer
        rooms = self._rooms
        rooms._broker.remember(rooms._terms, config.history_memory, rooms._shown_user_of)
        self._rooms._declare(Declarations(config.rooms, self._rooms._declarations.in_program))

    def _declared_in_program(self) -> tuple[RoomDeclaration, ...]:
        """Return the declarations that `_declare` was called with."""
        return self._rooms._declarations.in_program

    def _declare(self, declared: RoomDeclaration) -> None:
        """Go by one more declaration of the program's about rooms."""
        known = self._rooms._declarations
        self._rooms._declare(Declarations(known.in_file, (*known.in_program, declared)))

    def _use(self, broker: Broker, worker: int = 0) -> None:
        """Publish by another broker, perhaps as the worker of a number. Before the server runs."""
        self._rooms._worker = worker
        broker.attach(self._deliver, self._obey)
        self._rooms._use(broker)
        self._configure(self._config)

    def _order_by(self, broker: Broker) -> None:
        """Publish by another broker from now on: the order of rooms that remember has moved."""
        self._rooms._order_by(broker)

    def _obey(self, call: str, args: list[Any]) -> None:
        """Do what the hub of another process of this server has done."""
        if call == "delete_room":
            self._rooms._delete_here(*args)
        elif call == "disconnect_user":
            self._disconnect_user_here(*args)
        elif call == "describe_room":
            self._rooms._describe_here(*args)
        elif call == "reset_room":
            self._reset_room(*args)
        elif call == "close_room":
            self._close_room_here(*args)
        elif (order := self._orders.get(call)) is not None:
            order(*args)

    def _close_room_here(self, name: str, code: int, reason: str) -> None:
        members: list[Any] = list(self._rooms.get_room(name) or ())
        self._rooms._delete_here(name)
        for conn in members:
            if conn.is_open:
                conn.close(code, reason)

    def _count_here(self, room: str | None) -> int:
        return len(self) if room is None else self._rooms.get_room_size(room)

    def _attach(self, turn: core.Turn) -> None:
        """Serve the connections of `turn`. Called once the server's loop runs."""
        turn.check_thread("attach")
        self._turn = self._rooms._turn = turn
        self.metrics.core = turn.counters

    # Publications come here from the broker, which `RoomManager._publish` has given them.

    def _deliver(self, publication: Publication) -> SendResult:
        """Send to the members here; called by the broker."""
        kind = publication.kind
        if kind == ROOM:  # without `RoomManager._deliver`, which costs one call more
            room = self._rooms._rooms.get(publication.name)
            if room is not None:
                return room._members.publish(publication)
            return self._rooms._deliver(publication) if self._rooms._remembers else NOBODY
        if kind == EVERYONE:
            return self._everyone.publish(publication)
        if kind == USER:
            return self._users.publish(publication)
        if kind == CONNECTION:
            return self._deliver_to_one(publication)
        return self._rooms._deliver(publication)

    def _deliver_to_one(self, publication: Publication) -> SendResult:
        alone = Members()
        conn = self._everyone.get(publication.name)
        if conn is not None:
            alone.add(conn)
        return alone.publish(publication)

    # Users. `user` is an identity as `authenticate` returned it, or the text by which it is known;
    # `user_of` in `users.py` tells how one follows from the other.

    def _check_user(self, identity: Any) -> None:
        """Raise HandshakeError for a user whose room would have too long a name."""
        if (rooms := self._rooms._user_rooms) is None:
            return
        if (own := rooms.of(user_of(identity))) is not None:
            try:
                self._rooms._check_name(own)
            except ValueError:
                raise HandshakeError(403, "the name of this user is too long") from None

    def disconnect_user(self, user: Any, code: int = NORMAL, reason: str = "") -> int | None:
        """Close every connection of a user, as `conn.close` does; return how many were open.

        Raises ValueError for a code that may not be sent.
        """
        if not is_sendable_code(code):
            raise ValueError(f"close code {code} may not be sent")
        key = user_of(user)
        if self._rooms._hand_over(self.disconnect_user, key, code, reason):
            return None
        if isinstance(key, str):
            self._rooms._broker.tell("disconnect_user", key, code, reason)
        return self._disconnect_user_here(key, code, reason)

    def _disconnect_user_here(self, key: Any, code: int, reason: str) -> int:
        connections = [conn for conn in self._users.of(key) if conn.is_open]
        for conn in connections:
            conn.close(code, reason)
        return len(connections)

    def get_user_connections(self, user: Any) -> list[Connection]:
        """The connections of a user, the oldest first."""
        return cast(list[Connection], self._users.of(user_of(user)))

    def get_user_connection_count(self, user: Any) -> int:
        """Count the connections of a user."""
        return self._users.count(user_of(user))

    def expire(self, conn: Connection, at: float | None) -> None:
        """Close a connection with 4401 once the time is `at`, in seconds since the epoch.

        None: never. A second call replaces the first. Raises ValueError for NaN.
        """
        if at is not None and math.isnan(at):
            raise ValueError("a connection expires at a time, not at NaN")
        if not self._rooms._hand_over(self.expire, conn, at) and self._everyone.has(conn):
            self._expiry.set(conn, at)

    # Who is in rooms, in all processes of the server.

    async def presence(self, room: str) -> list[Present]:
        """List who is in a room that was declared with presence; nobody in an unknown one.

        Raises ValueError for a room without it, and RuntimeError on another loop than the server's.
        """
        return await self._presence_of(room).present(room)

    async def presence_stats(self, room: str) -> PresenceStats:
        """Count the connections in such a room, and the users they are of. Raises as `presence`.

        A connection that is nobody's counts as a user of its own.
        """
        return await self._presence_of(room).stats(room)

    def _presence_of(self, room: str) -> Presence:
        self._check_thread("presence")
        if not self._rooms._shows(room):
            raise ValueError(f"room {room!r} has no presence: server.room(…, presence=True)")
        return self._rooms._presence

    # Looking.

    def get_connections(self) -> list[Connection]:
        """Every connection, the oldest first."""
        return list(self._everyone)

    def get_connection_count(self) -> int:
        """Return the number of connections."""
        return len(self._everyone)

    def __len__(self) -> int:
        return len(self._everyone)

    def get_connection(self, id: str) -> Connection | None:
        """The connection of that id, or None."""
        conn: Connection | None = self._everyone.get(id)
        return conn

    def get_room_manager(self) -> RoomManager:
        """The rooms."""
        return self._rooms

    def _figures(self) -> dict[str, Any]:
        """Return the figures of this moment: connections, queues, rooms, the 20 largest of those.

        Looks at every connection and every room, so it is for once a second, not for every message.
        """
        connections = [*self._everyone, *self._guests]
        sizes = ((room.name, len(room)) for room in self._rooms)
        largest = heapq.nlargest(LARGEST_ROOMS, sizes, key=lambda each: each[1])
        return {
            "connections": len(connections),
            "queue_bytes": sum([conn.queued_bytes for conn in connections]),
            "queue_messages": sum([conn.queued_messages for conn in connections]),
            "rooms": len(self._rooms),
            "room_members": dict(largest),
            "presence_members": len(self._rooms._presence),
            **self._rooms._broker.figures(),
        }

    def _user_of(self, publication: Publication) -> str | None:
        """Return the user who sent a message, where one is known and its key is a text."""
        message = publication.message
        if not isinstance(message, Message) or not message.connection_id:
            return None
        conn = self.get_connection(message.connection_id)
        user = None if conn is None else user_of(conn.identity)
        return user if isinstance(user, str) else None

    # The life of a connection, for the dispatcher and the server: in the loop's thread alone.

    def _check_thread(self, name: str) -> None:
        if self._turn is not None:
            self._turn.check_thread(name)

    def _new_id(self) -> str:
        if not self._ids:
            digits = os.urandom(16 * IDS_AT_ONCE).hex()
            self._ids = [digits[at : at + 32] for at in range(0, len(digits), 32)]
        return self._ids.pop()

    def _open_guest(self, conn: Connection, closed: Callable[[int, str], object]) -> None:
        """Count a connection of a mounted application, which `closed` is told of its end."""
        self._check_thread("open_guest")
        conn.id = self._new_id()
        self._guests[conn] = closed
        self.metrics.connections_total += 1

    def _take_in_guest(self, conn: Connection) -> None:
        """A guest has said who it is: from now on it is one of all connections."""
        del self._guests[conn]
        self.metrics.connections_total -= 1  # counted already
        self._open(conn)

    def _count(self) -> int:
        """Count the connections, those of applications included."""
        return len(self._everyone) + len(self._guests)

    def _open(self, conn: Connection) -> None:
        """Take in a connection that was just upgraded, and give it its id, unless it has one."""
        self._check_thread("open")
        conn.id = conn.id or self._new_id()
        conn._manager = self._rooms
        self._everyone.add(conn)
        if conn.identity is not None:
            self._users.add(conn, user_of(conn.identity))
            if (own := self._rooms._own_room(conn)) is not None:
                self._rooms._join(conn, own)
        self.metrics.connections_total += 1

    def _forget(self, conn: Connection, code: int) -> bool:
        """Remove one that is gone, from its rooms too; False when it was never taken in."""
        self._check_thread("forget")
        if not self._everyone.has(conn):
            if (closed := self._guests.pop(conn, None)) is not None:
                self.metrics.count_disconnect(code)
                closed(code, conn.close_reason)
            return False
        if self._rooms._told is not None:
            self._rooms._told.gone(conn)
        self._everyone.discard(conn)
        self._sessions.forget(conn)
        self._users.discard(conn)
        self._expiry.forget(conn)
        self._rooms._forget(conn)
        self.metrics.count_disconnect(code)
        return True

    def _set_clock(self, clock: Callable[[], float]) -> None:
        """Judge what expires by another clock than the system's; seconds since the epoch."""
        self._expiry.clock = clock

    def _sweep(self) -> None:
        """Close those whose credentials have expired. Called by the server's sweep."""
        self._check_thread("sweep")
        self._rooms._broker.sweep()
        for swept in self._also_swept:
            swept()
        for conn in self._expiry.due():
            conn.close(CREDENTIALS_EXPIRED, CLOSE_REASONS[CREDENTIALS_EXPIRED])

    async def _close_all(
        self, code: int = GOING_AWAY, reason: str | None = None, batch: int = CLOSE_BATCH
    ) -> None:
        """Begin the closing handshake with everyone, `batch` at a time. On the server's loop."""
        self._check_thread("close_all")
        text = CLOSE_REASONS.get(code, "") if reason is None else reason
        connections: list[Connection] = [*self._everyone, *self._guests]
        for start in range(0, len(connections), batch):
            for conn in connections[start : start + batch]:
                conn.close(code, text)
            await asyncio.sleep(0)
