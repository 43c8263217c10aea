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
_TEXT, _JSON, _LAST = int(TEXT), int(JSON), int(ENVELOPE)  # numbers of C where this is compiled
_PLAIN_HEADS = 4096  # are kept at hand, of messages for one room that leave nobody out
_plain: dict[int, bytes] = {}


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
    kind, message = publication.kind, publication.message
    if message is None:
        said = _JSON
    else:
        said = _TEXT if type(message) is str else kind_of(publication)
    payload = publication.payload
    if kind == ROOM and publication.exclude is None:  # most of all
        text = publication.name
        name = text.encode("utf-8", "surrogatepass")
        n_name = len(name)
        if n_name > _LONGEST_NAME:
            return None
        size = _NAME_AT - 4 + n_name + len(payload)
        key = size << 24 | n_name << 8 | said
        head = _plain.get(key)
        if head is None:
            if len(_plain) >= _PLAIN_HEADS:
                _plain.clear()
            head = _plain[key] = PUBLISH_HEAD.pack(size, _PUBLISH, TO_ROOM, said, n_name, 0)
        return b"".join((head, name, payload))
    name = _name(kind, publication.name)
    if name is None:
        return None
    left_out = b"" if publication.exclude is None else _ids(publication.exclude)
    size = NAME_AT - 4 + len(name) + len(left_out) + len(payload)
    head = PUBLISH_HEAD.pack(size, _PUBLISH, _NUMBERS[kind], said, len(name), len(left_out))
    return b"".join((head, name, left_out, payload))


def _name(kind: str, name: Any) -> bytes | None:
    if kind == ROOM:
        encoded: bytes = name.encode("utf-8", "surrogatepass")
        return encoded if len(encoded) <= _LONGEST_NAME else None
    if kind == EVERYONE:
        return b""
    if kind == ROOMS:
        several: bytes = dumps(list(name))
        if len(several) > _LONGEST_NAME:
            raise ValueError(f"names of rooms take at most {_LONGEST_NAME} bytes together")
        return several
    if not isinstance(name, str):
        return None
    encoded = name.encode("utf-8", "surrogatepass")
    return encoded if len(encoded) <= _LONGEST_NAME else None


def _ids(exclude: str | frozenset[str]) -> bytes:
    return dumps([exclude] if isinstance(exclude, str) else list(exclude))


def unpack(frame: bytes) -> Publication:
    """The publication that a frame holds. Raises ValueError for what is none."""
    size = len(frame)
    if size < _NAME_AT:
        raise ValueError("a frame that ends too early")
    # As `PUBLISH_HEAD` has them, each read where it lies: this is the way of every message.
    view = frame  # where this is compiled, the bytes themselves
    kind, said, high = view[5], view[6], view[12]
    n_name = view[7] | view[8] << 8
    n_left_out = view[9] | view[10] << 8 | view[11] << 16 | high << 24
    end_of_name = _NAME_AT + n_name
    start = end_of_name + n_left_out
    if kind >= len(_TARGETS) or not _TEXT <= said <= _LAST or start > size:
        raise ValueError("no publication")
    if said == _TEXT or said == _JSON:
        text = view[start:size].decode()
        made = Publication(text)
        made.message = text if said == _TEXT else None
    else:
        payload = view[start:size]
        message: Any = payload if said == BINARY else EncodedText(payload, said)
        made = Publication(message)
        made.message = message
    made.kind = _TARGETS[kind]
    if kind == _TO_ROOMS:
        made.name = tuple(loads(view[_NAME_AT:end_of_name]))
    else:
        made.name = view[_NAME_AT:end_of_name].decode("utf-8", "surrogatepass")
    made.exclude = frozenset(loads(view[end_of_name:start])) if n_left_out else None
    made.answered = ""
    return made


def room_of(frame: bytes) -> bytes | None:
    """The name of the room a frame is for; None when it is for others than one room's members."""
    kind, length = NAME.unpack_from(frame, HEAD.size)
    return frame[NAME_AT : NAME_AT + length] if kind == TO_ROOM else None
