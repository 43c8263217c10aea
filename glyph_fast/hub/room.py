"""Rooms: named sets of connections that receive the same messages in the same order.

A room is there while it has members. It outlives its last member only if it carries metadata or was
made by `get_or_create_room`, so names that clients choose cannot pile up. A connection knows its
rooms: leaving them all costs those rooms, not all rooms.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .. import core
from ..dialects.message import Sendable
from ..dialects.publication import ROOM, Exclude, Publication
from ..wire import NOBODY, PENDING, SendResult
from .members import Members
from .remembering import Remembering

if TYPE_CHECKING:
    from .rooms import RoomManager


class Member(core.Connection):
    """A connection that can be in rooms."""

    __slots__ = ("_manager", "_rooms")

    # Set when the connection is opened; `_rooms` keeps the former rooms after the end.
    _manager: RoomManager
    _rooms: tuple[Room, ...]

    if TYPE_CHECKING:
        identity: Any


class Room:
    """The members of one room, and what the application notes about it."""

    __slots__ = (
        "_created", "_is_kept", "_is_shown", "_limit", "_manager", "_members", "_metadata", "name",
    )  # fmt: skip

    name: str
    """The name, by which clients and the broker know it."""

    def __init__(self, name: str, manager: RoomManager) -> None:
        self.name = name
        self._members: Members = manager._members_for(name)
        self._limit = manager._members_limit(name)
        self._is_shown = manager._shows(name)  # whether its members can be asked for
        self._is_kept = False  # whether it stays when it is empty
        self._manager = manager
        self._metadata: dict[str, Any] | None = None
        self._created = time.time()

    @property
    def _is_counted(self) -> bool:
        """Whether its members are counted for all processes together."""
        return self._is_shown or isinstance(self._members, Remembering)

    @property
    def created_at(self) -> datetime:
        """Return when the room was made, in UTC."""
        return datetime.fromtimestamp(self._created, UTC)

    @property
    def max_connections(self) -> int:
        """The greatest number of members; 0 is no limit. Lowering it removes nobody."""
        return self._limit

    @max_connections.setter
    def max_connections(self, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"a room takes 0 (no limit) or more members, not {limit}")
        self._limit = limit

    def add(self, conn: Member) -> None:
        """Add a member; adding it twice changes nothing.

        Raises RoomFull, ConnectionClosed, GlyphFastError when the connection is in too many rooms,
        and RoomNotFound when this room is gone and another has taken its name.
        """
        if not self._manager._hand_over(self.add, conn) and not self._members.has(conn):
            self._manager._admit(conn, self)

    def remove(self, conn: Member) -> None:
        """Remove a member, if it is one."""
        if not self._manager._hand_over(self.remove, conn) and self._members.has(conn):
            self._manager._dismiss(conn, self)

    def has(self, conn: core.Connection) -> bool:
        """Return whether the connection is a member."""
        return self._members.has(conn)

    def __contains__(self, conn: object) -> bool:
        return isinstance(conn, core.Connection) and self._members.has(conn)

    def size(self) -> int:
        """The number of members."""
        return len(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        """True: `if room:` asks whether there is one, not whether somebody is in it."""
        return True

    def __iter__(self) -> Iterator[Any]:
        """The members, a `Connection` each, as they are now; the room may change meanwhile."""
        return iter(self._members)

    def broadcast(self, message: Sendable, exclude: Exclude = None) -> SendResult:
        """Send a message (str, bytes or Message) to every open member but the excluded ones.

        `exclude` is a connection, an id, or an iterable of them. From another thread the message is
        handed over in order, and the result is pending. A room that is gone has no members.
        """
        manager = self._manager
        made = manager._writer.publication(ROOM, self.name, message, exclude)
        if manager._rooms.get(self.name) is self:
            turn = manager._turn
            if turn is not None and turn.is_owner():  # as `_publish`, without its call
                return manager._broker.publish(made)
            return manager._publish(made)
        return PENDING if manager._hand_over(self._publish_late, made) else NOBODY

    def _publish_late(self, publication: Publication) -> None:
        """This room was gone when another thread made the publication: it may be back since."""
        if self._manager._rooms.get(self.name) is self:
            self._manager._publish(publication)

    def set_metadata(self, key: str, value: Any) -> None:
        """Note something about the room, which from now on stays when it is empty."""
        with self._manager._lock:
            if self._metadata is None:
                self._metadata = {}
            self._metadata[key] = value
        self._tell()

    def replace_metadata(self, values: Mapping[str, Any]) -> None:
        """Note `values` and nothing else."""
        if self._manager._hand_over(self.replace_metadata, dict(values)):
            return
        self._note(values)
        self._tell()

    def _note(self, values: Mapping[str, Any]) -> None:
        """Note `values` in this process."""
        with self._manager._lock:
            self._metadata = dict(values) or None
        self._manager._forget_unused(self)

    def _tell(self) -> None:
        """Tell the other processes what is noted: all of it, so that the last change wins."""
        if not self._manager._hand_over(self._tell):
            self._manager._broker.tell("describe_room", self.name, self.get_all_metadata())

    def get_metadata(self, key: str, default: Any = None) -> Any:
        """Return the value noted under `key`, or `default`."""
        return default if self._metadata is None else self._metadata.get(key, default)

    def get_all_metadata(self) -> dict[str, Any]:
        """A copy of all that was noted."""
        return dict(self._metadata or ())

    @property
    def _is_unused(self) -> bool:
        """Return whether nothing keeps it: no members, no metadata, no `get_or_create_room`."""
        return not (self._members.groups or self._is_kept or self._metadata)

    def __repr__(self) -> str:
        return f"<Room {self.name!r} of {len(self)}>"
