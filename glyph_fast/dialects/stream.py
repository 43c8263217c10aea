"""The messages of a room that remembers: the object M, alone or in an array, and as `Message`.

M is `{"offset":N,"type":"json","data":D,"timestamp":T}` with what else the message had. A member of
the room that speaks it gets M with `room`, which stands first; what is kept is made into M when it
is read. The bare JSON of a value is set in as it is.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from .. import core
from ..json import dumps, loads
from ..wire import MessageType, Position
from . import envelope
from .message import Message

if TYPE_CHECKING:
    from .publication import Publication

MAX_WRITTEN = 1024  # bytes of the frame of a message whose M is kept at hand, of
WRITTEN = 1024  # messages: less than 10 MiB in all, with every character escaped

# The kinds of kept messages: what lies in the frame.
TEXT, BINARY = 1, 2  # as the opcodes
JSON = 3  # the bare JSON of a value
ENVELOPE = 4  # an envelope without `target`, `id` and `room`
ROOM_ENVELOPE = 5  # the same with `room`, the name of this one

# frame, when (seconds since the epoch), kind, excluded ids, user or None
Kept: TypeAlias = tuple[bytes, float, int, "str | frozenset[str] | None", "str | None"]


class StreamMessage(Message):
    """A message with its place in a room.

    `offset` is its number there, and `user` whose it is, where that is known and shown to others.
    """

    __slots__ = ("offset", "user")

    offset: int
    user: str | None


def payload_of(frame: bytes) -> bytes:
    """Return the payload of an unmasked frame."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :]


def kept_frame(publication: Publication) -> tuple[bytes, int]:
    """The frame that is kept of a publication to one room, and its kind."""
    message = publication.message
    if isinstance(message, Message):
        if message.target or message.id is not None or message.room not in ("", publication.name):
            return core.Frame(_clean(publication.payload)).data, ENVELOPE
        return publication.data, ROOM_ENVELOPE if message.room else ENVELOPE
    if isinstance(message, str):
        return publication.data, TEXT
    return publication.data, publication.opcode if publication.opcode == BINARY else JSON


def _clean(payload: bytes) -> str:
    """An envelope without what members must not see, and without the name of another room."""
    value = loads(payload)
    for member in ("target", "id", "room"):
        value.pop(member, None)
    return dumps(value).decode()


def place(publication: Publication, epoch: str, offset: int, kept: Kept) -> None:
    """Note the place that a publication got."""
    publication.epoch = epoch
    publication.offset = offset
    publication.kept = kept


def enveloped(publication: Publication) -> core.Frame:
    """The format of members who get M, with `room`."""
    name: str = publication.name
    text = with_room(write(publication.offset, publication.kept, name), name)
    return core.Frame(text.decode())


def skip(publication: Publication) -> core.Frame:
    """Make the frame for a member who is left out, in the place of a message."""
    return core.Frame(
        f'{{"type":"skip","room":{_json_of(publication.name).decode()},'
        f'"offset":{publication.offset}}}'
    )


def room_reset(room: str, position: Position) -> core.Frame:
    """Make the frame that tells members that the room begins anew, behind a position."""
    data = {"epoch": position.epoch, "offset": position.offset}
    return core.Frame(dumps({"type": "room_reset", "room": room, "data": data}).decode())


def kind_of(publication: Publication) -> int:
    """The kind of message that a publication is, whatever its room."""
    message = publication.message
    if isinstance(message, Message):
        return ENVELOPE
    if isinstance(message, str):
        return TEXT
    if publication.opcode == BINARY:
        return BINARY
    return getattr(message, "kind", JSON)


def typed(kind: int, payload: bytes) -> tuple[bytes, bytes]:
    """The type of a message that is no envelope, and its data as JSON."""
    if kind == JSON:
        return b"json", payload
    if kind == TEXT:
        return b"text", dumps(payload.decode())
    return b"binary", b'"%b"' % b64encode(payload)


def write(offset: int, kept: Kept, room: str) -> bytes:
    """M of what is kept, without `room`, as UTF-8."""
    frame, at, kind, _, user = kept
    payload = payload_of(frame)
    who = b"" if user is None else b',"user":' + dumps(user)
    if kind >= ENVELOPE:
        if kind == ROOM_ENVELOPE:
            payload = _without_room(payload, room)
        return b'{"offset":%d%b,%b' % (offset, who, payload[1:])
    type_, data = typed(kind, payload)
    return b'{"offset":%d,"type":"%b","data":%b%b,"timestamp":"%b"}' % (
        offset, type_, data, who, rfc3339(at)
    )  # fmt: skip


def write_all(messages: Iterable[tuple[int, Kept]], room: str) -> list[bytes]:
    """M of each, in order. Small ones are at hand for the next who asks: many come back at once."""
    return [
        (_written if len(kept[0]) <= MAX_WRITTEN else write)(offset, kept, room)
        for offset, kept in messages
    ]


_written = lru_cache(maxsize=WRITTEN)(write)


def with_room(text: bytes, room: str) -> bytes:
    """M with `room` in the first place."""
    return b'{"room":%b,%b' % (_json_of(room), text[1:])


def read(offset: int, kept: Kept) -> StreamMessage:
    """Read what is kept as a message."""
    frame, at, kind, _, user = kept
    payload = payload_of(frame)
    message = StreamMessage.__new__(StreamMessage)
    if kind >= ENVELOPE:
        envelope.read_all(message, payload)
    else:
        message.raw = payload if kind == BINARY else payload.decode()
        message.type = _TYPES[kind]
        message.data = loads(payload) if kind == JSON else message.raw
        message.timestamp = rfc3339(at).decode()
    message.offset = offset
    message.user = user
    return message


_TYPES = {TEXT: MessageType.TEXT, BINARY: MessageType.BINARY, JSON: MessageType.JSON}


def rfc3339(at: float) -> bytes:
    """A time in UTC with microseconds."""
    second, micros = divmod(int(at * 1_000_000), 1_000_000)
    return b"%b.%06dZ" % (_second(second), micros)


@lru_cache(maxsize=1024)
def _second(second: int) -> bytes:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()


@lru_cache(maxsize=1024)
def _json_of(name: str) -> bytes:
    return dumps(name)


def _without_room(text: bytes, room: str) -> bytes:
    """An envelope without its member `room`."""
    part = b',"room":' + _json_of(room)
    if text.count(part) == 1:  # as `envelope.write` has written it, and not in data as well
        return text.replace(part, b"")
    value: dict[str, Any] = loads(text)
    del value["room"]
    return dumps(value)
