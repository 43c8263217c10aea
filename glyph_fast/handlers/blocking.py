"""Who is read no more because of whom.

By the policy `block` a connection whose handler sends to a full one is paused until that has
drained; and by any, one that makes too much wait for another process of the server. It may feed
several full ones, and a full one may be fed by many; so it is noted both ways.
"""

from __future__ import annotations

from collections.abc import Hashable

from ..hub.connection import Connection
from ..wire import PAUSE_BLOCK


class Blocking:
    """The connections that are paused, and the full ones they wait for."""

    __slots__ = ("_fed", "_feeding")

    def __init__(self) -> None:
        self._fed: dict[Hashable, set[Connection]] = {}  # a full one → those who feed it
        self._feeding: dict[Connection, set[Hashable]] = {}  # who is paused → the full ones

    def __len__(self) -> int:
        """Return how many there are, paused or full."""
        return len(self._fed) + len(self._feeding)

    def pause(self, feeder: Connection, full: Hashable) -> None:
        """Read no more of `feeder` until `full` has drained."""
        self._fed.setdefault(full, set()).add(feeder)
        self._feeding.setdefault(feeder, set()).add(full)
        feeder._pause_reading(PAUSE_BLOCK)

    def drained(self, full: Hashable) -> None:
        """Go on with those who wait for nobody else."""
        for feeder in self._fed.pop(full, ()):
            others = self._feeding[feeder]
            others.discard(full)
            if not others:
                del self._feeding[feeder]
                feeder._resume_reading(PAUSE_BLOCK)

    def forget(self, feeder: Connection) -> None:
        """One that fed others is gone."""
        for full in self._feeding.pop(feeder, ()):
            self._fed[full].discard(feeder)
