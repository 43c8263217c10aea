"""Calls of an application for which there is nothing to wait.

`receive` has nothing to wait for once the client is gone, nor has a `send` that raises. In a loop
over them that does not end, nobody else would ever have a turn, and no timer could end it: a client
had only to leave. So the first of such calls return at once, as they may come by the dozen when
several tasks of an application hear of the end, and each one after them takes a moment longer than
the one before: thousands of such loops, one for each client that has left, must cost nothing, too.
"""

from __future__ import annotations

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

AT_ONCE = 64  # calls in vain, far more than any that are no loop
PAUSE_S = 0.05  # of the first one more, by which each waits longer
MAX_PAUSE_S = 60.0


class Vain:
    """The calls in vain for one request or WebSocket.

    Sends are counted for each task, since thousands may have waited when the client went.
    """

    __slots__ = ("_receives", "_sends")

    def __init__(self) -> None:
        self._receives = 0
        self._sends: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    async def received(self) -> None:
        """`receive` tells of the end, perhaps again: wait a while, where it does so often."""
        self._receives += 1
        await _wait(self._receives)

    async def sent(self) -> None:
        """`send` is about to raise: wait a while, where it did so often for this task."""
        if (task := asyncio.current_task()) is not None:
            calls = self._sends[task] = self._sends.get(task, 0) + 1
            await _wait(calls)


async def _wait(calls: int) -> None:
    if calls > AT_ONCE:
        await asyncio.sleep(min(PAUSE_S * (calls - AT_ONCE), MAX_PAUSE_S))


__all__ = ["AT_ONCE", "MAX_PAUSE_S", "PAUSE_S", "Vain"]
