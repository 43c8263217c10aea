"""What a worker has missed of rooms that remember, and how it gets it.

Main drops what a worker does not read in time. So a worker follows the offsets of the rooms it has
members of; where one is left out, it asks main for what is kept, and what comes meanwhile waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..dialects.publication import PLACED, Publication
from ..dialects.stream import BINARY, Kept, payload_of
from ..errors import BrokerUnavailable
from ..wire import Position
from .history import Ask, Page

Read = Callable[[str, Ask], Awaitable[Page]]


class CatchingUp:
    """Delivers placed publications in the order of their offsets, each once."""

    def __init__(self, deliver: Callable[[Publication], Any], read: Read) -> None:
        self._deliver = deliver
        self._read = read
        self._at: dict[str, Position] = {}  # the newest delivered, of each room subscribed to
        self._waiting: dict[str, list[Publication]] = {}  # while what was missed is read
        self._tasks: set[asyncio.Task[None]] = set()

    def forget(self, room: str) -> None:
        """No member is left here."""
        self._at.pop(room, None)

    def placed(self, publication: Publication) -> None:
        """Deliver one that came, or keep it until those before it are there."""
        room = publication.name
        waiting = self._waiting.get(room)
        if waiting is not None:
            waiting.append(publication)
            return
        at = self._at.get(room)
        if at is None or at.epoch != publication.epoch or at.offset + 1 == publication.offset:
            self._at[room] = publication.position
            self._deliver(publication)
        elif publication.offset > at.offset:
            self._catch_up(room, at, publication)

    def is_at(self, room: str, position: Position) -> None:
        """Main tells where a room is: what is missing until there is asked for."""
        at = self._at.setdefault(room, position)
        if at != position and room not in self._waiting:
            if at.epoch == position.epoch and at.offset > position.offset:
                return
            self._catch_up(room, at)

    def _catch_up(self, room: str, since: Position, *waiting: Publication) -> None:
        self._waiting[room] = list(waiting)
        task = asyncio.get_running_loop().create_task(self._fill(room, since))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fill(self, room: str, since: Position) -> None:
        try:
            page = await self._read(room, Ask(since))
        except BrokerUnavailable:
            page = None  # main is gone, and this process ends as well
        waiting = self._waiting.pop(room)
        if page is None or room not in self._at:
            return
        for offset, kept in page.messages:
            self._deliver(_of_kept(room, Position(page.position.epoch, offset), kept))
        # Where it is lost, the next one has another epoch or a gap before it, of which members
        # that follow offsets make what they make of any loss.
        self._at[room] = page.position
        for publication in waiting:
            if publication.is_after(page.position):
                self.placed(publication)


def _of_kept(room: str, position: Position, kept: Kept) -> Publication:
    """A publication again of what was kept of it."""
    frame, _, kind, exclude, _ = kept
    payload = payload_of(frame)
    made = Publication(payload if kind == BINARY else payload.decode())
    made.kind = PLACED
    made.name = room
    made.message = None
    made.exclude = exclude
    made.epoch, made.offset = position
    made.kept = kept
    return made
