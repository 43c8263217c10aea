"""Turns for everybody else amid the work that one request asks for."""

from __future__ import annotations

import asyncio
from time import perf_counter

TURN_S = 0.001  # of work, after which others have their turn


class Resting:
    """Looks at the time between pieces of work that do not wait by themselves."""

    def __init__(self) -> None:
        self._began = perf_counter()

    async def rest(self) -> None:
        """Let others have their turn, if the work has taken so long."""
        if perf_counter() - self._began > TURN_S:
            await asyncio.sleep(0)
            self._began = perf_counter()


__all__ = ["TURN_S", "Resting"]
