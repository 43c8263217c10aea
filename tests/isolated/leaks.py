"""Does each feature many times over real sockets and prints what is left of it.

    python -m tests.isolated.leaks FEATURE,FEATURE CORE ENGINE LOOP ROUNDS

The server and its clients share the process, so what either keeps would show. JSON goes to stdout:
for each feature the growth of every figure of `Footprint` over the rounds, which begin when some
have been done.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor

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


async def measure(feature: str, backend: Backend, rounds: int) -> Footprint:
    """The growth over the rounds."""
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

        await do(max(rounds // 10, 2 * AT_ONCE) + AT_ONCE)
        before = await least()
        await do(rounds)
        return (await least()).growth(before)


def main() -> None:
    features, core, engine, loop, rounds = sys.argv[1:]
    logging.disable()  # of handlers that fail, as they must
    backend = Backend(core, engine, loop)
    grown = {}
    gc.collect()
    gc.freeze()  # modules and all that: not to be gone through each time somebody counts
    with asyncio.Runner(loop_factory=backend.new_event_loop) as runner:
        for feature in features.split(","):
            grown[feature] = runner.run(measure(feature, backend, int(rounds)))._asdict()
    print(json.dumps(grown))


if __name__ == "__main__":
    main()
