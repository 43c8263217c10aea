"""Handlers that may wait, started at once: only one that really waits costs a task.

`start` runs a coroutine up to its first wait, in the caller's turn. If it ends there, which most
handlers do, the loop never hears of it. Else the rest goes on as an `asyncio.Task`.

Code inside the first step may ask for the current task (`asyncio.timeout`, `TaskGroup` and others
do, and hold on to the answer). So the task object is there from the beginning, and becomes a real
task, with the same identity, when something needs it to be one: the coroutine waits, or a method is
called that only a real task can answer. Until then it is an allocation and nothing else.

`asyncio.tasks._enter_task` and `_leave_task` are the documented way of a task implementation to say
which task runs (docs.python.org, "Extending asyncio").
"""

from __future__ import annotations

import asyncio
from asyncio import events, tasks
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any, Final, TypeAlias

from .. import core
from .outcome import Exited

Awaited: TypeAlias = Coroutine[Any, Any, Any]

_get_running_loop = events._get_running_loop
_enter_task: Callable[[Any, Any], None] = tasks._enter_task
_leave_task: Callable[[Any, Any], None] = tasks._leave_task

_new_task: Callable[[type[HandlerTask]], HandlerTask] = asyncio.Task.__new__

_STARTING: Final = object()  # the first step has not reached a wait
_NOTHING: Final = object()  # the first wait has been passed on to the task


class HandlerTask(asyncio.Task[Any]):
    """The task of one handler, made by `start`; a real one from `become_task` on.

    `subject`, `calls` and `index` are the dispatcher's: what to go on with afterwards; `started` is
    when it began to wait, a reading of `time.perf_counter`. `is_given_up` says that the server has
    cancelled it, which is no failure; `is_last` that it tells of the connection's end.
    """

    __slots__ = ("_context", "_first", "_rest", "calls", "conn", "index", "started", "subject")

    _first: Awaited
    _context: Context
    _rest: _Rest | None
    conn: Any
    subject: Any
    calls: tuple[Callable[..., Any], ...]
    index: int
    started: float

    is_given_up = False
    is_last = False
    _log_destroy_pending = False  # of one that never became a task there is nothing to say

    def become_task(self) -> _Rest:
        """Register with the loop; the first thing it does there is to pass on the first wait."""
        rest = self._rest
        if rest is None:
            rest = self._rest = _Rest(self._first, self.conn)
            loop = events.get_running_loop()
            self.__init__(rest, loop=loop, context=self._context)  # type: ignore[misc]
        return rest

    def cancel(self, msg: Any = None) -> bool:
        """Cancel it, and at once what it waits for, as that of any task; the message goes along.

        By its message a library knows a cancellation of its own, as anyio those of its scopes.
        """
        self.become_task().cancel_held(msg)
        return super().cancel(msg)

    def give_up(self) -> None:
        """Cancel it, since nobody is there any more for whom it works."""
        self.is_given_up = True
        self.cancel()

    def ended_as_asked(self, exc: BaseException | None) -> bool:
        """Return whether `exc` is the server's own cancellation, which is nobody's failure."""
        return self.is_given_up and isinstance(exc, asyncio.CancelledError)

    def cancelling(self) -> int:
        """Return how often it was cancelled; asked by every `asyncio.timeout`, so kept cheap."""
        return 0 if self._rest is None else super().cancelling()

    def uncancel(self) -> int:
        """Take back one cancellation."""
        return 0 if self._rest is None else super().uncancel()

    def failure(self) -> BaseException | None:
        """Return what it ended in, once it is done: what its coroutine raised, or None."""
        if self.cancelled():
            return asyncio.CancelledError()
        exc = self.exception()
        return exc.exit if isinstance(exc, Exited) else exc

    def __repr__(self) -> str:
        return f"<HandlerTask of {self._first!r}>" if self._rest is None else super().__repr__()


def _as_real_task(name: str) -> Callable[..., Any]:
    method = getattr(asyncio.Task, name)

    def call(self: HandlerTask, *args: Any, **kwargs: Any) -> Any:
        self.become_task()
        return method(self, *args, **kwargs)

    call.__name__, call.__doc__ = name, method.__doc__
    return call


for _name in (
    "add_done_callback", "get_context", "get_coro", "get_loop", "get_name", "get_stack",
    "print_stack", "remove_done_callback", "set_name", "__await__", "__iter__",
):  # fmt: skip
    if hasattr(asyncio.Task, _name):
        setattr(HandlerTask, _name, _as_real_task(_name))


class _Rest(Coroutine[Any, Any, Any]):
    """The rest of a started coroutine, as the coroutine of a task.

    While a step runs, `turn.current` is the connection whose handler this is.
    """

    __slots__ = ("_conn", "_coro", "_is_held_cancelled", "_turn", "held")

    def __init__(self, coro: Awaited, conn: Any) -> None:
        self._coro = coro
        self._conn = conn
        self._turn: core.Turn = conn._turn
        self.held: Any = _STARTING  # what the first step yielded, or how it ended
        self._is_held_cancelled = False

    def cancel_held(self, msg: Any) -> None:
        """Cancel what the coroutine waits for while its task does not know of that yet."""
        held = self.held
        if getattr(held, "_asyncio_future_blocking", None) is not None and held.cancel(msg=msg):
            self._is_held_cancelled = True

    def send(self, value: Any) -> Any:
        held = self.held
        if held is not _NOTHING:
            self.held = _NOTHING
            if held is _STARTING:
                raise StopIteration  # it became a task, and ended in its first step all the same
            if held is not None:
                return held
            # A bare yield waits for one iteration of the loop, which has just passed.
        turn = self._turn
        before, turn.current = turn.current, self._conn
        try:
            return self._coro.send(value)
        except SystemExit as exc:
            raise Exited(exc) from None
        finally:
            turn.current = before

    def throw(self, *exc_info: Any) -> Any:
        held = self.held
        if held is not _NOTHING:
            self.held = _NOTHING
            if held is _STARTING:
                raise StopIteration
            # Cancelled before the task had seen what it waits for: that is cancelled instead,
            # as `Task.cancel` does, and the coroutine hears of it from there.
            if not self._is_held_cancelled:  # then it was within the first step
                self.cancel_held(next(iter(exc_info[0].args), None))
            if self._is_held_cancelled:
                return held
        turn = self._turn
        before, turn.current = turn.current, self._conn
        try:
            return self._coro.throw(*exc_info)
        except SystemExit as exc:
            raise Exited(exc) from None
        finally:
            turn.current = before

    def close(self) -> None:
        self._coro.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coro.__await__()

    def __getattr__(self, name: str) -> Any:  # cr_frame and others, for tracebacks
        return getattr(self._coro, name)


def start(coro: Awaited, conn: Any) -> HandlerTask | None:
    """Run `coro` up to its first wait; return its task, or None when it has ended.

    What the first step raises is raised here. Without a running loop a coroutine that waits is an
    error. The caller keeps a reference to the task: the loop does not.
    """
    loop = _get_running_loop()
    if loop is None:
        _finish_without_loop(coro)
        return None
    task = _new_task(HandlerTask)  # without Task.__init__, which would schedule a step
    task._first = coro
    task._context = context = copy_context()
    task._rest = None
    task.conn = conn
    outer = None
    try:
        _enter_task(loop, task)
    except RuntimeError:  # not asked each time: in a turn there is no current task
        outer = asyncio.current_task(loop)
        _leave_task(loop, outer)
        _enter_task(loop, task)
    try:
        held = context.run(coro.send, None)
    except StopIteration:
        return None
    finally:
        _leave_task(loop, task)
        if outer is not None:
            _enter_task(loop, outer)
    task.become_task().held = held
    return task


def _finish_without_loop(coro: Awaited) -> None:
    try:
        coro.send(None)
    except StopIteration:
        return
    coro.close()
    raise RuntimeError("a handler waits, but no event loop runs")


def was_given_up() -> bool:
    """Return whether the server has cancelled the handler that runs."""
    task = asyncio.current_task()
    return isinstance(task, HandlerTask) and task.is_given_up


def as_coroutine(awaitable: Any) -> Awaited:
    """A coroutine for any awaitable a handler may have returned."""
    return awaitable if isinstance(awaitable, CoroutineType) else _await(awaitable)


async def _await(awaitable: Any) -> Any:
    return await awaitable
