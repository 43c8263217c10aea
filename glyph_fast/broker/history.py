# cython: annotation_typing=False
"""Histories: the latest messages of each room that keeps some, and its position.

A `Stream` is what is known of one room: its epoch, how many messages it has had, and those of them
that are kept. A kept message is a tuple, `Kept`, whose frame is the one that was sent: members with
full queues and the history hold the same bytes.

Nothing has a timer of its own. Streams lie in heaps by the moment at which they become too old, or
were used last, as that was when they were put there. One that comes up is looked at, and put back
when its moment has moved on: so a message costs these heaps nothing.

`history.pxd` types what each message comes by; it is compiled where the core is.
"""

from __future__ import annotations

import heapq
import math
import os
import time
from base64 import urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from ..dialects.publication import Publication
from ..dialects.stream import JSON, TEXT, Kept, kept_frame
from ..options.rooms import RoomDeclaration
from ..wire import Position

# Bytes that are counted beside those of the frames, as measured: of a kept message (its tuple, its
# time, its place), and of a room with a position (names, tables, heap entries).
KEPT_BYTES = 168
STREAM_BYTES = 1600
_KEPT_BYTES = KEPT_BYTES  # a number of C where this is compiled
NO_LIMIT = 1 << 62


class Ask(NamedTuple):
    """Which messages of a room are asked for: all that are kept, or fewer.

    Those after the offset of `since`; those before the offset `before`; of these the first after
    `since`, else the latest `limit`. At most `most` come, of `most_bytes` in all, and none that
    leaves out one of the ids `without`. With `is_whole` it is all after `since` or nothing.
    """

    since: Position | None = None
    before: int | None = None
    limit: int | None = None
    most: int = NO_LIMIT
    most_bytes: int = NO_LIMIT
    without: frozenset[str] = frozenset()
    is_whole: bool = False


class Page(NamedTuple):
    """The messages that were found, with their offsets, the oldest first, and the room's position.

    `is_lost`: the position asked for is no longer covered, or not by so few messages as may come.
    `has_more`: only the bounds of an answer kept out messages that were asked for.
    """

    position: Position
    messages: list[tuple[int, Kept]]
    is_lost: bool = False
    has_more: bool = False


class Stream:
    """One room's position and kept messages; those have the offsets up to `offset`, in a row."""

    def __init__(self, name: str, terms: RoomDeclaration, now: float) -> None:
        self.name = name
        self.terms = terms
        self.most = terms.history_size
        self.most_bytes = terms.history_bytes
        self.epoch = urlsafe_b64encode(os.urandom(6)).decode()
        self.offset = 0  # of the newest message
        self.kept: deque[Kept] = deque()
        self.nbytes = 0  # of their frames
        self.newest: Kept  # also where it was too large to be kept
        self.at = now  # when the newest came, else when it was opened
        self.used = now  # when it was read last
        self.is_open = True  # until it is forgotten

    @property
    def position(self) -> Position:
        """That of the newest message."""
        return Position(self.epoch, self.offset)

    @property
    def latest(self) -> float:
        """Return when it was used last."""
        return max(self.at, self.used)

    @property
    def end(self) -> float:
        """Return when its messages go, if none comes."""
        return self.at + self.terms.history_ttl

    @property
    def last_end(self) -> float:
        """Return when its position goes, if no message comes."""
        return self.at + self.terms.history_meta_ttl

    def covers(self, since: Position) -> bool:
        """Return whether every message after a position is kept."""
        return (
            since.epoch == self.epoch
            and self.offset - len(self.kept) <= since.offset <= self.offset
        )

    def numbered(
        self, above: int, below: int | None, *, from_newest: bool
    ) -> Iterator[tuple[int, Kept]]:
        """The kept messages with offsets between these two, read one by one, from an end on."""
        kept, first = self.kept, self.offset - len(self.kept) + 1
        start = max(first, above + 1)
        stop = self.offset + 1 if below is None else min(below, self.offset + 1)
        if start >= stop:
            return iter(())
        if from_newest:
            found = islice(reversed(kept), self.offset + 1 - stop, None)
            return zip(range(stop - 1, start - 1, -1), found, strict=False)
        return zip(range(start, stop), islice(kept, start - first, None), strict=False)


class _Order:
    """Streams by a moment, in a heap in which each lies once.

    `moment(stream)` may grow while it lies there, which is found out when it comes up; None: it
    has no place here any more.
    """

    def __init__(self, moment: Callable[[Stream], float | None]) -> None:
        self._moment = moment
        self._heap: list[tuple[float, int, Stream]] = []
        self._there: set[Stream] = set()
        self._number = 0  # those of one moment are not compared further
        self._most = 64  # entries before those are looked for that have no place any more

    def add(self, stream: Stream) -> None:
        """Put it where it belongs, if it does not lie there."""
        if stream in self._there or (moment := self._moment(stream)) is None:
            return
        self._there.add(stream)
        self._push(moment, stream)
        if len(self._heap) > self._most:
            self._heap = [each for each in self._heap if self._moment(each[2]) is not None]
            heapq.heapify(self._heap)
            self._there = {each[2] for each in self._heap}
            self._most = 64 + 2 * len(self._heap)

    def first(self, until: float = math.inf, but: Stream | None = None) -> Stream | None:
        """Take out the one with the least moment, if that is not after `until`; `but` stays."""
        heap, spared, found = self._heap, None, None
        while heap and heap[0][0] <= until and found is None:
            at, _, stream = heapq.heappop(heap)
            moment = self._moment(stream)
            if moment is None:
                self._there.discard(stream)
            elif stream is but:
                spared = moment
            elif moment > at:
                self._push(moment, stream)
            else:
                self._there.discard(stream)
                found = stream
        if spared is not None and but is not None:
            self._push(spared, but)
        return found

    def _push(self, moment: float, stream: Stream) -> None:
        self._number += 1
        heapq.heappush(self._heap, (moment, self._number, stream))


class Histories:
    """All streams of a server, in at most `limit` bytes.

    `terms_of(name)` is what is declared about a room. Beyond the limit the room that was used
    longest ago loses its history; where none is left, its position.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.limit = NO_LIMIT
        self.terms_of: Callable[[str], RoomDeclaration | None] = lambda name: None
        self.nbytes = 0  # counted against the limit, those of others included
        self.free_others: Callable[[int], object] = lambda size: None  # asked when all else is gone
        self._streams: dict[str, Stream] = {}
        self._by_end = _Order(lambda stream: stream.end if stream.kept else None)
        self._by_last_end = _Order(lambda stream: stream.last_end if stream.is_open else None)
        self._full_by_use = _Order(lambda stream: stream.latest if stream.kept else None)
        self._by_use = _Order(lambda stream: stream.latest if stream.is_open else None)

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._streams.values()))

    @property
    def messages(self) -> int:
        """Return how many messages are kept in all."""
        return sum(len(stream.kept) for stream in self)

    def find(self, name: str) -> Stream | None:
        """The stream of a room, if there is one."""
        return self._streams.get(name)

    def stream(self, name: str) -> Stream:
        """The stream of a room that keeps messages, opened if need be."""
        stream = self._streams.get(name)
        if stream is None:
            terms = self.terms_of(name)
            assert terms is not None
            stream = Stream(name, terms, self.clock())
            self._open(stream)
            self.count(STREAM_BYTES + 2 * len(name), stream)
        return stream

    def _open(self, stream: Stream) -> None:
        self._streams[stream.name] = stream
        self._by_last_end.add(stream)
        self._by_use.add(stream)

    def adopt(
        self,
        name: str,
        position: Position,
        times: tuple[float, float],
        messages: list[Kept],
    ) -> None:
        """Take over the stream of a room from another process, and keep what is declared here.

        `times`: when its newest message came, and when it was read last. Nothing happens where the
        room remembers nothing here, or has a stream already.
        """
        terms = self.terms_of(name)
        if terms is None or name in self._streams:
            return
        stream = Stream(name, terms, self.clock())
        stream.epoch, stream.offset = position
        stream.at, stream.used = times
        self._open(stream)
        size = STREAM_BYTES + 2 * len(name)
        if messages:
            stream.kept.extend(messages)
            stream.newest = messages[len(messages) - 1]
            stream.nbytes = sum(len(kept[0]) for kept in messages)
            size += stream.nbytes + KEPT_BYTES * len(messages)
            self._by_end.add(stream)
            self._full_by_use.add(stream)
        self.nbytes += size
        while len(stream.kept) > stream.most or stream.nbytes > stream.most_bytes:
            self._drop(stream)
        self.count(0)

    def take(self, publication: Publication, user: str | None) -> None:
        """Give a publication to one room its place, and keep it."""
        message = publication.message
        if message is None:  # this kind and the next are most of all
            frame, kind = publication.data, JSON
        elif type(message) is str:
            frame, kind = publication.data, TEXT
        else:
            frame, kind = kept_frame(publication)
        stream = self.append(publication.name, frame, kind, publication.exclude, user)
        publication.epoch = stream.epoch
        publication.offset = stream.offset
        publication.kept = stream.newest

    def append(
        self,
        name: str,
        frame: bytes,
        kind: int,
        exclude: str | frozenset[str] | None = None,
        user: str | None = None,
    ) -> Stream:
        """Give a message its place, and keep it; return the stream, whose newest it is."""
        stream = self._streams.get(name)
        if stream is None:
            stream = self.stream(name)
        kept, size = stream.kept, len(frame)
        stream.offset += 1
        stream.at = now = self.clock()
        newest = stream.newest = (frame, now, kind, exclude, user)
        kept.append(newest)
        stream.nbytes += size
        self.nbytes += size + _KEPT_BYTES
        if len(kept) == 1:
            self._by_end.add(stream)
            self._full_by_use.add(stream)
        while len(kept) > stream.most or stream.nbytes > stream.most_bytes:
            self._drop(stream)
        if self.nbytes > self.limit:
            self._make_room(stream)
        return stream

    def read(self, name: str, ask: Ask) -> Page:
        """The messages that are asked for."""
        self.sweep()
        stream = self.stream(name)
        stream.used = self.clock()
        if ask.since is not None and not stream.covers(ask.since):
            return Page(stream.position, [], is_lost=True)
        if ask.limit == 0:
            return Page(stream.position, [])
        from_newest = ask.since is None
        above = 0 if ask.since is None else ask.since.offset
        numbered = stream.numbered(above, ask.before, from_newest=from_newest)
        return page_of(stream.position, numbered, ask)

    def empty(self, name: str) -> None:
        """Forget the messages of a room; its position stays."""
        if (stream := self._streams.get(name)) is not None:
            self._empty(stream)

    def forget(self, name: str) -> None:
        """Forget a room altogether: its next message begins a new epoch."""
        stream = self._streams.pop(name, None)
        if stream is not None:
            stream.is_open = False
            self._empty(stream)
            self.nbytes -= STREAM_BYTES + 2 * len(name)

    def sweep(self) -> None:
        """Forget what has become too old."""
        now = self.clock()
        while (stream := self._by_end.first(now)) is not None:
            self._empty(stream)
        while (stream := self._by_last_end.first(now)) is not None:
            self.forget(stream.name)

    def count(self, size: int, latest: Stream | None = None) -> None:
        """Count so many bytes more, and come down to the limit."""
        self.nbytes += size
        if self.nbytes > self.limit:
            self._make_room(latest)

    # Inside.

    def _drop(self, stream: Stream) -> None:
        size = len(stream.kept.popleft()[0])
        stream.nbytes -= size
        self.nbytes -= size + _KEPT_BYTES

    def _empty(self, stream: Stream) -> None:
        self.nbytes -= stream.nbytes + KEPT_BYTES * len(stream.kept)
        stream.kept.clear()
        stream.nbytes = 0

    def _make_room(self, latest: Stream | None) -> None:
        """Come down to the limit. The room that has just been used goes last, in pieces."""
        while self.nbytes > self.limit:
            stream = self._full_by_use.first(but=latest)
            if stream is None:
                break
            self._empty(stream)
        while latest is not None and self.nbytes > self.limit and latest.kept:
            self._drop(latest)
        while self.nbytes > self.limit:
            stream = self._by_use.first(but=latest)
            if stream is None:
                break
            self.forget(stream.name)
        if self.nbytes > self.limit:
            self.free_others(self.nbytes - self.limit)


def leaves_out(exclude: str | frozenset[str] | None, ids: frozenset[str]) -> bool:
    if exclude is None:
        return False
    return exclude in ids if isinstance(exclude, str) else not exclude.isdisjoint(ids)


def page_of(position: Position, messages: Iterable[tuple[int, Kept]], ask: Ask) -> Page:
    """Return those that are asked for, and that an answer has room for.

    They come from the end that is asked for: after `since` the oldest first, else the newest. No
    more of them are looked at than it takes.
    """
    found: list[tuple[int, Kept]] = []
    limit = NO_LIMIT if ask.limit is None else ask.limit
    size, has_more = 0, False
    for each in messages:
        _, kept = each
        if len(found) == limit:
            break
        if ask.without and leaves_out(kept[3], ask.without):
            continue
        size += len(kept[0])
        if len(found) == ask.most or size > ask.most_bytes:
            has_more = True
            break
        found.append(each)
    if ask.is_whole and has_more:
        return Page(position, [], is_lost=True)
    return Page(position, found if ask.since is not None else found[::-1], has_more=has_more)
