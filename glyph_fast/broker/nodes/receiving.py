"""Publications that other nodes send, checked like any input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...dialects.publication import ROOM, ROOMS, Publication
from ...dialects.stream import ENVELOPE
from ..crossing import EncodedText, unpack
from ..frames import NAME_AT, Kind

_PUBLISH = int(Kind.PUBLISH)


def publications(body: bytes, room: str | None) -> Iterable[Publication]:
    """The publications of a message, of one frame or several, that may come where it came.

    `room` is that whose members it is for; None: others than those of one room. Raises ValueError.
    """
    size = len(body)
    if size < NAME_AT or int.from_bytes(body[:4], "little") != size - 4 or body[4] != _PUBLISH:
        return _several(body, room)
    made = unpack(body)  # one frame, as most of all are
    _check(made, room)
    return (made,)


def _several(body: bytes, room: str | None) -> Iterator[Publication]:
    for frame in frames_of(body):
        made = unpack(frame)
        _check(made, room)
        yield made


def frames_of(body: bytes) -> Iterator[bytes]:
    """The frames PUBLISH, one after the other. Raises ValueError for what is none."""
    at, end = 0, len(body)
    while at < end:
        size = 4 + int.from_bytes(body[at : at + 4], "little")
        if size < NAME_AT or at + size > end or body[at + 4] != _PUBLISH:
            raise ValueError("not a frame")
        yield body if size == end else body[at : at + size]
        at += size


def _check(made: Publication, room: str | None) -> None:
    if (made.name if made.kind == ROOM else None) != room:
        raise ValueError("in the wrong place")
    if room is not None and made.exclude is None and made.message is None:
        return  # the bare JSON of a value, for all
    if made.kind == ROOMS and not all(isinstance(each, str) for each in made.name):
        raise ValueError("rooms that are no texts")
    if made.exclude is not None and not all(isinstance(each, str) for each in made.exclude):
        raise ValueError("ids that are no texts")
    if isinstance(made.message, EncodedText) and made.message.kind == ENVELOPE:
        made.payload.decode()
