"""The broker of a process that has handed the order of rooms on, and ends."""

from __future__ import annotations

from typing import Any

from .onward import NOT_TOLD
from .workers import WorkersBroker


class HandedOn(WorkersBroker):
    """Publishes and asks by the successor.

    Rooms that are deleted here go on there.
    """

    __slots__ = ()

    hears_what_is_left = True  # its members joined before it was there

    def tell(self, call: str, *args: Any) -> None:
        """Have the hub of the successor do something, unless it is about what ends here."""
        if call not in NOT_TOLD:
            super().tell(call, *args)

    def forget(self, room: str) -> None:
        """Nothing: the successor remembers it."""

    def forget_all(self) -> None:
        """Nothing."""
