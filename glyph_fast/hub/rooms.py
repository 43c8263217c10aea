"""The rooms of a server, by name: who comes into them and leaves, and what is published to them."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from .. import core
from ..broker.memory import MemoryBroker
from ..dialects.publication import PLACED, ROOMS, Publication
from ..dialects.writer import PLAIN
from ..errors import ConnectionClosed, GlyphFastError, RoomFull, RoomNotFound
from ..interfaces import Broker
from ..wire import ABNORMAL, NOBODY, PENDING, SendResult
from .declared import Declared
from .members import Members
from .remembering import Remembering
from .room import Member, Room
from .seating import changed
from .users import user_of

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Told(Protocol):
    """Hears of those who come into rooms and leave; no user code must run from there."""

    def joined(self, conn: Member, room: Room) -> None:
        """One has become a member, and nothing was sent to it as one yet."""
        ...

    def left(self, conn: Member, room: Room) -> None:
        """One is no member any more, and not because it is gone."""
        ...

    def refreshed(self, conn: Member, at: float | None) -> None:
        """An operator has set when one ends, in seconds since the epoch; None: never."""
        ...

    def gone(self, conn: Member) -> None:
        """A connection is gone, with all its memberships."""
        ...


class RoomManager(Declared):
    """The rooms of a server, by name.

    `max_members` bounds each room, `max_rooms` the rooms of one connection, `max_name` the bytes of
    a name; 0 is no limit. Declarations of rooms go before. Reading is safe from any
    thread; a change from another thread is handed to the loop. `broker` brings what is
    published to every process, and is told which rooms have members in this one; without one there
    are none but those here.
    """

    __slots__ = (
        "_history_answer", "_left", "_lock", "_rooms", "_told", "_turn", "_worker", "_writer",
    )  # fmt: skip

    def __init__(
        self,
        *,
        max_members: int = 0,
        max_rooms: int = 0,
        max_name: int = 0,
        broker: Broker | None = None,
    ) -> None:
        if broker is None:
            broker = MemoryBroker()
            broker.attach(self._deliver)
        super().__init__(broker)
        self._rooms: dict[str, Room] = {}
        self._writer = PLAIN
        self._history_answer = 1000  # messages of one answer
        self._set_limits(max_members=max_members, max_rooms=max_rooms, max_name=max_name)
        self._worker = 0  # the number of this process among several of one server
        self._turn: core.Turn | None = None  # until the server runs
        self._left: Callable[[Member, Room], object] | None = None  # told of each departure
        self._told: Told | None = None  # whoever tells clients of a dialect what the program does
        self._lock = threading.Lock()  # held while a room is made, kept or forgotten

    def _use(self, broker: Broker) -> None:
        """Publish by another broker than the one it was made with. Before the server runs."""
        self._broker = self._presence._broker = broker
        broker.attach_presence(self._presence)

    def _order_by(self, broker: Broker) -> None:
        """Publish by another broker, which knows who is in rooms by the one before."""
        self._broker = broker
        for room in self:
            if isinstance(room._members, Remembering):
                room._members._broker = broker

    # Look-up.

    def get_room(self, name: str) -> Room | None:
        """The room of that name, or None."""
        return self._rooms.get(name)

    def get_or_create_room(self, name: str) -> Room:
        """The room of that name, made if need be; it stays until `delete_room`.

        Raises ValueError for a name that is empty, too long, or has control characters.
        """
        self._check_name(name)
        with self._lock:
            room = self._rooms.get(name)
            if room is None:
                room = self._rooms[name] = Room(name, self)
            room._is_kept = True
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
        """Remove a room, its members from it, and its history; return whether it was there."""
        if self._hand_over(self.delete_room, name):
            return name in self._rooms
        if self._terms(name) is not None:
            self._broker.forget(name)
        self._broker.tell("delete_room", name)
        return self._delete_here(name)

    def _delete_here(self, name: str) -> bool:
        """Remove a room and its members in this process."""
        room = self._rooms.get(name)
        if room is None:
            return False
        with self._lock:
            if self._rooms.pop(name, None) is room and room._members.groups:
                self._broker.unsubscribe(name)  # its members are out of reach from here on
            room._is_kept, room._metadata = False, None
        for conn in room:
            self._dismiss(conn, room)
        return True

    def _describe_here(self, name: str, values: dict[str, Any]) -> None:
        """Note what another process has noted about a room."""
        with self._lock:
            room = self._rooms.get(name)
            if room is None and values:
                room = self._rooms[name] = Room(name, self)
        if room is not None:
            room._note(values)

    def clear(self) -> None:
        """Remove all rooms, and all that any remembers."""
        for name in self.get_room_names():
            self.delete_room(name)
        if not self._hand_over(self._broker.forget_all):
            self._broker.forget_all()

    def _check_name(self, name: str) -> None:
        """Raise ValueError unless a room may be called so."""
        if not isinstance(name, str) or not name:
            raise ValueError("a room name is text and not empty")
        if _CONTROL.search(name):
            raise ValueError("a room name has no control characters")
        if self._max_name and len(name.encode()) > self._max_name:
            raise ValueError(f"a room name is at most {self._max_name} bytes long")

    def _join(self, conn: Member, name: str) -> Room:
        """Make `conn` a member of the room of that name, made if need be.

        A join that fails leaves no trace. Raises what `Room.add` raises, ValueError for a bad name,
        and RuntimeError in another thread than the loop's, where `conn.join_room` is handed over.
        """
        self._check_thread("join")
        return self._join_here(conn, name)

    def _join_here(self, conn: Member, name: str, has_seat: bool = False) -> Room:
        """The same, in the loop's thread; `has_seat` as in `_admit`."""
        room = self._rooms.get(name)
        if room is None:
            self._check_name(name)
            self._check_member(conn)
            with self._lock:
                room = self._rooms.setdefault(name, Room(name, self))
        if not room._members.has(conn):
            self._admit(conn, room, has_seat)
        return room

    def _own_room(self, conn: Member) -> str | None:
        """The room of the user whose connection it is, where users have rooms."""
        return None if self._user_rooms is None else self._user_rooms.of(user_of(conn.identity))

    def _leave(self, conn: Member, name: str) -> None:
        """End the membership, if there is one. In the loop's thread."""
        room = self._rooms.get(name)
        if room is not None and room._members.has(conn):
            self._dismiss(conn, room)

    def _admit(self, conn: Member, room: Room, has_seat: bool = False) -> None:
        """Add one (counted already: `has_seat`); put a room that was forgotten under its name."""
        self._check_member(conn)
        members = room._members
        if room._limit and len(members) >= room._limit:
            raise RoomFull(room.name, room._limit)
        with self._lock:
            was_there = room.name in self._rooms
            if self._rooms.setdefault(room.name, room) is not room:
                raise RoomNotFound(room.name)
            if not (members.groups and was_there):
                self._broker.subscribe(room.name)
            members.add(conn)
        conn._rooms = (*conn._rooms, room)
        if self._broker.counts_members and not has_seat:
            changed(room, 1)
        if room._is_shown:
            self._presence.joined(conn, room.name)
        if self._told is not None:
            self._told.joined(conn, room)

    def _check_space(self, name: str) -> None:
        """Raise what joining the room of that name would, of one that is in no rooms yet."""
        self._check_name(name)
        room = self._rooms.get(name)
        if room is not None and room._limit and len(room._members) >= room._limit:
            raise RoomFull(name, room._limit)

    def _check_member(self, conn: Member) -> None:
        if not conn.is_open:
            raise ConnectionClosed(conn.close_code or ABNORMAL, conn.close_reason)
        if self._max_rooms and len(conn._rooms) >= self._max_rooms:
            if len(conn._rooms) > self._max_rooms or not self._is_in_own(conn):
                raise GlyphFastError(f"a connection may be in {self._max_rooms} rooms at a time")

    def _is_in_own(self, conn: Member) -> bool:
        """Return whether one of its rooms does not count."""
        own = self._own_room(conn)
        return own is not None and any(room.name == own for room in conn._rooms)

    def _dismiss(self, conn: Member, room: Room) -> None:
        """Remove a member, and the room when nothing keeps it."""
        conn._rooms = tuple([each for each in conn._rooms if each is not room])
        self._discard(conn, room)
        if self._left is not None:
            self._left(conn, room)
        if self._told is not None:
            self._told.left(conn, room)

    def _forget(self, conn: Member) -> None:
        """Remove a connection that is gone from its rooms, which it still lists afterwards.

        In the loop's thread.
        """
        for room in conn._rooms:
            self._discard(conn, room)

    def _discard(self, conn: Member, room: Room) -> None:
        room._members.discard(conn)
        if self._broker.counts_members:
            changed(room, -1)
        if room._is_shown:
            self._presence.left(conn, room.name)
        if not room._members.groups:
            if self._rooms.get(room.name) is room:  # no other has taken the name of a deleted one
                self._broker.unsubscribe(room.name)
            self._forget_unused(room)

    def _forget_unused(self, room: Room) -> None:
        """Remove a room that nothing keeps."""
        with self._lock:
            if room._is_unused and self._rooms.get(room.name) is room:
                del self._rooms[room.name]

    def _publish(self, publication: Publication) -> SendResult:
        """The one way of a publication, whoever made it: in the loop's thread, to the broker."""
        turn = self._turn
        if turn is not None and not turn.is_owner():
            turn.post(self._publish, publication)
            return PENDING
        return self._broker.publish(publication)

    def _deliver(self, publication: Publication) -> SendResult:
        """Send to the members here of the room, or the rooms, that it is for."""
        if publication.kind == ROOMS:
            return self._deliver_to_some(publication)
        room = self._rooms.get(publication.name)
        if publication.kind == PLACED:
            members = None if room is None else room._members
            return members.deliver(publication) if isinstance(members, Remembering) else NOBODY
        if room is not None:
            return room._members.publish(publication)
        terms = self._terms(publication.name)
        if terms is not None:
            self._broker.take_place(publication, self._user_of_in(terms)(publication))
        return NOBODY

    def _deliver_to_some(self, publication: Publication) -> SendResult:
        """Send to the members of several rooms, once to each; in those that remember, once each."""
        everyone, results = Members(), []
        for name in publication.name:
            if self._terms(name) is not None:
                results.append(self._deliver(publication.to_room(name)))
                continue
            room = self._rooms.get(name)
            for group in () if room is None else room._members.groups:
                if hasattr(group.format, "reset"):  # of a dialect in which each room speaks
                    part = publication.to_room(name, is_placed=False)
                    results.append(group.publish(part.frame(group.format), part.exclude))
                    continue
                for conn in group:
                    if not everyone.has(conn):
                        everyone.add(conn)
        results.append(everyone.publish(publication))
        if len(results) == 1:
            return results[0]
        sums = [sum(column) for column in zip(*results, strict=True)]
        displaced = sum(each.displaced for each in results)
        return SendResult(sums[0], sums[1], sums[2], displaced=displaced)

    def _check_thread(self, name: str) -> None:
        """Refuse a call that only the loop's thread may make, once there is one."""
        if self._turn is not None:
            self._turn.check_thread(name)

    def _hand_over(self, function: Callable[..., object], *args: Any) -> bool:
        """Hand a call to the loop, if the caller is in another thread; return whether it was."""
        return self._turn is not None and self._turn.hand_over(function, *args)
