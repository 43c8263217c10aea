"""Connections whose credentials end, and when.

Nothing is set up per connection but one entry: the server's sweep asks once a second who is due.
Times are those of the system's clock, as in a token, so who moves the clock moves the ends with it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from .. import core


class Expiry:
    """Ends of connections. For the loop's thread."""

    __slots__ = ("_ends", "_next", "clock")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock  # seconds since the epoch
        self._ends: dict[core.Connection, float] = {}
        self._next = math.inf  # nobody is due before

    def __len__(self) -> int:
        return len(self._ends)

    def set(self, conn: core.Connection, at: float | None) -> None:
        """Let `conn` end at `at`, in seconds since the epoch; None for never."""
        if at is None:
            self._ends.pop(conn, None)
        else:
            self._ends[conn] = at
            self._next = min(self._next, at)

    def forget(self, conn: core.Connection) -> None:
        """The connection is gone."""
        self._ends.pop(conn, None)

    def due(self) -> list[core.Connection]:
        """Take out the connections whose end has come. Looks at all of them only if one is due."""
        now = self.clock()
        if now < self._next:
            return []
        found = [conn for conn, at in self._ends.items() if at <= now]
        for conn in found:
            del self._ends[conn]
        self._next = min(self._ends.values(), default=math.inf)
        return found
