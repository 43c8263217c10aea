"""Those who come by the hundred have a few of each round of the loop.

A head, and a step of a handshake of TLS, cost as much as fifty messages. Who is there already is
served between the rounds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

MOST = 32  # of a round of the loop, as the poller of the core takes in a turn


class Newcomer(Protocol):
    """Who waits until there is time."""

    def admit(self) -> None:
        """There is time now."""
        ...


class Newcomers:
    """Counts what newcomers have had of a round of the loop, and keeps those who wait."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._left = MOST
        self._is_due = False  # the next round is told of
        self._waiting: deque[Newcomer] = deque()

    def have_time(self) -> bool:
        """Take a place in this round; False where there is none."""
        if not self._is_due:
            self._loop.call_soon(self._next_round)
            self._is_due = True
        if self._left:
            self._left -= 1
            return True
        return False

    def wait(self, newcomer: Newcomer) -> None:
        """Admit it in its turn. For who was told that there is no time in this round."""
        self._waiting.append(newcomer)

    def _next_round(self) -> None:
        self._is_due = False
        self._left = MOST
        while self._waiting and self.have_time():
            self._waiting.popleft().admit()


__all__ = ["MOST", "Newcomer", "Newcomers"]
