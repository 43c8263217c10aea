"""Joining a room that remembers: what was missed is read, and what comes meanwhile is not lost.

While the broker reads, the member is held (`remembering.py`). In one process that takes no time at
all: nothing is awaited, and the answer, the messages before it and those behind it are in order.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..broker.history import Ask, Page
from ..dialects.publication import Format, bare
from ..dialects.stream import StreamMessage, enveloped, read
from ..errors import GlyphFastError
from ..wire import NOWHERE, WEBSOCKET, Position
from .remembering import Remembering
from .room import Member, Room
from .seating import enter

if TYPE_CHECKING:
    from .rooms import RoomManager

MAX_ANSWER = 1024 * 1024  # bytes of messages in one answer


class Joined(NamedTuple):
    """The answer to joining a room.

    `position` is that of the room's newest message, `messages` are those asked for, the oldest
    first. `resumed`: they are all that came after the position `since`.
    """

    position: Position
    resumed: bool
    messages: list[StreamMessage]


async def join(
    conn: Member,
    name: str,
    ask: Ask,
    format: Format,
    answer: Callable[[Page], Any] = lambda page: None,
    prepare: Callable[[], Awaitable[object]] | None = None,
) -> Page:
    """Make `conn` a member of a room that gets its messages in a format, and read what it asks for.

    Where several processes count the members together, it is exact about their number.

    `answer` is called before it gets what comes after that, and `prepare` before it is read: it
    makes ready what the answer tells besides. A room that does not remember takes a
    member as ever, with an empty page. Raises what `RoomManager.join` raises, GlyphFastError when
    the member was removed meanwhile or is joining already, and what the broker raises.
    """
    rooms = conn._manager
    was_member = name in rooms and conn in rooms._rooms[name]
    room = await enter(conn, name)
    members = room._members
    if not isinstance(members, Remembering):
        page: Page = Page(NOWHERE, [])
        answer(page)
        return page
    former = (members.format_of(conn) or bare) if was_member else None
    if former is enveloped:
        format = former
    members.hold(conn)
    try:
        if prepare is not None:
            await prepare()
        page = await rooms._broker.history(name, ask)
        check_held(rooms, conn, room, members)
        members.go_on_from(page.position)
        answer(page)
    except BaseException:
        if members.is_held(conn) and former is not None:
            members.release(conn, former, None)
        elif members.is_held(conn):
            rooms._dismiss(conn, room)
        raise
    members.release(conn, format, page.position)
    return page


def check_held(rooms: RoomManager, conn: Member, room: Room, members: Remembering) -> None:
    """Raise GlyphFastError unless it is a member, and all that came meanwhile is there for it."""
    if members.is_held(conn):
        return
    if not members.has(conn):
        raise GlyphFastError("removed from this room while joining it")
    rooms._dismiss(conn, room)
    raise GlyphFastError("too many messages came while joining: try again")


async def join_as_program(
    conn: Member,
    name: str,
    since: Position | tuple[str, int] | None,
    history: int,
    envelopes: bool,
) -> Joined:
    """Join a room for the program, by `Connection.join`."""
    most = conn._manager._history_answer
    if since is not None:
        ask = resuming(Position(*since), most, conn.id)
    else:
        ask = Ask(limit=history, most=most, most_bytes=MAX_ANSWER)
    is_enveloped = envelopes or conn._kind != WEBSOCKET
    page = await join(conn, name, ask, enveloped if is_enveloped else bare)
    messages = [read(offset, kept) for offset, kept in page.messages]
    return Joined(page.position, since is not None and not page.is_lost, messages)


def resuming(since: Position, most: int, *ids: str) -> Ask:
    """Return the question of a client that was at a position, under these ids."""
    return Ask(
        since=since,
        most=most,
        most_bytes=MAX_ANSWER,
        without=frozenset(ids),
        is_whole=True,
    )
