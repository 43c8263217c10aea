"""Work that waits until this process has the order of rooms, and is then done in order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable

from ..logs import SERVER, log
from .link import LIMIT

# In one turn of the loop, which has others to serve. Who joins goes on in the next one, and may not
# have missed more than `MAX_HELD` messages of `hub/remembering.py` by then.
AT_ONCE = 500
TURN_S = 0.01

Act = Callable[[], object]


class Held:
    """Acts that wait, of at most `limit` bytes in all. For the loop's thread alone."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.refused = 0  # acts beyond the limit
        self._acts: deque[tuple[Act, int]] = deque()
        self._nbytes = 0

    def __len__(self) -> int:
        return len(self._acts)

    def add(self, act: Act, size: int = 0) -> bool:
        """Do something later, which holds so many bytes; False when too much waits."""
        if self._nbytes + size > self.limit:
            if not self.refused:
                log(
                    SERVER, logging.ERROR, "too much waits for the former process", limit=self.limit
                )
            self.refused += 1
            return False
        self._acts.append((act, size))
        self._nbytes += size
        return True

    def release(self, done: Callable[[], object]) -> None:
        """Do what waits, and what comes meanwhile; then call `done`, when nothing waits."""
        loop = asyncio.get_running_loop()
        until, most = loop.time() + TURN_S, AT_ONCE
        while self._acts and most and loop.time() < until:
            most -= 1
            act, size = self._acts.popleft()
            self._nbytes -= size
            try:
                act()
            except Exception as exc:  # of one message, and the others are not to blame
                log(SERVER, logging.ERROR, "could not be done", reason=repr(exc))
        if self._acts:
            loop.call_soon(self.release, done)
        else:
            done()
