"""The number of members that rooms have in all workers together, as main counts them.

A worker that must be exact asks for a seat before somebody joins, and one that joins by
`conn.join_room` is counted afterwards. What links say comes in order, so an answer knows all that
its worker has done before. The seats of a worker that is gone are free.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any


class Seats:
    """The members that each worker has in rooms with history or presence. For main's loop."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()  # by room; no zeros
        self._of: dict[Hashable, Counter[str]] = {}  # the same of each worker, by its link

    def answers(self) -> dict[str, Callable[..., Any]]:
        """Return the questions that a worker may ask, by name."""
        return {"seat": self.take, "seats": self.taken, "seated": self.change}

    def taken(self, link: Hashable, room: str) -> int:
        """Return how many members a room has."""
        return self._counts[room]

    def take(self, link: Hashable, room: str, limit: int) -> bool:
        """Count one more member of a room; False where that is more than `limit`."""
        if self._counts[room] >= limit:
            return False
        self.change(link, room, 1)
        return True

    def change(self, link: Hashable, room: str, change: int) -> None:
        """A worker has so many members more, or fewer, whatever the limit."""
        for counts in (self._of.setdefault(link, Counter()), self._counts):
            counts[room] += change
            if not counts[room]:
                del counts[room]

    def gone(self, link: Hashable) -> None:
        """A worker is gone, and its members with it."""
        for room, count in self._of.pop(link, Counter()).items():
            self._counts[room] -= count
            if not self._counts[room]:
                del self._counts[room]
