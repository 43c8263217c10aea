"""The tasks of one client: what its handlers wait for ends with it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

LOGGER = logging.getLogger("glyph_fast.client")


class Tasks:
    """Tasks that end by themselves, or by `close`."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, coro: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something from now on."""
        task = asyncio.get_running_loop().create_task(coro)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """Cancel them all and wait for their ends; but whoever calls this is left alone."""
        others = self._running - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)


class Line:
    """Results of handlers that are still to be awaited, one after another.

    There is a task only while there is something to wait for. `passed` is called after each.
    """

    def __init__(self, tasks: Tasks, passed: Callable[[], object]) -> None:
        self._tasks = tasks
        self._passed = passed
        self._waiting: deque[Awaitable[object]] = deque()
        self._task: asyncio.Task[Any] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, result: Awaitable[object]) -> None:
        """Wait for this as well, when it is its turn."""
        self._waiting.append(result)
        if self._task is None or self._task.done():  # an eager task may be done at once
            self._task = self._tasks.start(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                result = self._waiting.popleft()
                try:
                    await result
                except asyncio.CancelledError as exc:
                    task = asyncio.current_task()
                    if task is None or task.cancelling():
                        raise
                    failed(exc)  # of something else that the handler awaited
                except Exception as exc:
                    failed(exc)
                self._passed()
        finally:
            self._task = None
            self.clear()

    def clear(self) -> None:
        """Wait for none of them any more."""
        while self._waiting:
            close = getattr(self._waiting.popleft(), "close", None)  # a coroutine's
            if close is not None:
                close()


def failed(exc: BaseException) -> None:
    """A handler of the program has raised: that ends nothing but itself."""
    LOGGER.error("a handler failed", exc_info=exc)
