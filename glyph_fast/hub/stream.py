"""The messages of one connection that a program takes itself, by `async for`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from sys import getsizeof
from typing import Any

from .shares import TURN_FRAMES, frames_of


class Stream:
    """The messages of one connection for `async for`: those that wait, and the one who waits."""

    __slots__ = ("_conn", "_is_ended", "_left", "_taken", "_waiter", "messages", "size", "task")

    def __init__(self, conn: Any, taken: Callable[[Any], object]) -> None:
        self.messages: deque[str | bytes] = deque()
        self.size = 0  # their bytes, as they lie in memory
        self.task: asyncio.Task[Any] | None = None  # of the handler that reads
        self._conn = conn
        self._taken = taken  # told after each message taken
        self._waiter: asyncio.Future[None] | None = None
        self._is_ended = False
        self._left = TURN_FRAMES  # of this turn's share

    def put(self, message: str | bytes) -> None:
        """Add a message that has come."""
        self.messages.append(message)
        self.size += getsizeof(message)
        self._wake()

    def end(self) -> None:
        """There are no more messages than those that wait, and nobody to be told of them."""
        self._is_ended = True
        self._conn = None  # which holds this
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> str | bytes:
        if self._left <= 0 and self.messages:
            self._left = TURN_FRAMES
            await asyncio.sleep(0)  # the others have their turn
        while not self.messages:
            if self._is_ended:
                raise StopAsyncIteration
            if self._waiter is not None:
                raise RuntimeError("another task already waits for this connection's messages")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
            self._left = TURN_FRAMES
        message = self.messages.popleft()
        if self.messages:
            self._left -= frames_of(message)
        self.size -= getsizeof(message)
        if self._conn is not None:
            self._taken(self._conn)
        return message
