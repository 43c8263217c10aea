"""Seats in rooms whose members are counted for all workers: those with history or presence.

`conn.join_room` may not wait, so it goes by the members of its own process, and the others hear of
it. Whoever may wait asks for a seat first, and has it or gives it back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ..errors import RoomFull
from .room import Member, Room

if TYPE_CHECKING:
    from .rooms import RoomManager


def is_counted(rooms: RoomManager, name: str) -> bool:
    """Return whether the members of the room of that name are counted for all processes."""
    if not rooms._broker.counts_members:
        return False
    return rooms._shows(name) or rooms._terms(name) is not None


def changed(room: Room, change: int) -> None:
    """A room has so many members more, or fewer, in this process."""
    if room._is_counted:
        room._manager._broker.change_seats(room.name, change)


async def enter(conn: Member, name: str) -> Room:
    """Make `conn` a member of a room that has space in all processes together.

    Nothing is awaited where members are not counted. Raises what `RoomManager._join` raises, and
    BrokerUnavailable.
    """
    rooms = conn._manager
    if not is_counted(rooms, name) or _is_member(rooms, conn, name):
        return rooms._join(conn, name)
    rooms._check_space(name)
    rooms._check_member(conn)
    room = rooms._rooms.get(name)
    limit = rooms._members_limit(name) if room is None else room._limit
    if not limit:
        return rooms._join(conn, name)
    if not await _take(rooms, name, limit):
        raise RoomFull(name, limit)
    is_used = False
    try:
        is_used = not _is_member(rooms, conn, name)  # it may have joined meanwhile
        return rooms._join_here(conn, name, has_seat=True)
    except BaseException:
        is_used = False
        raise
    finally:
        if not is_used:
            rooms._broker.change_seats(name, -1)


async def check_space(rooms: RoomManager, name: str) -> None:
    """Raise what joining a room would, of one that is in no rooms yet. BrokerUnavailable."""
    rooms._check_space(name)
    if not is_counted(rooms, name):
        return
    room = rooms._rooms.get(name)
    limit = rooms._members_limit(name) if room is None else room._limit
    if limit and await rooms._broker.count_seats(name) >= limit:
        raise RoomFull(name, limit)


def _is_member(rooms: RoomManager, conn: Member, name: str) -> bool:
    room = rooms._rooms.get(name)
    return room is not None and room._members.has(conn)


async def _take(rooms: RoomManager, name: str, limit: int) -> bool:
    """Take a seat, if there is one; give it back when nobody waits for it any more."""
    asking = asyncio.ensure_future(rooms._broker.take_seat(name, limit))

    def give_back(done: asyncio.Future[bool]) -> None:
        if not done.cancelled() and done.exception() is None and done.result():
            rooms._broker.change_seats(name, -1)

    try:
        return await asyncio.shield(asking)
    except asyncio.CancelledError:
        asking.add_done_callback(give_back)
        raise
