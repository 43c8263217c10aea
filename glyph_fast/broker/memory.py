"""The broker of a server that is one process: every member is here, so delivering is all of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..dialects.publication import Publication
from ..options.rooms import RoomDeclaration
from .base import BaseBroker, Deliver, Obey, UserOf, disobey
from .history import Ask, Histories, Page


class MemoryBroker(BaseBroker):
    """Delivers at once what is published, in that order, and says exactly what became of it.

    What rooms remember lies in `histories`, and under which ids was published in `ids`.
    """

    __slots__ = ("histories", "publish", "take_place")

    remembers = True

    publish: Deliver
    # As `publish`, of rooms that remember: no method that calls another.
    take_place: Callable[[Publication, str | None], None]  # type: ignore[assignment]

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock)
        self.histories = Histories(clock)
        self.take_place = self.histories.take
        self.ids.count = self.histories.count
        self.histories.free_others = self.ids.free

    def attach(self, deliver: Deliver, obey: Obey = disobey) -> None:
        """Give every publication to `deliver`."""
        super().attach(deliver, obey)
        self.publish = deliver  # not a method that calls it: this is the way of every broadcast

    def subscribe(self, room: str) -> None:
        """Nothing: what is published here is delivered here."""

    def unsubscribe(self, room: str) -> None:
        """Nothing."""

    # Rooms that remember.

    def remember(
        self,
        terms: Callable[[str], RoomDeclaration | None],
        memory: int,
        user_of: UserOf = lambda publication: None,
    ) -> None:
        """Keep what `terms` says of a room, of all rooms at most `memory` bytes."""
        self.histories.terms_of = terms
        self.histories.limit = memory
        self.histories.count(0)

    async def history(self, room: str, ask: Ask) -> Page:
        """The messages of a room that are asked for."""
        return self.histories.read(room, ask)

    async def remove_history(self, room: str) -> None:
        """Forget what a room keeps; its position stays."""
        self.histories.empty(room)

    def forget(self, room: str) -> None:
        """Forget what a room keeps, and its position."""
        self.histories.forget(room)

    def forget_all(self) -> None:
        """Forget what all rooms keep, and their positions."""
        for stream in self.histories:
            self.histories.forget(stream.name)

    def figures(self) -> dict[str, int]:
        """Return what is kept here, in bytes and messages, and ids that were forgotten early."""
        kept = self.histories
        return {
            **super().figures(),
            "history_bytes": kept.nbytes,
            "history_messages": kept.messages,
        }

    def sweep(self) -> None:
        """Forget what is too old."""
        super().sweep()
        self.histories.sweep()
