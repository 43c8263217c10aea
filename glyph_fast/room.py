"""Rooms: named sets of connections that receive the same messages in the same order.

A room is there while it has members. It outlives its last member only if it carries metadata or was
made by `get_or_create_room`, so names that clients choose cannot pile up. A connection knows its
rooms: leaving them all costs those rooms, not all rooms.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from . import core
from .errors import ConnectionClosed, GlyphFastError, RoomFull, RoomNotFound
from .message import Sendable
from .wire import ABNORMAL, NOBODY, SendResult

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Exclude: TypeAlias = core.Connection | str | Iterable[core.Connection | str] | None


def excluded_ids(exclude: Exclude) -> str | frozenset[str] | None:
    """What `exclude` names, as the core takes it: a connection, an id, or an iterable of them."""
    if exclude is None or isinstance(exclude, str):
        return exclude
    if isinstance(exclude, core.Connection):
        return exclude.id
    return frozenset(each if isinstance(each, str) else each.id for each in exclude)


class Member(core.Connection):
    """A connection that can be in rooms."""

    __slots__ = ("_manager", "_rooms")

    # Set when the connection is opened; `_rooms` keeps the former rooms after the end.
    _manager: RoomManager
    _rooms: tuple[Room, ...]


class Room(core.Room):
    """The members of one room, and what the application notes about it."""

    __slots__ = ("_created", "_manager", "_metadata", "is_kept", "name")

    def __init__(self, name: str, manager: RoomManager) -> None:
        super().__init__(manager.max_members)
        self.name = name
        self.is_kept = False  # whether it stays when it is empty
        self._manager = manager
        self._metadata: dict[str, Any] | None = None
        self._created = datetime.now(UTC).timestamp()

    @property
    def created_at(self) -> datetime:
        """When the room was made, in UTC."""
        return datetime.fromtimestamp(self._created, UTC)

    @property
    def max_connections(self) -> int:
        """The greatest number of members; 0 is no limit. Lowering it removes nobody."""
        return self.limit

    @max_connections.setter
    def max_connections(self, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"a room takes 0 (no limit) or more members, not {limit}")
        self.limit = limit

    def add(self, conn: Member) -> None:  # type: ignore[override]
        """Add a member; adding it twice changes nothing.

        Raises RoomFull, ConnectionClosed, GlyphFastError when the connection is in too many rooms,
        and RoomNotFound when this room is gone and another has taken its name.
        """
        if not self._manager.is_posted(self.add, conn) and conn.id not in self.members:
            self._manager.admit(conn, self)

    def remove(self, conn: Member) -> None:
        """Remove a member, if it is one."""
        if not self._manager.is_posted(self.remove, conn) and conn in self:
            self._manager.dismiss(conn, self)

    def discard(self, conn: core.Connection) -> None:
        """As `remove`."""
        self.remove(conn)  # type: ignore[arg-type]  # only a Member can be in the room

    def has(self, conn: core.Connection) -> bool:
        """Whether the connection is a member."""
        return conn in self

    def size(self) -> int:
        """The number of members."""
        return len(self.members)

    def __bool__(self) -> bool:
        """True: `if room:` asks whether there is one, not whether somebody is in it."""
        return True

    if TYPE_CHECKING:
        # A `Connection` each, whose class stands to the right of this one: to a type checker the
        # core's own would lack what the application knows of it.
        def __iter__(self) -> Iterator[Any]: ...

    def broadcast(self, message: Sendable, exclude: Exclude = None) -> SendResult | None:
        """Send a message (str, bytes or Message) to every open member but the excluded ones.

        `exclude` is a connection, an id, or an iterable of them. From another thread the message is
        handed over in order and None is returned.
        """
        frame, ids = core.Frame(message), excluded_ids(exclude)
        if self._manager.is_posted(self.publish, frame, ids):
            return None
        return self.publish(frame, ids)

    def set_metadata(self, key: str, value: Any) -> None:
        """Note something about the room, which from now on stays when it is empty."""
        with self._manager.lock:
            if self._metadata is None:
                self._metadata = {}
            self._metadata[key] = value

    def replace_metadata(self, values: Mapping[str, Any]) -> None:
        """Note `values` and nothing else. For the loop's thread."""
        with self._manager.lock:
            self._metadata = dict(values) or None
        self._manager.forget_unused(self)

    def get_metadata(self, key: str, default: Any = None) -> Any:
        """What was noted under `key`, or `default`."""
        return default if self._metadata is None else self._metadata.get(key, default)

    def get_all_metadata(self) -> dict[str, Any]:
        """A copy of all that was noted."""
        return dict(self._metadata or ())

    @property
    def is_unused(self) -> bool:
        """Whether nothing keeps the room: no members, no metadata, no `get_or_create_room`."""
        return not (self.members or self.is_kept or self._metadata)

    def __repr__(self) -> str:
        return f"<Room {self.name!r} of {len(self)}>"


class RoomManager:
    """The rooms of a server, by name.

    `max_members` bounds each room, `max_rooms` the rooms of one connection, `max_name` the bytes of
    a name; 0 is no limit. Reading is safe from any thread; a change from another thread is handed
    to the loop.
    """

    __slots__ = ("_rooms", "left", "lock", "max_members", "max_name", "max_rooms", "turn")

    def __init__(self, *, max_members: int = 0, max_rooms: int = 0, max_name: int = 0) -> None:
        self._rooms: dict[str, Room] = {}
        self.max_members = 0
        self.set_limits(max_members=max_members, max_rooms=max_rooms, max_name=max_name)
        self.turn: core.Turn | None = None  # until the server runs
        self.left: Callable[[Member, Room], object] | None = None  # told of each departure
        self.lock = threading.Lock()  # held while a room is made, kept or forgotten

    def set_limits(self, *, max_members: int, max_rooms: int, max_name: int) -> None:
        """Change the limits; rooms with a limit of their own keep it."""
        for room in self:
            if room.limit == self.max_members:
                room.limit = max_members
        self.max_members = max_members
        self.max_rooms = max_rooms
        self.max_name = max_name

    # Look-up.

    def get_room(self, name: str) -> Room | None:
        """The room of that name, or None."""
        return self._rooms.get(name)

    def get_or_create_room(self, name: str) -> Room:
        """The room of that name, made if need be; it stays until `delete_room`.

        Raises ValueError for a name that is empty, too long, or has control characters.
        """
        self.check_name(name)
        with self.lock:
            room = self._rooms.get(name)
            if room is None:
                room = self._rooms[name] = Room(name, self)
            room.is_kept = True
        return room

    def get_room_size(self, name: str) -> int:
        """The number of members; 0 for an unknown room."""
        room = self._rooms.get(name)
        return 0 if room is None else len(room)

    def get_room_names(self) -> list[str]:
        """The names of all rooms, the oldest room first."""
        return list(self._rooms)

    def count(self) -> int:
        """The number of rooms."""
        return len(self._rooms)

    def __len__(self) -> int:
        return len(self._rooms)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Room]:
        """The rooms as they are now."""
        return iter(list(self._rooms.values()))

    def __contains__(self, name: object) -> bool:
        return name in self._rooms

    # Change.

    def delete_room(self, name: str) -> bool:
        """Remove a room and its members from it; return whether it was there."""
        room = self._rooms.get(name)
        if room is None:
            return False
        if not self.is_posted(self.delete_room, name):
            with self.lock:
                self._rooms.pop(name, None)
                room.is_kept, room._metadata = False, None
            for conn in room:
                self.dismiss(conn, room)
        return True

    def clear(self) -> None:
        """Remove all rooms."""
        for name in self.get_room_names():
            self.delete_room(name)

    def check_name(self, name: str) -> None:
        """Raise ValueError unless a room may be called so."""
        if not isinstance(name, str) or not name:
            raise ValueError("a room name is text and not empty")
        if _CONTROL.search(name):
            raise ValueError("a room name has no control characters")
        if self.max_name and len(name.encode()) > self.max_name:
            raise ValueError(f"a room name is at most {self.max_name} bytes long")

    def join(self, conn: Member, name: str) -> Room:
        """Make `conn` a member of the room of that name, made if need be.

        A join that fails leaves no trace. Raises what `Room.add` raises, and ValueError for a bad
        name. Must run in the loop's thread.
        """
        room = self._rooms.get(name)
        if room is None:
            self.check_name(name)
            self._check_member(conn)
            with self.lock:
                room = self._rooms.setdefault(name, Room(name, self))
        if conn.id not in room.members:
            self.admit(conn, room)
        return room

    def leave(self, conn: Member, name: str) -> None:
        """End the membership, if there is one. Must run in the loop's thread."""
        room = self._rooms.get(name)
        if room is not None and conn in room:
            self.dismiss(conn, room)

    def admit(self, conn: Member, room: Room) -> None:
        """Add one who is no member yet; put a room that was forgotten back under its name."""
        self._check_member(conn)
        if room.limit and len(room.members) >= room.limit:
            raise RoomFull(room.name, room.limit)
        with self.lock:
            if self._rooms.setdefault(room.name, room) is not room:
                raise RoomNotFound(room.name)
            core.Room.add(room, conn)
        conn._rooms = (*conn._rooms, room)

    def _check_member(self, conn: Member) -> None:
        if not conn.is_open:
            raise ConnectionClosed(conn.close_code or ABNORMAL, conn.close_reason)
        if self.max_rooms and len(conn._rooms) >= self.max_rooms:
            raise GlyphFastError(f"a connection may be in {self.max_rooms} rooms at a time")

    def dismiss(self, conn: Member, room: Room) -> None:
        """Remove a member, and the room when nothing keeps it."""
        conn._rooms = tuple(each for each in conn._rooms if each is not room)
        self._discard(conn, room)
        if self.left is not None:
            self.left(conn, room)

    def forget(self, conn: Member) -> None:
        """Remove a connection that is gone from its rooms, which it still lists afterwards."""
        for room in conn._rooms:
            self._discard(conn, room)

    def _discard(self, conn: Member, room: Room) -> None:
        core.Room.discard(room, conn)
        if not room.members:
            self.forget_unused(room)

    def forget_unused(self, room: Room) -> None:
        """Remove a room that nothing keeps. Must run in the loop's thread."""
        with self.lock:
            if room.is_unused and self._rooms.get(room.name) is room:
                del self._rooms[room.name]

    def broadcast(self, name: str, message: Sendable, exclude: Exclude = None) -> SendResult | None:
        """Send a message to a room; an unknown one receives nothing. As `Room.broadcast`."""
        frame, ids = core.Frame(message), excluded_ids(exclude)
        if self.is_posted(self._publish, name, frame, ids):
            return None
        return self._publish(name, frame, ids)

    def _publish(self, name: str, frame: core.Frame, ids: Any) -> SendResult:
        room = self._rooms.get(name)
        return NOBODY if room is None else room.publish(frame, ids)

    def is_posted(self, function: Callable[..., object], *args: Any) -> bool:
        """Whether the caller is in another thread; then the call has been handed to the loop."""
        turn = self.turn
        if turn is None or turn.is_owner():
            return False
        turn.post(function, *args)
        return True
