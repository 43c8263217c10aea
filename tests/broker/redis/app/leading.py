"""A program that says again and again in which process it runs what runs once on all machines."""

import asyncio
import os

from tests.broker.redis.nodes import ROOM, program

server = program()


@server.background(on="cluster")
async def once() -> None:
    while True:
        await server.hub.publish(ROOM, str(os.getpid()))
        await asyncio.sleep(0.05)
