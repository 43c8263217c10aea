# cython: annotation_typing=False
"""Publications as they go from one process to another: a frame `PUBLISH`.

    uint8    to whom, of `EVERYONE ROOM ROOMS USER CONNECTION` in this order
    uint8    the kind of message, of those of `dialects/stream.py`
    uint16   bytes of the name
    uint32   bytes of the ids that are left out
    …        the name; of several rooms JSON
    …        the ids, as JSON; nothing when nobody is
    …        the message

Main reads the name of a room and hands the frame on as it is.

`crossing.pxd` types this; it is compiled where the core is.
"""

from __future__ import annotations

import struct
from typing import Any

from ..dialects.publication import CONNECTION, EVERYONE, ROOM, ROOMS, USER, Publication
from ..dialects.stream import BINARY, ENVELOPE, JSON, TEXT, kind_of
from ..json import dumps, loads
from .frames import HEAD, NAME_AT, PUBLISH_HEAD, TO_ROOM, Kind

_TARGETS = (EVERYONE, ROOM, ROOMS, USER, CONNECTION)
_NUMBERS = {target: number for number, target in enumerate(_TARGETS)}
NAME = struct.Struct("<B1xH")  # whom to, and the length of the name, at HEAD.size
_TO_ROOMS = _NUMBERS[ROOMS]
assert _NUMBERS[ROOM] == TO_ROOM
_PUBLISH = int(Kind.PUBLISH)
_NAME_AT = NAME_AT
_LONGEST_NAME = 2**16 - 1


class EncodedText:
    """A text message of a kind, encoded already."""

    def __init__(self, payload: bytes, kind: int) -> None:
        self._payload = payload
        self.kind = kind

    def to_json(self) -> bytes:
        """The text as UTF-8."""
        return self._payload


def pack(publication: Publication) -> bytes | None:
    """The frame of a publication; None for one that has nobody elsewhere.

    That is one for a user who is known by an object of the program, not by a text.
    """
    kind = publication.kind
    name = _name(kind, publication.name)
    if name is None:
        return None
    left_out = b"" if publication.exclude is None else _ids(publication.exclude)
    payload = publication.payload
    size = NAME_AT - 4 + len(name) + len(left_out) + len(payload)
    message = publication.message
    said = JSON if message is None else TEXT if type(message) is str else kind_of(publication)
    head = PUBLISH_HEAD.pack(size, _PUBLISH, _NUMBERS[kind], said, len(name), len(left_out))
    return b"".join((head, name, left_out, payload))


def _name(kind: str, name: Any) -> bytes | None:
    if kind == ROOM:
        encoded: bytes = name.encode("utf-8", "surrogatepass")
        return encoded if len(encoded) <= _LONGEST_NAME else None
    if kind == EVERYONE:
        return b""
    if kind == ROOMS:
        return dumps(list(name))
    return name.encode("utf-8", "surrogatepass") if isinstance(name, str) else None


def _ids(exclude: str | frozenset[str]) -> bytes:
    return dumps([exclude] if isinstance(exclude, str) else list(exclude))


def unpack(frame: bytes) -> Publication:
    """The publication that a frame holds. Raises ValueError for what is none."""
    if len(frame) < _NAME_AT:
        raise ValueError("a frame that ends too early")
    # As `PUBLISH_HEAD` has them, each read where it lies: this is the way of every message.
    kind, said, high = frame[5], frame[6], frame[12]
    n_name = frame[7] | frame[8] << 8
    n_left_out = frame[9] | frame[10] << 8 | frame[11] << 16 | high << 24
    end_of_name = _NAME_AT + n_name
    start = end_of_name + n_left_out
    payload = frame[start:]
    if kind >= len(_TARGETS) or not TEXT <= said <= ENVELOPE or start > len(frame):
        raise ValueError("no publication")
    if said == TEXT or said == JSON:
        text = payload.decode()
        made = Publication(text)
        made.message = text if said == TEXT else None
    else:
        message: Any = payload if said == BINARY else EncodedText(payload, said)
        made = Publication(message)
        made.message = message
    made.kind = _TARGETS[kind]
    name = frame[_NAME_AT:end_of_name]
    made.name = tuple(loads(name)) if kind == _TO_ROOMS else name.decode("utf-8", "surrogatepass")
    made.exclude = frozenset(loads(frame[end_of_name:start])) if n_left_out else None
    made.answered = ""
    return made


def room_of(frame: bytes) -> bytes | None:
    """The name of the room a frame is for; None when it is for others than one room's members."""
    kind, length = NAME.unpack_from(frame, HEAD.size)
    return frame[NAME_AT : NAME_AT + length] if kind == TO_ROOM else None
