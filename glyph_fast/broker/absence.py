"""What the log says while a broker cannot be reached."""

from __future__ import annotations

import logging

from ..logs import SERVER, log

LATE = "it does not answer in time"  # of a timeout, which says nothing itself


class Absence:
    """Tells why the broker at `place` is away: each reason once, until it was there again."""

    __slots__ = ("_place", "_told")

    def __init__(self, place: object) -> None:
        self._place = str(place)
        self._told = ""  # the reason that was logged last

    def explain(self, failed: Exception) -> None:
        """A try was in vain."""
        why = str(failed) or LATE
        if why != self._told:
            self._told = why
            log(SERVER, logging.WARNING, "waiting for the broker", broker=self._place, reason=why)

    def end(self) -> None:
        """The broker is there: what is told next is told anew."""
        self._told = ""
