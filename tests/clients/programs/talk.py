"""What the Python programs here share: a line to the test that runs them.

    python PROGRAM.py URL [more]

Like `talk.mjs`; whatever goes wrong without being raised ends the program as well.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from glyph_fast.client import Client, Room

WITHIN_S = 60.0
args = sys.argv[1:]


async def until(claim: Callable[[], object], what: str = "") -> None:
    """Wait until `claim` holds."""
    end = asyncio.get_running_loop().time() + WITHIN_S
    while not claim():
        assert asyncio.get_running_loop().time() < end, f"never: {what}"
        await asyncio.sleep(0.005)


async def joined(*rooms: Room) -> None:
    """Wait until one is a member of all of them."""
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*(room.joined() for room in rooms))


async def opened(*servers: Client) -> None:
    """Wait until all are open."""
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*(server.opened() for server in servers))


def tell(value: Any) -> None:
    """Tell the test something."""
    print(json.dumps(value), flush=True)


async def told() -> str:
    """What the test says next."""
    result: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    loop = asyncio.get_running_loop()

    def read() -> None:
        line = sys.stdin.readline().rstrip("\n")
        loop.call_soon_threadsafe(result.set_result, line)

    threading.Thread(target=read, daemon=True).start()
    return await result


async def over(*servers: Client) -> None:
    """The end: no task, no timer, no socket is left."""
    for server in servers:
        await server.close()
        assert server.state == "closed"
    loop = asyncio.get_running_loop()
    assert asyncio.all_tasks() == {asyncio.current_task()}, asyncio.all_tasks()
    timers = [each for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
    assert not timers, timers


def run(main: Callable[[], Awaitable[None]]) -> None:
    """Run a program; errors that nobody asks for are errors of the program."""
    wrong: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
        await main()
        await asyncio.sleep(0)
        gc.collect()

    asyncio.run(watched())
    gc.collect()
    assert not wrong, wrong
    print("over", flush=True)
