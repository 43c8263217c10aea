"""Functions by name: how they are called, and what becomes of what they return."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from glyph_fast.client.handlers import Handlers
from glyph_fast.client.tasks import Tasks
from tests.client.fake import Bench, settle


async def test_a_function_gets_as_many_arguments_as_it_takes(bench: Bench) -> None:
    handlers = Handlers(Tasks())
    found: list[Any] = []

    class Method:
        def one(self, data: Any) -> None:
            found.append(data)

        def __call__(self, data: Any, meta: Any) -> None:
            found.append((data, meta))

    for function in (
        lambda: found.append("none"),
        lambda a: found.append(a),
        lambda *all: found.append(all),
        lambda a, b=0, *, c=0: found.append((a, b, c)),
        partial(lambda first, second: found.append((first, second)), "partial"),
        Method().one,
        Method(),
        found.append,
    ):
        handlers.add("x", function)
    handlers.emit("x", 1, 2)
    handlers.emit("y", 1, 2)
    assert found == ["none", 1, (1, 2), (1, 2, 0), ("partial", 1), 1, (1, 2), 1]


async def test_calls_of_an_async_function_do_not_overtake_each_other(bench: Bench) -> None:
    tasks = Tasks()
    handlers = Handlers(tasks)
    log: list[str] = []

    async def slow(n: int) -> None:
        log.append(f"begin {n}")
        await asyncio.sleep(1 / n)
        log.append(f"end {n}")

    handlers.add("x", slow)
    for n in (1, 2, 3):
        handlers.emit("x", n)
    assert handlers.backlog == handlers.backlog_of("x") == 3 and handlers.backlog_of("y") == 0
    await asyncio.sleep(3)
    assert log == [f"{what} {n}" for n in (1, 2, 3) for what in ("begin", "end")]
    assert len(tasks) == 0


async def test_one_that_raises_does_not_end_the_line(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = Handlers(Tasks())
    found: list[int] = []

    async def sometimes(n: int) -> None:
        if n == 1:
            raise ValueError("not one")
        found.append(n)

    handlers.add("x", sometimes)
    for n in (0, 1, 2):
        handlers.emit("x", n)
    await settle()
    assert found == [0, 2] and "not one" in caplog.text


async def test_what_is_stopped_or_closed_is_not_awaited(bench: Bench) -> None:
    tasks = Tasks()
    handlers = Handlers(tasks)
    begun: list[int] = []

    async def slow(n: int) -> None:
        begun.append(n)
        await asyncio.sleep(1)

    off = handlers.add("x", slow)
    handlers.add("x", slow)
    for n in (1, 2, 3):
        handlers.emit("x", n)
    await settle()
    off()
    await asyncio.sleep(1.1)
    assert begun == [1, 1, 2]
    await tasks.close()
    assert len(tasks) == 0 and handlers.backlog == 0


async def test_the_first_that_returns_something_has_answered(bench: Bench) -> None:
    handlers = Handlers(Tasks())
    with pytest.raises(LookupError):
        await handlers.first("x")
    handlers.add("x", lambda: None)
    assert await handlers.first("x") is None
    handlers.add("x", lambda: asyncio.sleep(1, "slow"))
    handlers.add("x", lambda: "quick")
    assert await handlers.first("x") == "slow"


async def test_something_cancelled_that_a_handler_awaits_ends_that_call_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    handlers = Handlers(Tasks())
    found: list[int] = []

    async def awaits(n: int) -> None:
        if n == 0:
            gone = asyncio.get_running_loop().create_future()
            gone.cancel()
            await gone
        found.append(n)

    handlers.add("x", awaits)
    for n in (0, 1):
        handlers.emit("x", n)
    await settle()
    assert found == [1] and "a handler failed" in caplog.text


FACTORIES = [None, getattr(asyncio, "eager_task_factory", None)]  # the latter from 3.12 on


@pytest.mark.parametrize("factory", {*FACTORIES})
async def test_tasks_may_be_eager(bench: Bench, factory: Any) -> None:
    bench.loop.set_task_factory(factory)
    handlers = Handlers(Tasks())
    found: list[int] = []

    async def quick(n: int) -> None:
        found.append(n)

    handlers.add("x", quick)
    for n in (0, 1, 2):
        handlers.emit("x", n)
    await settle()
    assert found == [0, 1, 2]
