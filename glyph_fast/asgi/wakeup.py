"""Something one task waits for, and goes on with in the turn in which it comes.

An asyncio future wakes its task by the loop: the message that was just read is handled one
iteration later, with another question to the kernel between. This one runs the task's next step at
once where nothing else runs, which is so while the core reads: an application then answers within
the turn, as handlers of the server's own do, and what it sends to many leaves in one batch.

It is no `asyncio.Future` but keeps to what a task asks of one (`_asyncio_future_blocking`,
`add_done_callback`, `result`, `cancel`, `get_loop`): the way asyncio leaves to other futures.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any

from ..handlers.outcome import interrupt

Woken = Callable[[Any], object]


class Wakeup:
    """One wait. `wake` ends it, from the loop's thread."""

    __slots__ = (
        "_asyncio_future_blocking", "_callbacks", "_cancel_message", "_is_cancelled", "_is_done",
        "_loop",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asyncio_future_blocking = False
        self._is_done = self._is_cancelled = False
        self._cancel_message: Any = None
        self._callbacks: list[tuple[Woken, Context | None]] = []

    def wake(self) -> None:
        """Let whoever waits go on: now, unless a task runs, and else as soon as the loop can."""
        if self._is_done:
            return
        self._is_done = True
        callbacks, self._callbacks = self._callbacks, []
        for callback, context in callbacks:
            if context is None or asyncio.current_task(self._loop) is not None:
                self._loop.call_soon(callback, self, context=context)
                continue
            try:
                context.run(callback, self)
            except SystemExit as exc:  # a task lets these two through, to end the loop
                self._loop.call_soon(_raise, exc)
            except KeyboardInterrupt as exc:
                interrupt(exc)

    def __await__(self) -> Generator[Any, None, None]:
        if not self._is_done:
            self._asyncio_future_blocking = True
            yield self
        self.result()

    # What a task asks of what it waits for.

    def add_done_callback(self, callback: Woken, *, context: Context | None = None) -> None:
        """Call `callback(self)` in that context once it is done."""
        if self._is_done:
            self._loop.call_soon(callback, self, context=context)
        else:
            self._callbacks.append((callback, context))

    def remove_done_callback(self, callback: Woken) -> int:
        """Forget a callback; the number of times it was there."""
        before = len(self._callbacks)
        self._callbacks = [each for each in self._callbacks if each[0] != callback]
        return before - len(self._callbacks)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""
        return self._loop

    def done(self) -> bool:
        """Return whether the wait is over."""
        return self._is_done

    def cancelled(self) -> bool:
        """Return whether it was cancelled."""
        return self._is_cancelled

    def cancel(self, msg: Any = None) -> bool:
        """End the wait by CancelledError; False when it is over."""
        if self._is_done:
            return False
        self._is_done = self._is_cancelled = True
        self._cancel_message = msg
        callbacks, self._callbacks = self._callbacks, []
        for callback, context in callbacks:
            self._loop.call_soon(callback, self, context=context)
        return True

    def result(self) -> None:
        """Nothing, or the cancellation."""
        if self._is_cancelled:
            if self._cancel_message is None:
                raise asyncio.CancelledError
            raise asyncio.CancelledError(self._cancel_message)

    def exception(self) -> None:
        """As `result`."""
        self.result()


def wakeup() -> Wakeup:
    """One for the running loop."""
    return Wakeup(events.get_running_loop())


def _raise(exc: BaseException) -> None:
    raise exc


__all__ = ["Wakeup", "wakeup"]
