"""The messages a worker has missed of rooms that remember, and how it gets them.

Main drops what a worker does not read in time. So a worker follows the offsets of the rooms it has
members of; where one is left out, it asks main for what is kept, and what comes meanwhile waits, up
to some bytes: beyond that the oldest goes, since it can be asked for as well.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from ..dialects.publication import PLACED, Publication
from ..dialects.stream import BINARY, Kept, payload_of
from ..errors import BrokerUnavailable
from ..logs import SERVER, log
from ..wire import Position
from .history import Ask, Page

Read = Callable[[str, Ask], Awaitable[Page]]
Reset = Callable[[str, Position], object]  # a room, and the position that it goes on from
MOST = 8 * 2**20  # bytes that wait for one room
_new = tuple.__new__  # a third of the cost of calling the class


def unsaid(room: str, position: Position) -> None:
    """Nothing: who follows offsets notices."""


class Waiting:
    """The latest publications for a room of which something is read that was missed."""

    __slots__ = ("_nbytes", "has_gap", "publications")

    def __init__(self, publications: Iterable[Publication]) -> None:
        self.publications: deque[Publication] = deque()
        self._nbytes = 0
        self.has_gap = False  # the oldest went
        for each in publications:
            self.add(each)

    def add(self, publication: Publication) -> None:
        """Keep one more, and as many of those before it as there is room for."""
        self.publications.append(publication)
        self._nbytes += len(publication.data)
        while self._nbytes > MOST and len(self.publications) > 1:
            self._nbytes -= len(self.publications.popleft().data)
            self.has_gap = True


class CatchingUp:
    """Delivers placed publications in the order of their offsets, each once.

    Where something is lost for good, `reset` is told.
    """

    def __init__(
        self, deliver: Callable[[Publication], Any], read: Read, reset: Reset = unsaid
    ) -> None:
        self._deliver = deliver
        self._read = read
        self._reset = reset
        self._at: dict[str, Position] = {}  # the newest delivered, of each room subscribed to
        self._waiting: dict[str, Waiting] = {}  # while what was missed is read
        self._tasks: dict[str, asyncio.Task[None]] = {}  # that read it, by room

    def forget(self, room: str) -> None:
        """No member is left here."""
        self._at.pop(room, None)
        self._waiting.pop(room, None)
        if (task := self._tasks.pop(room, None)) is not None:
            task.cancel()

    def placed(self, publication: Publication) -> None:
        """Deliver one that came, or keep it until those before it are there."""
        room = publication.name
        waiting = self._waiting.get(room)
        if waiting is not None:
            waiting.add(publication)
            return
        at = self._at.get(room)
        offset = publication.offset
        is_other = at is not None and at.epoch != publication.epoch
        if at is None or offset == (1 if is_other else at.offset + 1):
            self._at[room] = _new(Position, (publication.epoch, offset))
            self._deliver(publication)
        elif is_other or offset > at.offset:
            self._catch_up(room, at, publication)

    def is_at(self, room: str, position: Position) -> None:
        """Main tells where a room is: what is missing until there is asked for."""
        at = self._at.setdefault(room, position)
        if at != position and room not in self._waiting:
            if at.epoch == position.epoch and at.offset > position.offset:
                return
            self._catch_up(room, at)

    def _catch_up(self, room: str, since: Position, *waiting: Publication) -> None:
        self._waiting[room] = Waiting(waiting)
        self._tasks[room] = asyncio.get_running_loop().create_task(self._fill(room, since))

    def has(self, room: str, position: Position) -> bool:
        """Return whether all up to a position has been delivered."""
        at = self._at.get(room)
        return at is not None and at.epoch == position.epoch and at.offset >= position.offset

    async def caught_up(self, room: str) -> None:
        """Return when nothing is read that was missed."""
        if (task := self._tasks.get(room)) is not None:
            await asyncio.wait({task})

    async def _fill(self, room: str, since: Position) -> None:
        try:
            page = await self._read(room, Ask(since))
            if page.is_lost and page.position.epoch != since.epoch:
                page = await self._from_the_beginning(room, page)
        except BrokerUnavailable:
            page = None  # what is missing is asked for again when it is back
        del self._tasks[room]
        waiting = self._waiting.pop(room)
        if page is None:
            return
        if page.is_lost:
            self._reset(room, page.position)
        for offset, kept in page.messages:
            self._deliver(_of_kept(room, Position(page.position.epoch, offset), kept))
        # Where it is lost and nobody was told, the next one has another epoch or a gap before it,
        # of which members that follow offsets make what they make of any loss.
        self._at[room] = page.position
        later = [each for each in waiting.publications if each.is_after(page.position)]
        if later and waiting.has_gap:
            self._catch_up(room, page.position, *later)  # what went is read now
            return
        for publication in later:
            if self._may_be(publication, since):
                self.placed(publication)

    def _may_be(self, publication: Publication, since: Position) -> bool:
        """False for one with a place that nobody has given: what is read would not change."""
        at = self._at[publication.name]
        if at != since or publication.epoch == at.epoch and publication.offset == at.offset + 1:
            return True
        log(SERVER, logging.ERROR, "a message out of place", room=publication.name)
        return False

    async def _from_the_beginning(self, room: str, lost: Page) -> Page:
        """All of an epoch that has begun meanwhile, if it is kept; it tells of the reset itself."""
        if not lost.position.offset:
            return lost
        whole = await self._read(room, Ask(Position(lost.position.epoch, 0)))
        return whole if whole.position.epoch == lost.position.epoch else lost


def _of_kept(room: str, position: Position, kept: Kept) -> Publication:
    """A publication again of what was kept of it."""
    frame, _, kind, exclude, _ = kept
    payload = payload_of(frame)
    made = Publication(payload if kind == BINARY else payload.decode())
    made.kind = PLACED
    made.name = room
    made.message = None
    made.exclude = exclude
    made.answered = ""
    made.epoch, made.offset = position
    made.kept = kept
    return made
