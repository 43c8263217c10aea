"""Coroutines started at once: what code inside the first step may rely on."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import SimpleNamespace
from typing import Any

import pytest

from glyph_fast.handlers.eager import HandlerTask, as_coroutine, start

pytestmark = pytest.mark.usefixtures("backend")  # `run` on the loops of this core

Run = Callable[..., Any]
color: ContextVar[str] = ContextVar("color", default="none")


class Somebody:
    """What `start` needs of a connection."""

    def __init__(self) -> None:
        self._turn: Any = SimpleNamespace(current=None)


def started(coro: Any) -> HandlerTask | None:
    return start(coro, Somebody())


async def finished(coro: Any) -> Any:
    """Start it and wait for what is left of it."""
    task = started(coro)
    return None if task is None else await task


def test_one_that_does_not_wait_has_ended_when_start_returns(run: Run) -> None:
    log: list[str] = []

    async def handler() -> None:
        log.append("done")

    async def main() -> None:
        assert started(handler()) is None
        assert log == ["done"]
        assert len(asyncio.all_tasks()) == 2  # this one and the one that watches the deadline

    run(main())


def test_its_first_step_runs_before_start_returns_and_the_rest_later(run: Run) -> None:
    log: list[str] = []

    async def handler() -> None:
        log.append("first")
        await asyncio.sleep(0)
        log.append("second")

    async def main() -> None:
        task = started(handler())
        assert task is not None and log == ["first"]
        await task
        assert log == ["first", "second"]

    run(main())


def test_what_the_first_step_raises_is_raised(run: Run) -> None:
    async def handler() -> None:
        raise KeyError("x")

    async def main() -> None:
        with pytest.raises(KeyError):
            started(handler())
        assert asyncio.current_task() is not None

    run(main())


def test_what_a_later_step_raises_is_the_tasks_exception(run: Run) -> None:
    async def handler() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    async def main() -> None:
        with pytest.raises(KeyError):
            await finished(handler())

    run(main())


def test_the_current_task_is_the_same_in_every_step(run: Run) -> None:
    async def handler() -> None:
        first = asyncio.current_task()
        assert isinstance(first, asyncio.Task)
        await asyncio.sleep(0)
        assert asyncio.current_task() is first
        assert first in asyncio.all_tasks()

    async def main() -> None:
        me = asyncio.current_task()
        task = started(handler())
        assert asyncio.current_task() is me
        await task

    run(main())


def test_timeout_that_does_not_expire(run: Run) -> None:
    async def handler() -> None:
        async with asyncio.timeout(30):
            pass
        async with asyncio.timeout(30):
            await asyncio.sleep(0)

    run(finished(handler()))


def test_timeout_that_expires(run: Run) -> None:
    async def handler() -> str:
        task = asyncio.current_task()
        assert task is not None
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            assert task.cancelling() == 0
            return "expired"
        return "?"

    assert run(finished(handler())) == "expired"


def test_timeout_that_has_expired_before_the_first_wait(run: Run) -> None:
    async def handler() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(-1):
                await asyncio.Event().wait()

    run(finished(handler()))


def test_wait_for(run: Run) -> None:
    async def handler() -> None:
        assert await asyncio.wait_for(asyncio.sleep(0, "in time"), 30) == "in time"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

    run(finished(handler()))


def test_task_group(run: Run) -> None:
    async def handler() -> None:
        results: list[int] = []

        async def child(n: int) -> None:
            await asyncio.sleep(0)
            results.append(n)

        async with asyncio.TaskGroup() as group:
            for n in range(3):
                group.create_task(child(n))
        assert results == [0, 1, 2]

    run(finished(handler()))


def test_task_group_with_a_child_that_fails(run: Run) -> None:
    async def handler() -> str:
        async def child() -> None:
            raise KeyError("child")

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                await asyncio.Event().wait()
        except* KeyError:
            pass
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0
        return "survived"

    assert run(finished(handler())) == "survived"


def test_context_variables_stay_within_the_handler_and_last(run: Run) -> None:
    seen: list[str] = []

    async def handler(own: str) -> None:
        seen.append(color.get())
        color.set(own)
        await asyncio.sleep(0)
        seen.append(color.get())

    async def main() -> None:
        color.set("outer")
        await asyncio.gather(finished(handler("blue")), finished(handler("red")))
        assert seen == ["outer", "outer", "blue", "red"]
        assert color.get() == "outer"

    run(main())


def test_a_bare_yield_resumes_in_the_next_iteration(run: Run) -> None:
    log: list[str] = []

    async def handler() -> None:
        await asyncio.sleep(0)
        log.append("handler")

    async def main() -> None:
        task = started(handler())
        asyncio.get_running_loop().call_soon(log.append, "loop")
        await task
        assert log == ["handler", "loop"]

    run(main())


def test_cancelling_while_it_waits(run: Run) -> None:
    async def handler() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = started(handler())
        assert task is not None
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_cancelling_before_its_task_has_run_cancels_what_it_waits_for(run: Run) -> None:
    async def main() -> None:
        inner: list[asyncio.Task[Any]] = []

        async def handler() -> None:
            inner.append(asyncio.create_task(asyncio.Event().wait()))
            await inner[0]

        task = started(handler())
        assert task is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert inner[0].cancelled()

    run(main())


def test_cancelling_before_its_task_has_run_can_be_caught(run: Run) -> None:
    async def handler(first_wait: Awaitable[Any]) -> str:
        try:
            await first_wait
        except asyncio.CancelledError:
            return "caught"
        return "?"

    async def main() -> None:
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        for first_wait in (asyncio.sleep(0), asyncio.sleep(30), asyncio.shield(done)):
            task = started(handler(first_wait))
            if task is None:
                continue  # it was done already
            task.cancel()
            assert await task == "caught"

    run(main())


def test_cancelling_itself_in_the_first_step(run: Run) -> None:
    async def handler() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        assert task.cancelling() == 1
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            assert task.uncancel() == 0
            return "caught"
        return "?"

    assert run(finished(handler())) == "caught"


def test_uncancel_before_there_is_a_task(run: Run) -> None:
    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert (task.cancelling(), task.uncancel(), task.done()) == (0, 0, False)

    async def main() -> None:
        assert started(handler()) is None

    run(main())


def test_methods_of_a_task_work_in_the_first_step(run: Run) -> None:
    done: list[str] = []

    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        assert "handler" in repr(task)
        task.set_name("mine")
        task.add_done_callback(lambda task: done.append(task.get_name()))
        assert task.get_loop() is asyncio.get_running_loop()
        assert "mine" in repr(task)
        assert task.get_stack() is not None

    async def main() -> None:
        assert started(handler()) is None
        assert done == []  # a callback never runs in the middle of something
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == ["mine"]

    run(main())


def test_a_task_that_was_asked_for_and_fails_at_once_is_not_reported_twice(run: Run) -> None:
    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.get_name()
        raise KeyError("x")

    async def main() -> None:
        with pytest.raises(KeyError):
            started(handler())
        await asyncio.sleep(0)
        gc.collect()

    run(main())


def test_nothing_is_left_of_one_that_ended_at_once(run: Run) -> None:
    tasks: list[weakref.ref[Any]] = []

    async def handler() -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.append(weakref.ref(task))

    async def main() -> None:
        assert started(handler()) is None
        assert tasks[0]() is None

    run(main())


def test_the_connection_is_current_while_a_step_runs(run: Run) -> None:
    conn = Somebody()
    seen: list[Any] = []

    async def handler() -> None:
        await asyncio.sleep(0)
        seen.append(conn._turn.current)
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(conn._turn.current)

    async def main() -> None:
        task = start(handler(), conn)
        assert task is not None
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert conn._turn.current is None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen == [conn, conn]
        assert conn._turn.current is None

    run(main())


def test_handlers_start_inside_other_tasks(run: Run) -> None:
    async def inner() -> None:
        await asyncio.sleep(0)

    async def outer() -> None:
        me = asyncio.current_task()
        task = started(inner())
        assert asyncio.current_task() is me
        await task
        assert asyncio.current_task() is me

    run(finished(outer()))


def test_without_a_loop_one_that_does_not_wait_runs() -> None:
    log: list[int] = []

    async def handler() -> None:
        log.append(1)

    assert started(handler()) is None
    assert log == [1]


def test_without_a_loop_one_that_waits_is_an_error() -> None:
    async def handler() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="no event loop runs"):
        started(handler())


def test_any_awaitable_can_be_started(run: Run) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        task = started(as_coroutine(future))
        assert task is not None
        future.set_result(5)
        assert await task == 5

    run(main())


def test_a_task_shows_where_its_handler_stands(run: Run) -> None:
    async def handler() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        task = started(handler())
        assert task is not None
        assert task.get_stack()[0].f_code.co_name == "handler"
        assert "handler" in repr(task)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())
