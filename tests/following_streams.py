"""Clients of rooms that remember that come back whenever they are sent away.

A publisher sends numbers under ids, each again until it is acknowledged; a reader resumes from its
position. Afterwards what each reader has must be what was acknowledged, in order, and once.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

GONE = (ConnectionClosed, InvalidHandshake, OSError, EOFError, TimeoutError)
ROOM = "kept:chat"
THE_END = "the end"

REMEMBERING = """
from glyph_fast import Server

server = Server()
server.room("kept:*", history_size=5000, client_join=True)
server.websocket("/ws")


@server.on_shutdown
def clear():
    server.hub.get_room_manager().clear()
"""


class Publisher:
    """Sends `NAME 0`, `NAME 1`, … to a room until told to stop, over whatever connections."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.sent = 0
        self.connections = 0
        self.offsets: list[int] = []

    async def run(self, stop: asyncio.Event) -> None:
        id, data = "", ""
        while not (stop.is_set() and not id):
            with suppress(*GONE):
                async with connect(self.url, compression=None) as socket:
                    self.connections += 1
                    await self.join(socket)
                    while not (stop.is_set() and not id):
                        if not id:
                            id, data = secrets.token_hex(16), f"{self.name} {self.sent}"
                        if await self.publish(socket, id, data):
                            self.sent += 1
                            id = ""
                        await asyncio.sleep(0.002)

    async def join(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps({"type": "join_room", "room": ROOM, "id": 1}))
        while json.loads(await socket.recv()).get("id") != 1:
            pass

    async def publish(self, socket: ClientConnection, id: str, data: str) -> bool:
        """Whether it was acknowledged."""
        message = {"type": "broadcast", "room": ROOM, "data": data, "id": id}
        await socket.send(json.dumps(message))
        while (answer := json.loads(await socket.recv())).get("id") != id:
            pass
        if answer["data"]["type"] != "broadcast_success":
            assert answer["data"]["message"] == "try again", answer
            return False
        self.offsets.append(answer["data"]["offset"])
        return True


class Reader:
    """Follows a room by its positions, over whatever connections."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.since: dict[str, Any] | None = None
        self.texts: list[str] = []
        self.connections = 0
        self.epochs: list[str] = []

    async def run(self) -> None:
        while self.texts[-1:] != [THE_END]:
            with suppress(*GONE):
                async with connect(self.url, compression=None) as socket:
                    self.connections += 1
                    await self.join(socket)
                    while self.texts[-1:] != [THE_END]:
                        self.take(json.loads(await socket.recv()))

    async def join(self, socket: ClientConnection) -> None:
        message: dict[str, Any] = {"type": "join_room", "room": ROOM, "id": 1}
        if self.since is not None:
            message["since"] = self.since
        await socket.send(json.dumps(message))
        answer = json.loads(await socket.recv())
        while answer.get("id") != 1:
            answer = json.loads(await socket.recv())
        data = answer["data"]
        assert data["type"] == "join_room_success", answer
        if self.since is not None:
            assert data["resumed"] is True, data
            for each in data["messages"]:
                self.take(each)
            assert self.since["offset"] == data["offset"]
        self.since = {"epoch": data["epoch"], "offset": data["offset"]}
        if self.epochs[-1:] != [data["epoch"]]:
            self.epochs.append(data["epoch"])

    def take(self, message: dict[str, Any]) -> None:
        assert self.since is not None
        assert "offset" in message, message
        assert message["offset"] == self.since["offset"] + 1
        self.since = {**self.since, "offset": message["offset"]}
        self.texts.append(message["data"])


class Crowd:
    """Publishers and readers of one room at a server's address."""

    def __init__(self, url: str, publishers: int = 10, readers: int = 3) -> None:
        self.publishers = [Publisher(url, f"p{n}") for n in range(publishers)]
        self.readers = [Reader(url) for _ in range(readers)]
        self._last = Publisher(url, "last")
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin, and return when every reader follows and every publisher has been heard."""
        self._readers = [asyncio.create_task(each.run()) for each in self.readers]
        while any(each.since is None for each in self.readers):
            self._check()
            await asyncio.sleep(0.01)
        self._publishers = [asyncio.create_task(each.run(self._stop)) for each in self.publishers]
        await self.more(1)

    def _check(self) -> None:
        for task in (*self._readers, *getattr(self, "_publishers", ())):
            if task.done():
                task.result()

    async def more(self, count: int) -> None:
        """Return when every publisher has sent so many more."""
        goals = [each.sent + count for each in self.publishers]
        while any(each.sent < goal for each, goal in zip(self.publishers, goals, strict=True)):
            self._check()
            await asyncio.sleep(0.01)

    async def end(self) -> None:
        """Let all come to an end, and see that nobody lost anything or has it twice."""
        self._stop.set()
        await asyncio.gather(*self._publishers)
        is_sent = False
        while not is_sent:
            with suppress(*GONE):
                async with connect(self._last.url, compression=None) as socket:
                    await self._last.join(socket)
                    is_sent = await self._last.publish(socket, secrets.token_hex(16), THE_END)
        await asyncio.gather(*self._readers)
        for reader in self.readers:
            assert sorted(reader.texts) == sorted([*self._sent(), THE_END])
            for each in self.publishers:
                own = [text for text in reader.texts if text.startswith(f"{each.name} ")]
                assert own == [f"{each.name} {n}" for n in range(each.sent)]
            assert reader.texts == self.readers[0].texts
        for each in self.publishers:
            assert each.offsets == sorted(set(each.offsets))

    def _sent(self) -> Iterator[str]:
        for each in self.publishers:
            yield from (f"{each.name} {n}" for n in range(each.sent))
