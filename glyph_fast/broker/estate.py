"""The estate of a process for its successor: positions and histories of rooms, and ids.

    HANDING   JSON: the number of this format, of ids and of rooms; from now on no place is given
    IDS       a pickled list: room, user, id, until when it counts, epoch, offset
    STREAMS   a pickled list: room, epoch, offset, times, messages, whether they are its last ones
    HANDED    nothing: that was all

Ids go first: a room whose ids were lost could get a message twice. Of rooms those that were used
last go first. A large room goes in several parts, one after the other. A piece is small, so that
neither loop is held up.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ..dialects.stream import Kept
from ..json import loads
from ..wire import Position
from .frames import HEAD, BadFrame, Kind, frame, frame_of_json
from .history import KEPT_BYTES, STREAM_BYTES, Stream
from .memory import MemoryBroker
from .questions import own_classes

FORMAT = 1  # of all frames between a process and its successor, which may be of another release
PIECE = 256 * 1024  # bytes of one frame, unless a single message is larger
IDS_OF_PIECE = 1000


def pieces(memory: MemoryBroker) -> Iterator[bytes]:
    """The frames that hand over what a broker remembers. It must not change meanwhile."""
    ids, streams = memory.ids, memory.histories
    about = {"format": FORMAT, "ids": len(ids), "rooms": len(streams)}
    yield frame_of_json(Kind.HANDING, about)
    known = iter(ids)
    while some := list(islice(known, IDS_OF_PIECE)):
        yield _frame(Kind.IDS, [(*names, until, *position) for names, (until, position) in some])
    yield from _streams(sorted(streams, key=lambda stream: -stream.latest))
    yield frame(Kind.HANDED)


def _frame(kind: Kind, value: Any) -> bytes:
    return frame(kind, pickle.dumps(value, protocol=5))


def _streams(streams: list[Stream]) -> Iterator[bytes]:
    parts: list[Any] = []
    size = 0

    def part(stream: Stream, messages: list[Kept], is_whole: bool) -> None:
        times = stream.at, stream.used
        parts.append((stream.name, stream.epoch, stream.offset, times, messages, is_whole))

    for stream in streams:
        messages: list[Kept] = []
        size += STREAM_BYTES
        for kept in stream.kept:
            messages.append(kept)
            size += len(kept[0]) + KEPT_BYTES
            if size >= PIECE:
                part(stream, messages, False)
                yield _frame(Kind.STREAMS, parts)
                parts, messages, size = [], [], 0
        part(stream, messages, True)
        if size >= PIECE:
            yield _frame(Kind.STREAMS, parts)
            parts, size = [], 0
    if parts:
        yield _frame(Kind.STREAMS, parts)


class Receiver:
    """Takes what a former process hands over into a broker's memory; a room once it is whole."""

    def __init__(self, memory: MemoryBroker) -> None:
        self._memory = memory
        self._part: list[Kept] = []  # of a room that has not come whole
        self.expected = 0  # rooms, as the former process told
        self.rooms = 0  # that have come whole
        self.messages = 0  # of these

    def take(self, frame: bytes) -> None:
        """Take one of the frames. Raises BadFrame for what no process of this release sends."""
        try:
            kind, data = frame[4], frame[HEAD.size :]
            if kind == Kind.HANDING:
                self._begin(loads(data))
            elif kind == Kind.IDS:
                for room, user, id, until, epoch, offset in own_classes(data):
                    self._memory.ids.adopt(room, user, id, until, Position(epoch, offset))
            elif kind == Kind.STREAMS:
                for part in own_classes(data):
                    self._take_part(*part)
        except (ValueError, TypeError, KeyError, EOFError, pickle.UnpicklingError) as exc:
            raise BadFrame(f"it hands over what cannot be read: {exc}") from None

    def _begin(self, about: dict[str, int]) -> None:
        if about["format"] != FORMAT:
            raise BadFrame(f"it hands over in format {about['format']}, and {FORMAT} is expected")
        self.expected = about["rooms"]

    def _take_part(
        self,
        name: str,
        epoch: str,
        offset: int,
        times: tuple[float, float],
        messages: list[Kept],
        is_whole: bool,
    ) -> None:
        self._part += messages
        if is_whole:
            messages, self._part = self._part, []
            self.rooms += 1
            self.messages += len(messages)
            self._memory.histories.adopt(name, Position(epoch, offset), times, messages)
