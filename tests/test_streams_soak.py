"""A reader is killed again and again while ten publishers send, and has all of it in order."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from glyph_fast import Server
from tests.running import running

PUBLISHERS = 10


class Reader:
    """Follows a room by its positions, whatever becomes of its connections."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.since: dict[str, Any] | None = None
        self.texts: list[str] = []
        self.kills = 0

    async def run(self, kills: int, last: asyncio.Event, chance: random.Random) -> None:
        while self.kills < kills or not last.is_set() or not self.has_all:
            async with connect(self.url, max_queue=4) as socket:
                message: dict[str, Any] = {"type": "join_room", "room": "chat"}
                if self.since is not None:
                    message["since"] = self.since
                await socket.send(json.dumps(message))
                until = chance.choice((0, 1, 3, 20)) if self.kills < kills else 10**9
                try:
                    await self.read(socket, until, last)
                except ConnectionClosed:
                    pass
                self.kills += 1
                socket.transport.abort()

    has_all = False

    async def read(self, socket: ClientConnection, count: int, last: asyncio.Event) -> None:
        async for text in socket:
            message = json.loads(text)
            if "target" in message:
                self.take_answer(message["data"])
            else:
                assert self.since is not None
                assert message["offset"] == self.since["offset"] + 1
                self.since = {**self.since, "offset": message["offset"]}
                self.take(message["data"])
            count -= 1
            if count < 0 or self.has_all:
                return

    def take_answer(self, data: dict[str, Any]) -> None:
        if self.since is not None:
            assert data["resumed"] is True
            for each in data["messages"]:
                self.take(each["data"])
        self.since = {"epoch": data["epoch"], "offset": data["offset"]}

    def take(self, text: str) -> None:
        self.has_all = text == "the end"
        self.texts.append(text)


async def publish(url: str, name: int, stop: asyncio.Event) -> int:
    """Send numbers until told to stop, each once the one before has its place."""
    count = 0
    async with connect(url) as socket:
        await socket.send('{"type":"join_room","room":"chat"}')
        reading = asyncio.create_task(answered(socket))
        while not stop.is_set():
            data = f"{name} {count}"
            await socket.send(json.dumps({"type": "broadcast", "room": "chat", "data": data}))
            count += 1
            await asyncio.sleep(0.004)
        reading.cancel()
    return count


async def answered(socket: ClientConnection) -> None:
    async for _ in socket:
        pass


def killed(backend: Any, run: Callable[..., Any], kills: int) -> None:
    server = Server()
    server.room("chat", client_join=True, history_size=5000, max_members=100)
    server.websocket("/ws")

    async def main() -> None:
        async with running(server, backend, history_answer=5000) as url:
            address = url.ws("/ws")
            stop, last = asyncio.Event(), asyncio.Event()
            reader = Reader(address)
            reading = asyncio.create_task(reader.run(kills, last, random.Random(7)))
            while reader.since is None:
                await asyncio.sleep(0.01)
            publishing = [asyncio.create_task(publish(address, n, stop)) for n in range(PUBLISHERS)]
            while reader.kills < kills and not reading.done():
                await asyncio.sleep(0.01)
            stop.set()
            counts = await asyncio.gather(*publishing)
            await server.hub.publish("chat", "the end")
            last.set()
            await reading
            assert len(reader.texts) == sum(counts) + 1
            for name, count in enumerate(counts):
                mine = [text for text in reader.texts if text.startswith(f"{name} ")]
                assert mine == [f"{name} {n}" for n in range(count)]

    run(main(), deadline=600)


def test_a_reader_that_is_killed_has_all_in_order(backend: Any, run: Callable[..., Any]) -> None:
    killed(backend, run, 40)


@pytest.mark.soak
def test_a_reader_that_is_killed_a_thousand_times(backend: Any, run: Callable[..., Any]) -> None:
    killed(backend, run, 1000)
