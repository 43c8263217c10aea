# cython: annotation_typing=False
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
from ..dialects.stream import JSON, TEXT, kept_frame
from ..json import dumps, loads
from ..wire import BINARY
from .crossing import EncodedText
from .frames import HEAD, Kind

_NUMBER = struct.Struct("<I")
_PLACE = struct.Struct("<dQB")
_WHEN_WHERE = struct.Struct("<dQ")  # the same without the length, which is read by itself
# kind of what is kept, opcode of the message; bytes of name, excluded ids, user, id, answered, kept
_SIZES = struct.Struct("<BBHIHHBI")
_NO_USER = 2**16 - 1
_SIZES_SIZE = _SIZES.size
_PLAIN_SIZES = 4096  # are kept at hand, of messages that have no more than a name and a user
_ORDER = int(Kind.ORDER)
_ASKING = struct.Struct("<IBI")  # how an `ORDER` begins
_PLACE_AT = HEAD.size
PARTS_AT = HEAD.size + _NUMBER.size
_EPOCH_AT = HEAD.size + _PLACE.size
_plain: dict[int, bytes] = {}


class Order(NamedTuple):
    """The parts of an `ORDER` that main reads."""

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
    return order_of(publication, user, number, id)


def order_of(publication: Publication, user: str | None, number: int, id: str) -> bytes:
    """The same, without names of arguments."""
    parts = parts_of(publication, user, id)
    return _ASKING.pack(1 + _NUMBER.size + len(parts), _ORDER, number) + parts


def parts_of(publication: Publication, user: str | None, id: str) -> bytes:
    """The parts of an order, which Redis is given without what stands before them."""
    message = publication.message
    kept, kind = b"", JSON
    if type(message) is str:
        kind = TEXT
    elif message is not None:  # of most of all the frame is kept
        kept, kind = kept_frame(publication)
        if kept is publication.data:
            kept = b""
    opcode = publication.opcode
    exclude = publication.exclude
    name = publication.name.encode("utf-8", "surrogatepass")
    whose = b"" if user is None else user.encode("utf-8", "surrogatepass")
    n_name, n_user = len(name), _NO_USER if user is None else len(whose)
    answered = publication.answered
    if exclude is None and not id and not answered and not kept:
        key = n_user << 40 | n_name << 8 | kind << 4 | opcode
        sizes = _plain.get(key)
        if sizes is None:
            if len(_plain) >= _PLAIN_SIZES:
                _plain.clear()
            sizes = _plain[key] = _SIZES.pack(kind, opcode, n_name, 0, n_user, 0, 0, 0)
        return b"".join((sizes, name, whose, publication.payload))
    left_out = b"" if exclude is None else dumps(_listed(exclude))
    under = id.encode("utf-8", "surrogatepass")
    told = answered.encode()
    sizes = _SIZES.pack(
        kind, opcode, n_name, len(left_out), n_user, len(under), len(told), len(kept)
    )
    return b"".join((sizes, name, left_out, whose, under, told, kept, publication.payload))


def read_order(frame: bytes) -> Order:
    """Read what an `ORDER` holds. Raises ValueError."""
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
    size = len(frame)
    if size < _EPOCH_AT:
        raise ValueError("a place that ends too early")
    at, offset = _WHEN_WHERE.unpack_from(frame, _PLACE_AT)
    start = _EPOCH_AT + frame[_EPOCH_AT - 1]
    name_at = start + _SIZES_SIZE
    if size < name_at:
        raise ValueError("an order that ends too early")
    # The sizes as `_SIZES` has them, each read where it lies: this is the way of every message.
    kind, opcode = frame[start], frame[start + 1]
    end = name_at + (frame[start + 2] | frame[start + 3] << 8)
    n_exclude = _uint32(frame, start + 4)
    n_user = frame[start + 8] | frame[start + 9] << 8
    n_id = frame[start + 10] | frame[start + 11] << 8
    n_answered = frame[start + 12]
    n_kept = _uint32(frame, start + 13)
    epoch = frame[_EPOCH_AT:start]
    name = frame[name_at:end]
    exclude = user = None
    if n_exclude:
        start, end = end, end + n_exclude
        exclude = _excluded(frame[start:end])
    if n_user != _NO_USER:
        start, end = end, end + n_user
        user = _text(frame[start:end])
    answered_at = end + n_id
    kept_at = answered_at + n_answered
    end = kept_at + n_kept
    if end > size:
        raise ValueError("an order that ends too early")
    payload = frame[end:]
    message: Any = payload
    if kind == JSON or kind == TEXT:  # most of all
        message = payload.decode()
    elif opcode != BINARY:
        message = EncodedText(payload, kind)
    made = Publication(message)
    made.kind = PLACED
    made.name = _text(name)
    made.message = None if kind == JSON else message
    made.exclude = exclude
    made.epoch = epoch.decode()
    made.offset = offset
    made.kept = (frame[kept_at:end] if n_kept else made.data, at, kind, exclude, user)
    made.answered = frame[answered_at:kept_at].decode() if n_answered else ""
    return made


def _uint32(frame: bytes, at: int) -> int:
    high = frame[at + 3]
    return frame[at] | frame[at + 1] << 8 | frame[at + 2] << 16 | high << 24


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
