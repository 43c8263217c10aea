"""The way of a process to hand the order of rooms that remember to its successor.

It gives no more places from the moment it begins. What its handlers still publish goes over the
same link, behind or between the pieces, and so do the answers: to the successor it is a worker.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

from ..logs import SERVER, log
from .estate import pieces
from .inheriting import WAIT_S
from .link import Link
from .memory import MemoryBroker

LEAVE_S = 2.0  # for what was said last to leave


class Bequest:
    """The link to the successor; `heard` gets what it says, `lost` is called when it is gone."""

    def __init__(self, sock: socket.socket) -> None:
        self.heard: Callable[[list[bytes]], object] = len
        self.lost: Callable[[], object] = bool
        self.link = Link(sock, lambda frames: self.heard(frames), lambda: self.lost())

    async def hand_over(self, memory: MemoryBroker) -> None:
        """Send what is remembered, within the time for which the successor waits, and forget it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                for piece in pieces(memory):
                    self.link.send_always(piece)
                    await self.link.drain()
        if not self.link.is_open:
            log(SERVER, logging.ERROR, "the new process does not take what rooms remember")
        memory.forget_all()

    async def close(self) -> None:
        """Let the last words leave."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVE_S):
                await self.link.drain()
        self.link.close()
