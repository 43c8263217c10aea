"""What messages cost other Python servers through Redis: run by the Python of the rivals.

    broker_peers.py KIND receive URL MESSAGES
    broker_peers.py KIND publish URL MESSAGES WINDOW
    broker_peers.py KIND latency URL RATE SECONDS

KIND is `socketio` (the AsyncRedisManager of python-socketio), `channels` (the RedisChannelLayer of
channels_redis) or `channels-pubsub` (its RedisPubSubChannelLayer). Nobody is connected: it is the
broker's part alone. A message counts as received when the next step would be to send it to members.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop

WARM = 1000  # messages that do not count
ROOM = "bench"
TEXT = "x" * 100
DEADLINE_S = 120.0
HEARD = Callable[[Any], None]


async def socketio(url: str, heard: HEARD | None) -> Callable[[Any], Awaitable[Any]]:
    import socketio as sio

    class Counting(sio.AsyncRedisManager):
        async def _handle_emit(self, message: Any) -> None:
            await super()._handle_emit(message)
            if heard is not None and message.get("host_id") != self.host_id:
                data = message["data"]
                heard(data[0] if isinstance(data, list) else data)

    manager = Counting(url)
    server = sio.AsyncServer(async_mode="asgi", client_manager=manager)
    server.manager_initialized = True
    manager.initialize()
    await asyncio.sleep(1.0)  # it tells nobody when it has subscribed
    return lambda data: server.emit("message", data, room=ROOM)


async def channels(
    url: str, heard: HEARD | None, name: str = "core.RedisChannelLayer", **more: Any
) -> Callable[[Any], Awaitable[Any]]:
    import importlib

    module, _, cls = name.partition(".")
    layer = getattr(importlib.import_module(f"channels_redis.{module}"), cls)(hosts=[url], **more)
    if heard is not None:
        channel = await layer.new_channel()
        await layer.group_add(ROOM, channel)

        async def receive() -> None:
            while True:
                heard((await layer.receive(channel))["data"])

        receive.task = asyncio.create_task(receive())
    return lambda data: layer.group_send(ROOM, {"type": "message", "data": data})


async def plain_channels(url: str, heard: HEARD | None) -> Callable[[Any], Awaitable[Any]]:
    return await channels(url, heard, capacity=1_000_000)


async def pubsub_channels(url: str, heard: HEARD | None) -> Callable[[Any], Awaitable[Any]]:
    return await channels(url, heard, "pubsub.RedisPubSubChannelLayer")


KINDS = {"socketio": socketio, "channels": plain_channels, "channels-pubsub": pubsub_channels}


async def publish(kind: str, url: str, messages: int, window: int) -> None:
    send = await KINDS[kind](url, None)

    async def some(count: int) -> None:
        for _ in range(count):
            await send({"text": TEXT})

    await asyncio.gather(*(some(WARM // window + 1) for _ in range(window)))
    began = time.process_time()
    await asyncio.gather(*(some(-(-messages // window)) for _ in range(window)))
    print((time.process_time() - began) / (-(-messages // window) * window), flush=True)


async def receive(kind: str, url: str, messages: int) -> None:
    got, began = 0, 0.0
    done = asyncio.Event()

    def heard(data: Any) -> None:
        nonlocal got, began
        got += 1
        if got == WARM:
            began = time.process_time()
        elif got == WARM + messages:
            done.set()

    await KINDS[kind](url, heard)
    print("listening", flush=True)
    async with asyncio.timeout(DEADLINE_S):
        await done.wait()
    print((time.process_time() - began) / messages, flush=True)


async def latency(kind: str, url: str, rate: int, seconds: float) -> None:
    sent: dict[int, float] = {}
    found: list[float] = []

    def heard(data: Any) -> None:
        at = sent.pop(data["n"], None)
        if at is not None:
            found.append(time.perf_counter() - at)

    await KINDS[kind](url, heard)
    send = await KINDS[kind](url, None)
    began = time.perf_counter()
    for n in range(int(rate * seconds)):
        sent[n] = time.perf_counter()
        await send({"n": n})
        await asyncio.sleep(max(0.0, began + (n + 1) / rate - time.perf_counter()))
    async with asyncio.timeout(DEADLINE_S):
        while sent:
            await asyncio.sleep(0.01)
    found.sort()
    print(found[len(found) // 2], found[int(len(found) * 0.99)], flush=True)


def main() -> None:
    kind, role, url, *numbers = sys.argv[1:]
    work = {"publish": publish, "receive": receive, "latency": latency}[role]
    uvloop.run(work(kind, url, *map(int, numbers)))


if __name__ == "__main__":
    main()
