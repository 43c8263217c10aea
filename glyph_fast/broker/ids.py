"""Publications under ids of late, so that each is published once however often it comes."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from ..wire import Position

LIFETIME_S = 300.0
MOST = 100_000  # ids of a server
ID_BYTES = 400  # that an id is counted as, beside its own length


class Ids:
    """The positions that were given to the latest ids; an id counts within its room and user.

    `count(size)` is told of bytes that are used (and, below 0, are not any more).
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.time,
        count: Callable[[int], object] = lambda size: None,
        most: int = MOST,
    ) -> None:
        self.forgotten = 0  # ids that made room for others before their time
        self._clock = clock
        self.count = count
        self._most = most
        self._known: OrderedDict[tuple[str, str, str], tuple[float, Position]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, room: str, user: str, id: str) -> Position | None:
        """The position that was given to it less than five minutes ago."""
        self.sweep()
        found = self._known.get((room, user, id))
        return None if found is None else found[1]

    def keep(self, room: str, user: str, id: str, position: Position) -> None:
        """Remember which position it was given."""
        self._keep((room, user, id), self._clock() + LIFETIME_S, position)

    def _keep(self, names: tuple[str, str, str], until: float, position: Position) -> None:
        self._known[names] = (until, position)
        self.count(ID_BYTES + sum(map(len, names)))
        while len(self._known) > self._most:
            self._forget_oldest()

    def adopt(self, room: str, user: str, id: str, until: float, position: Position) -> None:
        """Take over one from another process. The oldest come first, and before any of here."""
        if until > self._clock():
            self._keep((room, user, id), until, position)

    def free(self, size: int) -> None:
        """Forget ids, the oldest first, until they take so many bytes less."""
        while size > 0 and self._known:
            size -= self._forget_oldest()

    def sweep(self) -> None:
        """Forget those that are too old."""
        now = self._clock()
        while self._known and next(iter(self._known.values()))[0] <= now:
            self._drop()

    def __iter__(self) -> Iterator[tuple[tuple[str, str, str], tuple[float, Position]]]:
        """All of them, the oldest first: room, user and id; until when, and the position."""
        return iter(list(self._known.items()))

    def _forget_oldest(self) -> int:
        self.forgotten += 1
        return self._drop()

    def _drop(self) -> int:
        names, _ = self._known.popitem(last=False)
        size = ID_BYTES + sum(map(len, names))
        self.count(-size)
        return size
