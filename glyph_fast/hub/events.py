"""The codecs that write the events of a stream, and the way of a stream into its rooms.

All streams of the same rooms share a codec, so that an event is written once for all of them. That
is possible because they are at the same place: a member has got all that was delivered here. One
that is still joining is not, so until it is it has a codec of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from .. import core
from ..broker.history import Ask, Page
from ..dialects.events import block, data_of, id_of
from ..dialects.stream import enveloped, room_reset, with_room, write
from ..json import dumps
from ..wire import Position
from .connection import Connection
from .joining import check_held, resuming
from .remembering import Remembering
from .seating import enter

if TYPE_CHECKING:
    from .rooms import RoomManager

_COMMENT = b":\n\n"
_LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112 §7.1


class EventCodec:
    """Writes events: in chunks, or with the connection's end for the end (HTTP/1.0)."""

    __slots__ = ("__weakref__", "comment", "is_chunked")

    def __init__(self, is_chunked: bool) -> None:
        self.is_chunked = is_chunked
        self.comment = self.whole(_COMMENT)

    def whole(self, data: bytes) -> bytes:
        """Bytes of the body as they are sent."""
        return b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data

    def end(self, code: int, reason: str) -> bytes:
        """The end of the body, behind an event that says why; `EventSource` comes back anyway."""
        why = self.whole(block(dumps({"code": code, "reason": reason}), name="close"))
        return why + _LAST_CHUNK if self.is_chunked else why


class SharedCodec(EventCodec):
    """The codec of all streams that are in the same rooms."""

    __slots__ = ("_manager", "_names")

    def __init__(self, manager: RoomManager, names: tuple[str, ...], is_chunked: bool) -> None:
        super().__init__(is_chunked)
        self._manager = manager
        self._names = names

    def encode(self, frame: core.Frame) -> bytes:
        """The event that a message is, written once; each is sent before the next is made."""
        data = data_of(frame)
        variants = frame.variants
        assert variants is not None
        event: bytes | None = variants.get(self)
        if event is None:
            event = variants[self] = self.whole(block(data, self._id()))
        return event

    def _id(self) -> bytes:
        rooms = self._manager._rooms
        return id_of([
            (name, room._members.position)
            for name in self._names
            if (room := rooms.get(name)) is not None and isinstance(room._members, Remembering)
        ])  # fmt: skip


class JoiningCodec(EventCodec):
    """The codec of one stream until it has joined its rooms; it knows how far it is in each."""

    __slots__ = ("_is_mark", "positions")

    def __init__(self, positions: Mapping[str, Position], is_chunked: bool) -> None:
        super().__init__(is_chunked)
        self.positions = dict(positions)
        self._is_mark = False

    @property
    def id(self) -> bytes:
        """Return the position of the stream in each of its rooms, as the id of an event."""
        return id_of(self.positions.items())

    def encode(self, frame: core.Frame) -> bytes:
        """The event that a message is, and no event where `mark` asks for the id alone."""
        return self.whole(block(b"" if self._is_mark else data_of(frame), self.id))

    def mark(self, conn: Connection) -> None:
        """Tell the client where it is, without an event."""
        self._is_mark = True
        conn._answer("")
        self._is_mark = False


class EventCodecs:
    """The codecs that the streams of a server share."""

    def __init__(self, manager: RoomManager) -> None:
        self._manager = manager
        self._known: WeakValueDictionary[tuple[tuple[str, ...], bool], SharedCodec] = (
            WeakValueDictionary()
        )

    def of(self, names: tuple[str, ...], is_chunked: bool) -> SharedCodec:
        """That of streams in these rooms."""
        codec = self._known.get((names, is_chunked))
        if codec is None:
            codec = self._known[names, is_chunked] = SharedCodec(self._manager, names, is_chunked)
        return codec


async def join_all(
    conn: Connection,
    names: tuple[str, ...],
    joining: JoiningCodec,
    shared: SharedCodec,
    counts: Counter[str],
) -> None:
    """Bring a stream into its rooms, and tell it what it has missed in each since `joining` began.

    Nothing that is published meanwhile comes before that, or is lost. Raises what joining raises;
    then the stream is to be closed. `counts` are those of resumes.
    """
    rooms = conn._manager
    held = []
    for name in names:
        room = await enter(conn, name)
        if isinstance(room._members, Remembering):
            room._members.hold(conn)
            held.append((room, room._members))
    pages = [await _missed(conn, room.name, joining) for room, _ in held]
    for (room, members), page in zip(held, pages, strict=True):
        check_held(rooms, conn, room, members)
        members.go_on_from(page.position)
        if not _tell_missed(conn, room.name, page, joining, counts):
            await conn.drain()
    for room, members in held:
        check_held(rooms, conn, room, members)
    for (room, members), page in zip(held, pages, strict=True):
        note = partial(joining.positions.__setitem__, room.name)
        members.release(conn, enveloped, page.position, note)
    if held:
        joining.mark(conn)
    conn._use_codec(shared)


async def _missed(conn: Connection, name: str, joining: JoiningCodec) -> Page:
    rooms = conn._manager
    since = joining.positions.get(name)
    ask = Ask(limit=0) if since is None else resuming(since, rooms._history_answer, conn.id)
    page: Page = await rooms._broker.history(name, ask)
    return page


def _tell_missed(
    conn: Connection, name: str, page: Page, joining: JoiningCodec, counts: Counter[str]
) -> bool:
    """Send what was missed in a room, or that it is not known; whether more may be sent at once."""
    positions = joining.positions
    may_go_on = True
    if name in positions:
        counts["refused" if page.is_lost else "resumed"] += 1
        if page.is_lost:
            positions[name] = page.position
            conn._answer(room_reset(name, page.position).payload.decode())
        for offset, kept in page.messages:
            positions[name] = Position(page.position.epoch, offset)
            may_go_on = conn._answer(with_room(write(offset, kept, name), name).decode())
    positions[name] = page.position
    return may_go_on


__all__ = ["EventCodecs", "JoiningCodec", "SharedCodec", "join_all"]
