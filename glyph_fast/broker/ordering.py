"""Publications to rooms that remember, on their way to main for a place, and back with it.

An `ORDER` goes to main, a `PLACED` from there to every worker with members, the sender's included.
The second is the first with its place before it: main copies the rest and reads what it keeps.

    ORDER    number of the question (0: none), then the parts
    PLACED   when (float64, seconds since the epoch), offset (uint64), length of the epoch (uint8),
             the epoch, then the parts

The parts are their sizes and kinds (`_SIZES`), then name, excluded ids (JSON), user, id, the id of
who is answered, the kept frame where it is not the frame of the message, and the message.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from ..core import encode_frame
from ..dialects.publication import PLACED, Publication
from ..dialects.stream import kept_frame
from ..json import dumps, loads
from ..wire import BINARY
from .crossing import EncodedText
from .frames import HEAD, Kind

_NUMBER = struct.Struct("<I")
_PLACE = struct.Struct("<dQB")
# kind of what is kept, opcode of the message; bytes of name, excluded ids, user, id, answered, kept
_SIZES = struct.Struct("<BBHIHHBI")
_NO_USER = 2**16 - 1
PARTS_AT = HEAD.size + _NUMBER.size


class Order(NamedTuple):
    """What main reads of an `ORDER`."""

    number: int
    name: str
    exclude: str | frozenset[str] | None
    user: str | None
    id: str
    kind: int
    frame: bytes  # to be kept


class _Parts(NamedTuple):
    kind: int
    opcode: int
    name: bytes
    exclude: bytes
    user: bytes | None
    id: bytes
    answered: bytes
    kept: bytes
    payload: bytes


def order(publication: Publication, user: str | None, *, number: int = 0, id: str = "") -> bytes:
    """The frame that asks main for a place."""
    kept, kind = kept_frame(publication)
    exclude = publication.exclude
    fields = (
        publication.name.encode("utf-8", "surrogatepass"),
        b"" if exclude is None else dumps(_listed(exclude)),
        b"" if user is None else user.encode("utf-8", "surrogatepass"),
        id.encode("utf-8", "surrogatepass"),
        getattr(publication, "answered", "").encode(),
        b"" if kept is publication.data else kept,
        publication.payload,
    )
    sizes = list(map(len, fields[:-1]))
    if user is None:
        sizes[2] = _NO_USER
    head = _NUMBER.pack(number) + _SIZES.pack(kind, publication.opcode, *sizes)
    body = b"".join((head, *fields))
    return HEAD.pack(1 + len(body), Kind.ORDER) + body


def read_order(frame: bytes) -> Order:
    """What an `ORDER` holds. Raises ValueError."""
    parts = _parts(frame, PARTS_AT)
    return Order(
        _NUMBER.unpack_from(frame, HEAD.size)[0],
        _text(parts.name),
        _excluded(parts.exclude),
        None if parts.user is None else _text(parts.user),
        _text(parts.id),
        parts.kind,
        parts.kept or encode_frame(parts.opcode, parts.payload),
    )


def placed(order: bytes, epoch: str, offset: int, at: float) -> bytes:
    """The frame for the workers, of an `ORDER` that got its place."""
    encoded = epoch.encode()
    place = _PLACE.pack(at, offset, len(encoded))
    body = b"".join((place, encoded, memoryview(order)[PARTS_AT:]))
    return HEAD.pack(1 + len(body), Kind.PLACED) + body


def read_placed(frame: bytes) -> Publication:
    """The publication of a `PLACED`, to be delivered. Raises ValueError."""
    try:
        at, offset, size = _PLACE.unpack_from(frame, HEAD.size)
    except struct.error as exc:
        raise ValueError(str(exc)) from None
    start = HEAD.size + _PLACE.size
    parts = _parts(frame, start + size)
    message: Any = (
        parts.payload if parts.opcode == BINARY else EncodedText(parts.payload, parts.kind)
    )
    made = Publication(message)
    made.kind = PLACED
    made.name = _text(parts.name)
    made.message = message
    made.exclude = _excluded(parts.exclude)
    made.epoch = frame[start : start + size].decode()
    made.offset = offset
    user = None if parts.user is None else _text(parts.user)
    made.kept = (parts.kept or made.data, at, parts.kind, made.exclude, user)
    if parts.answered:
        made.answered = parts.answered.decode()
    return made


def _parts(frame: bytes, at: int) -> _Parts:
    try:
        kind, opcode, *sizes = _SIZES.unpack_from(frame, at)
    except struct.error as exc:
        raise ValueError(str(exc)) from None
    has_user = sizes[2] != _NO_USER
    if not has_user:
        sizes[2] = 0
    at += _SIZES.size
    found = []
    for size in sizes:
        found.append(frame[at : at + size])
        at += size
    if at > len(frame):
        raise ValueError("an order that ends too early")
    name, exclude, user, id, answered, kept = found
    return _Parts(
        kind, opcode, name, exclude, user if has_user else None, id, answered, kept, frame[at:]
    )


def _listed(exclude: str | frozenset[str]) -> list[str]:
    return [exclude] if isinstance(exclude, str) else list(exclude)


def _excluded(ids: bytes) -> str | frozenset[str] | None:
    if not ids:
        return None
    found = loads(ids)
    return found[0] if len(found) == 1 else frozenset(found)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
