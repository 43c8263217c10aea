"""The messages of a room for an `async for`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from .types import ClientError, RoomMessage


class Stream(AsyncIterator[RoomMessage]):
    """Messages in their order, from the making of it on. `passed` is called with each taken."""

    def __init__(self, passed: Callable[[], object]) -> None:
        self._passed = passed
        self._waiting: deque[RoomMessage] = deque()
        self._error: ClientError | None = None
        self._is_over = False
        self._wakes: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: RoomMessage) -> None:
        """One more."""
        self._waiting.append(message)
        self._wake()

    def begin(self) -> None:
        """One is a member again: what was refused before is nobody's business any more."""
        self._error = None

    def end(self, error: ClientError | None = None) -> None:
        """The last has come; `error` is raised behind it, once, and does not end what follows."""
        self._error = error
        self._is_over = error is None
        self._wake()

    async def __anext__(self) -> RoomMessage:
        while not self._waiting:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._is_over:
                raise StopAsyncIteration
            wake = asyncio.get_running_loop().create_future()
            self._wakes.append(wake)
            try:
                await wake
            finally:
                if wake in self._wakes:
                    self._wakes.remove(wake)
        message = self._waiting.popleft()
        self._passed()
        return message

    def _wake(self) -> None:
        while self._wakes:
            wake = self._wakes.popleft()
            if not wake.done():
                wake.set_result(None)
