"""The limits of rooms, and what is declared about them, by their names.

A declaration goes before the limits of all rooms, and a room's own limit before both. Rooms that
are there already follow a change at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..dialects.publication import Publication
from ..interfaces import Broker
from ..options.rooms import Declarations, RoomDeclaration
from .members import Members
from .presence import Presence
from .remembering import Remembering, UserOf, nobody
from .user_rooms import UserRooms

if TYPE_CHECKING:
    from .room import Room


class Declared:
    """The part of a `RoomManager` that knows what is declared about its rooms."""

    __slots__ = (
        "_broker", "_declarations", "_max_members", "_max_name", "_max_rooms", "_presence",
        "_remembers", "_shown", "_user_of", "_user_rooms",
    )  # fmt: skip

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._presence = Presence(broker)
        self._declarations = Declarations()
        self._shown = False  # whether there may be rooms with presence
        self._remembers = False  # whether there may be rooms that do
        self._user_of: UserOf = nobody
        self._user_rooms: UserRooms | None = None
        self._max_members = self._max_rooms = self._max_name = 0  # no limit

    def __iter__(self) -> Iterator[Room]:
        """Yield the rooms as they are now."""
        raise NotImplementedError

    def _set_limits(self, *, max_members: int, max_rooms: int, max_name: int) -> None:
        """Change the limits; rooms with a limit of their own keep it."""
        followers = self._followers()
        self._max_members = max_members
        self._max_rooms = max_rooms
        self._max_name = max_name
        for room in followers:
            room._limit = self._members_limit(room.name)

    def _declare(self, declarations: Declarations) -> None:
        """Go by other declarations; rooms with a limit of their own keep it."""
        followers = self._followers()
        self._declarations = declarations
        self._shown = any(each.presence for each in declarations)
        self._remembers = self._broker.remembers and any(each.history_size for each in declarations)
        for room in followers:
            room._limit = self._members_limit(room.name)
        for room in self:
            was_counted = room._is_counted
            if self._remembers or isinstance(room._members, Remembering):
                former, room._members = room._members, self._members_for(room.name)
                room._members.take_over(former)
            if room._is_shown is not (shows := self._shows(room.name)):
                room._is_shown = shows
                tell = self._presence.joined if shows else self._presence.left
                for conn in room:
                    tell(conn, room.name)
            if room._is_counted is not was_counted:  # those who are in it have had no seat
                change = -len(room) if was_counted else len(room)
                self._broker.change_seats(room.name, change)

    def _followers(self) -> list[Room]:
        """The rooms that have been given no limit of their own."""
        return [room for room in self if room._limit == self._members_limit(room.name)]

    def _declared(self, name: str) -> RoomDeclaration | None:
        """Return what is declared about the room of that name."""
        return self._declarations.of(name)

    def _shows(self, name: str) -> bool:
        """Return whether the members of the room of that name can be asked for and followed."""
        if not self._shown:
            return False
        declared = self._declarations.of(name)
        return declared is not None and declared.presence

    def _terms(self, name: str) -> RoomDeclaration | None:
        """Return the terms of the history of the room of that name; None where it has none."""
        if not self._remembers:
            return None
        return self._declarations.history_of(name)

    def _members_for(self, name: str) -> Members:
        """Room for the members of a room."""
        terms = self._terms(name) if self._remembers else None
        if terms is None:
            return Members()
        return Remembering(name, self._broker, self._user_of_in(terms))

    def _user_of_in(self, terms: RoomDeclaration) -> UserOf:
        """Return what tells whose a message is; `nobody` where members are not shown."""
        return self._user_of if terms.presence else nobody

    def _shown_user_of(self, publication: Publication) -> str | None:
        """Return whose a message to a room is, as its members may know."""
        terms = self._terms(publication.name)
        return None if terms is None else self._user_of_in(terms)(publication)

    def _members_limit(self, name: str) -> int:
        if self._user_rooms is not None and self._user_rooms.covers(name):
            return 0  # connections of a user have a limit of their own
        declared = self._declared(name)
        if declared is None or declared.max_members is None:
            return self._max_members
        return declared.max_members
