"""The outcome of the application's code, whatever it raises.

A failure ends its message, never the turn, the loop or the server: not by `sys.exit()`, not by a
panic of an extension (a BaseException of its own), not by a CancelledError nobody asked for. Only
the user at the keyboard ends the program, once what was begun is done.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Callable
from inspect import isawaitable
from typing import Any, NoReturn

_get_running_loop = events._get_running_loop


class Exited(Exception):
    """A coroutine raised SystemExit, `exit`: as itself it would end the loop that runs its task."""

    def __init__(self, exit: SystemExit) -> None:
        super().__init__(*exit.args)
        self.exit = exit


async def outcome(call: Callable[..., Any], *args: Any) -> BaseException | None:
    """Call a handler and wait for what it returns; give what it raised, or None."""
    task = running_task()
    try:
        result = call(*args)
        if isawaitable(result):
            await result
    except BaseException as exc:
        if not is_failure(exc, task):
            raise
        return exc
    return None


def running_task() -> asyncio.Task[Any] | None:
    """The task that runs now, None outside of one."""
    loop = _get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


def is_failure(exc: BaseException, task: asyncio.Task[Any] | None) -> bool:
    """Return whether what came of the application's code that `task` ran is a failure of that code.

    All is, SystemExit, CancelledError and GeneratorExit too, but the user at the keyboard, and the
    end of a coroutine that nobody awaits any more: it is thrown away by another task, or by none.
    """
    if isinstance(exc, GeneratorExit):
        return task is not None and running_task() is task
    return not isinstance(exc, KeyboardInterrupt)


def interrupt(exc: KeyboardInterrupt) -> None:
    """Let the running loop end with `exc`, not what runs in it now; without a loop raise it."""
    loop = _get_running_loop()
    if loop is None:
        raise exc
    loop.call_soon(_raise, exc)


def _raise(exc: BaseException) -> NoReturn:
    raise exc


def is_cancelled(exc: BaseException) -> bool:
    """Return whether `exc` is the cancellation of the current task, not one that came of something
    else.

    A handler raises CancelledError also when what it awaits was cancelled, or by itself.
    """
    if not isinstance(exc, asyncio.CancelledError):
        return False
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
