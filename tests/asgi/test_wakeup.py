"""Waiting for what comes within a turn."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.asgi.wakeup import Wakeup, wakeup


def waiting(heard):
    """A task that waits, and has begun to."""

    async def wait(waiter):
        try:
            await waiter
        except asyncio.CancelledError as exc:
            heard.append(("cancelled", *exc.args))
            raise
        heard.append("woken")

    async def begin():
        waiter = wakeup()
        task = asyncio.create_task(wait(waiter))
        await asyncio.sleep(0)
        return waiter, task

    return begin


def test_it_wakes_within_the_call_where_no_task_runs(run):
    async def main():
        heard = []
        waiter, task = await waiting(heard)()
        seen = []
        asyncio.get_running_loop().call_soon(lambda: (waiter.wake(), seen.extend(heard)))
        await task
        assert seen == ["woken"]

    run(main())


def test_it_wakes_later_where_a_task_runs(run):
    async def main():
        heard = []
        waiter, task = await waiting(heard)()
        waiter.wake()
        waiter.wake()
        assert heard == [] and waiter.done()
        await task
        assert heard == ["woken"]

    run(main())


def test_one_that_is_done_is_not_waited_for(run):
    async def main():
        waiter = wakeup()
        waiter.wake()
        await waiter
        assert not waiter.cancelled() and waiter.result() is None and waiter.exception() is None
        assert not waiter.cancel()

    run(main())


@pytest.mark.parametrize("message", [None, "why"])
def test_a_task_that_waits_can_be_cancelled(run, message):
    async def main():
        heard = []
        waiter, task = await waiting(heard)()
        task.cancel(message)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert heard == [("cancelled", message) if message else ("cancelled",)]
        assert waiter.cancelled()
        waiter.wake()  # too late, and harmless

    run(main())


def test_a_timeout_ends_the_wait(run):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await wakeup()

    run(main())


def test_callbacks_come_and_go(run):
    async def main():
        loop = asyncio.get_running_loop()
        waiter = Wakeup(loop)
        heard = []
        waiter.add_done_callback(heard.append)
        waiter.add_done_callback(heard.append)
        assert waiter.remove_done_callback(heard.append) == 2
        waiter.add_done_callback(heard.append)
        waiter.wake()
        waiter.add_done_callback(heard.append)
        await asyncio.sleep(0)
        assert heard == [waiter, waiter] and waiter.get_loop() is loop

    run(main())
