"""What programs do with cancellation works in a handler as in a task of asyncio's own.

A handler is started at once, in the caller's turn, and becomes a task at its first wait. Each idiom
is run as a plain task and in the four kinds of handler, and what it saw must be the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from glyph_fast import Server
from glyph_fast.testing import TestClient

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]
Seen = list[Any]
Idiom = Callable[[Seen], Awaitable[Any]]

IDIOMS: dict[str, Idiom] = {}


def idiom(function: Idiom) -> Idiom:
    IDIOMS[function.__name__] = function
    return function


def me() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None
    return task


async def for_ever() -> None:
    await asyncio.Event().wait()


# anyio, which knows its own cancellations by their message.


@idiom
async def move_on_after_nothing(seen: Seen) -> None:
    with anyio.move_on_after(0) as scope:
        await anyio.sleep(60)
    seen.append(scope.cancelled_caught)


@idiom
async def move_on_after_a_moment(seen: Seen) -> None:
    with anyio.move_on_after(0.001) as scope:
        await anyio.sleep(60)
    seen.append(scope.cancelled_caught)


@idiom
async def fail_after_nothing(seen: Seen) -> None:
    with anyio.fail_after(0):
        await anyio.sleep(60)


@idiom
async def a_group_that_cancels_itself(seen: Seen) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 60)
        group.cancel_scope.cancel()
        seen.append("cancelled")
        await anyio.sleep(60)
    seen.append("left")


@idiom
async def a_group_whose_child_fails(seen: Seen) -> None:
    async def fail() -> None:
        raise KeyError("child")

    async with anyio.create_task_group() as group:
        group.start_soon(fail)
        await anyio.sleep(60)


@idiom
async def a_scope_within_a_cancelled_scope(seen: Seen) -> None:
    with anyio.CancelScope() as outer:
        with anyio.CancelScope() as inner:
            outer.cancel()
            await anyio.sleep(60)
        seen.append("never")
    seen.append((outer.cancelled_caught, inner.cancelled_caught))
    await anyio.sleep(0)


@idiom
async def a_shield_within_a_cancelled_scope(seen: Seen) -> None:
    with anyio.CancelScope() as outer:
        outer.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0)
            seen.append("shielded")
        await anyio.sleep(60)
    seen.append(outer.cancelled_caught)


# Time-outs of asyncio.


@idiom
async def a_timeout_of_nothing(seen: Seen) -> None:
    async with asyncio.timeout(0):
        await for_ever()


@idiom
async def a_timeout_that_was(seen: Seen) -> None:
    try:
        async with asyncio.timeout(-1):
            await for_ever()
    except TimeoutError:
        seen.append(me().cancelling())
        await asyncio.sleep(0)
        seen.append("goes on")


@idiom
async def a_timeout_within_a_timeout(seen: Seen) -> None:
    for outer, inner in ((0, 60), (60, 0), (0, 0)):
        try:
            async with asyncio.timeout(outer) as first:
                async with asyncio.timeout(inner) as second:
                    await for_ever()
        except TimeoutError:
            seen.append((first.expired(), second.expired(), me().cancelling()))


@idiom
async def wait_for_nothing(seen: Seen) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.sleep(60), 0)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(for_ever(), 0.001)
    seen.append((await asyncio.wait_for(asyncio.sleep(0, "in time"), 60), me().cancelling()))


@idiom
async def wait_for_what_is_shielded(seen: Seen) -> None:
    task = asyncio.create_task(asyncio.sleep(0.001, "done"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0)
    seen.append((task.cancelled(), await task))


@idiom
async def a_queue_with_a_timeout(seen: Seen) -> None:
    queue: asyncio.Queue[int] = asyncio.Queue()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await queue.get()
    queue.put_nowait(5)
    seen.append(await queue.get())


# Groups of asyncio.


@idiom
async def a_group_of_asyncio(seen: Seen) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asyncio.sleep(0, n)) for n in range(3)]
    seen.append([task.result() for task in tasks])


@idiom
async def a_group_of_asyncio_whose_child_fails(seen: Seen) -> None:
    async def fail() -> None:
        raise KeyError("child")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await for_ever()
    except* KeyError as group_error:
        seen.append([repr(exc) for exc in group_error.exceptions])
    seen.append(me().cancelling())
    await asyncio.sleep(0)


@idiom
async def a_group_within_a_timeout(seen: Seen) -> None:
    try:
        async with asyncio.timeout(0), asyncio.TaskGroup() as group:
            group.create_task(for_ever())
    except TimeoutError:
        seen.append(me().cancelling())


@idiom
async def a_gathering_with_a_failure(seen: Seen) -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("one")

    seen.append(await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2)))
    await asyncio.gather(fail(), asyncio.sleep(0.001))


# Cancelling oneself, and being cancelled.


@idiom
async def cancelling_itself_with_a_message(seen: Seen) -> None:
    me().cancel("first")
    try:
        await for_ever()
    except asyncio.CancelledError as exc:
        seen.append((exc.args, me().cancelling(), me().uncancel()))
    await asyncio.sleep(0)


@idiom
async def cancelling_itself_twice(seen: Seen) -> None:
    me().cancel("first")
    me().cancel("second")
    try:
        await for_ever()
    except asyncio.CancelledError as exc:
        seen.append((exc.args, me().cancelling()))
    await asyncio.sleep(0)
    seen.append((me().uncancel(), me().uncancel()))


@idiom
async def cancelling_itself_before_a_bare_yield(seen: Seen) -> None:
    me().cancel("yield")
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError as exc:
        seen.append(exc.args)


@idiom
async def taking_it_back_before_the_wait(seen: Seen) -> None:
    me().cancel("taken back")
    seen.append((me().cancelling(), me().uncancel()))
    try:
        await asyncio.sleep(0.001)
        seen.append("not cancelled")
    except asyncio.CancelledError as exc:
        seen.append(exc.args)


@idiom
async def being_cancelled_before_the_first_wait_is_over(seen: Seen) -> None:
    asyncio.get_running_loop().call_soon(me().cancel, "from outside")
    try:
        await for_ever()
    except asyncio.CancelledError as exc:
        seen.append((exc.args, me().cancelling(), me().uncancel()))


@idiom
async def being_cancelled_twice_before_the_first_wait_is_over(seen: Seen) -> None:
    task, loop = me(), asyncio.get_running_loop()
    loop.call_soon(task.cancel, "first")
    loop.call_soon(task.cancel, "second")
    for _ in range(2):
        try:
            await asyncio.sleep(0.001)
            seen.append("over")
        except asyncio.CancelledError as exc:
            seen.append((exc.args, task.cancelling()))


@idiom
async def being_cancelled_at_later_waits(seen: Seen) -> None:
    task, loop = me(), asyncio.get_running_loop()
    await asyncio.sleep(0)
    for n in range(3):
        loop.call_soon(task.cancel, n)
        try:
            await for_ever()
        except asyncio.CancelledError as exc:
            seen.append((exc.args, task.cancelling()))


@idiom
async def a_cancellation_reaches_what_it_waits_for_at_once(seen: Seen) -> None:
    task, inner = me(), asyncio.create_task(for_ever())
    future = asyncio.get_running_loop().create_future()

    def cancel(waited_for: asyncio.Future[Any]) -> None:
        seen.append(task.cancel("down"))
        seen.append(waited_for.cancelled() or getattr(waited_for, "cancelling", int)())

    for waited_for in (inner, future):
        asyncio.get_running_loop().call_soon(cancel, waited_for)
        try:
            await waited_for
        except asyncio.CancelledError as exc:
            seen.append((exc.args, waited_for.cancelled()))


@idiom
async def a_cancellation_that_what_it_waits_for_swallows(seen: Seen) -> None:
    async def stubborn() -> str:
        try:
            await for_ever()
        except asyncio.CancelledError as exc:
            return f"swallowed {exc.args}"
        return "?"

    asyncio.get_running_loop().call_soon(me().cancel, "down")
    inner = asyncio.create_task(stubborn())
    seen.append(await inner)
    seen.append(me().cancelling())


@idiom
async def a_cancellation_of_what_is_done_already(seen: Seen) -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, 1)
    asyncio.get_running_loop().call_soon(me().cancel, "too late")
    try:
        seen.append(await future)
    except asyncio.CancelledError as exc:
        seen.append(exc.args)


@idiom
async def the_end_of_a_cancelled_handler(seen: Seen) -> None:
    asyncio.get_running_loop().call_soon(me().cancel, "the end")
    await for_ever()


@idiom
async def somebody_elses_cancellation(seen: Seen) -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.cancel, "not mine")
    try:
        await future
    except asyncio.CancelledError as exc:
        seen.append((exc.args, me().cancelling()))


@idiom
async def a_lock_given_up_at_the_first_wait(seen: Seen) -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await lock.acquire()
    lock.release()
    async with lock:
        seen.append("free again")


@idiom
async def the_same_task_all_along(seen: Seen) -> None:
    first = me()
    tasks = {first: "kept"}
    await asyncio.sleep(0)
    seen.append((me() is first, tasks[me()], me() in asyncio.all_tasks(), first.done()))


async def observe(function: Idiom) -> Seen:
    """What the idiom saw, and how it ended."""
    seen: Seen = []
    try:
        await function(seen)
    except (Exception, asyncio.CancelledError) as exc:
        inner = exc.exceptions if isinstance(exc, BaseExceptionGroup) else ()
        seen.append((type(exc).__name__, exc.args if not inner else repr(inner)))
    return seen


@pytest.mark.parametrize("kind", ["message", "connect", "websocket", "http"])
@pytest.mark.parametrize("name", IDIOMS)
def test_an_idiom_does_in_a_handler_what_it_does_in_a_task(run: Run, name: str, kind: str) -> None:
    async def main() -> tuple[Seen, Seen]:
        found: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        server = Server()

        async def handler(_: Any) -> str:
            found.set_result(await observe(IDIOMS[name]))
            return "done"

        if kind == "http":
            server.get("/")(handler)
        elif kind == "websocket":
            server.websocket("/ws")(handler)
        elif kind == "connect":
            server.on_connect(handler)
        else:
            server.on_message("text")(handler)
        async with TestClient(server) as client:
            if kind == "http":
                assert (await client.get("/")).body == b"done"
            else:
                async with await client.connect("/ws") as ws:
                    if kind == "message":
                        await ws.send("go")
                    await found
        return await found, await asyncio.create_task(observe(IDIOMS[name]))

    in_handler, in_task = run(main())
    assert in_handler == in_task
