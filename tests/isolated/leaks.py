"""Does each feature many times over real sockets and prints what is left of it.

    python -m tests.isolated.leaks FEATURE,FEATURE CORE ENGINE LOOP ROUNDS

The server and its clients share the process, so what either keeps would show. JSON goes to stdout:
for each feature the growth of every figure of `Footprint` over the rounds, which begin when some
have been done, and as `cycles` the types of ours that only the collector frees.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from glyph_fast import Server
from tests.backend import Backend
from tests.engine.peers import eventually
from tests.isolated.features import FEATURES, GRACE_S, new_server
from tests.isolated.footprint import Footprint
from tests.running import running

AT_ONCE = 20
PAUSE_S = 0.05


async def settled(server: Server, standing: int) -> None:
    """Until nothing of the clients is left: no connection, no task but the `standing` ones."""
    await eventually(lambda: not len(server.hub))
    await eventually(lambda: not len(server.hub.get_room_manager().get_room_names()))
    await eventually(lambda: len(asyncio.all_tasks()) <= standing)
    await asyncio.sleep(GRACE_S)


async def least() -> Footprint:
    """What is left once no more goes: transports end some turns after their connection."""
    now = Footprint.now()
    while True:
        await asyncio.sleep(PAUSE_S)
        before, now = now, Footprint.now()
        if now.objects >= before.objects:
            return before


async def in_cycles(do: Callable[[], Awaitable[None]]) -> list[str]:
    """The types of ours of which something is in a cycle after it has been done.

    What is in one stays, with all it holds, for as long as the collector does not come.
    """
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await do()
        gc.collect()
        types = {type(each) for each in gc.garbage}
        gc.garbage.clear()
    finally:
        gc.set_debug(0)
        gc.enable()
    return sorted(each.__name__ for each in types if each.__module__.startswith("glyph_fast"))


async def measure(feature: str, backend: Backend, rounds: int) -> dict[str, Any]:
    """The growth over the rounds, and what is in cycles after some."""
    # Threads come one by one, when all there are happen to be busy; each is 23 objects that stay.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    server = new_server(feature)
    work = FEATURES[feature]
    async with running(server, backend) as url:
        standing = len(asyncio.all_tasks())

        async def do(count: int) -> None:
            for _ in range(count // AT_ONCE):
                await asyncio.gather(*(work(url, server) for _ in range(AT_ONCE)))
            await settled(server, standing)

        await do(max(rounds // 10, 2 * AT_ONCE))
        cycles = await in_cycles(lambda: do(AT_ONCE))
        before = await least()
        await do(rounds)
        return {**(await least()).growth(before)._asdict(), "cycles": cycles}


def main() -> None:
    features, core, engine, loop, rounds = sys.argv[1:]
    logging.disable()  # of handlers that fail, as they must
    backend = Backend(core, engine, loop)
    grown = {}
    gc.collect()
    gc.freeze()  # modules and all that: not to be gone through each time somebody counts
    with asyncio.Runner(loop_factory=backend.new_event_loop) as runner:
        for feature in features.split(","):
            grown[feature] = runner.run(measure(feature, backend, int(rounds)))
    print(json.dumps(grown))


if __name__ == "__main__":
    main()
