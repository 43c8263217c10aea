"""Nodes of one server in the test's own process, and clients that check every message.

async with redis_server() as redis, nodes(redis, 2) as (one, two):
    async with Follower(two) as follower, Publisher(one) as publisher:
        ...
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from glyph_fast import Server
from tests.broker_servers import RedisServer
from tests.serving import ServeProcess

ROOM = "kept:chat"
APP = Path(__file__).parent / "app"
PAUSE_S = 0.02  # between two tries of what was refused


def program() -> Server:
    """A server whose rooms `kept:…` remember, and others do not."""
    server = Server()
    server.room("kept:*", history_size=5000, client_join=True, presence=True)
    server.room("few:*", history_size=3, client_join=True)
    server.room("plain:*", client_join=True)
    server.websocket("/ws")
    return server


class Node:
    """One of the servers, serving."""

    def __init__(self, server: Server, lines: list[str]) -> None:
        self.server = server
        self.hub = server.hub
        found = [line.rpartition(" on ")[2] for line in lines]
        self.url = found[0].replace("http", "ws", 1) + "/ws"
        self.admin = found[1] if len(found) > 1 else ""

    @property
    def figures(self) -> dict[str, Any]:
        """What the broker says of itself."""
        return dict(self.hub._figures())


@asynccontextmanager
async def node(
    redis: RedisServer, server: Server | None = None, **options: Any
) -> AsyncIterator[Node]:
    """A node, until the end of the block."""
    server = program() if server is None else server
    lines: list[str] = []
    listens = asyncio.Event()

    def announce(line: str) -> None:
        lines.append(line)
        listens.set()

    options = {"broker": redis.url, "port": 0, **options}
    task = asyncio.create_task(server.serve(announce=announce, **options))
    waiting = asyncio.create_task(listens.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            task.result()
        yield Node(server, lines)
        await server.shutdown(2.0)
        await task
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def nodes(redis: RedisServer, count: int, **options: Any) -> AsyncIterator[list[Node]]:
    """Some nodes of one server."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(node(redis, **options)) for _ in range(count)]


async def until(condition: Any) -> None:
    """Return when a condition holds."""
    while not condition():
        await asyncio.sleep(0.01)


class Client:
    """A connection to a node, which keeps what it gets."""

    def __init__(self, at: Node, room: str = ROOM) -> None:
        self.at = at
        self.room = room
        self.socket: ClientConnection
        self._answers: dict[Any, asyncio.Future[Any]] = {}

    async def __aenter__(self) -> Any:
        self._opening = connect(self.at.url, compression=None)
        self.socket = await self._opening.__aenter__()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._reading.cancel()
        await self._opening.__aexit__(None, None, None)
        await asyncio.wait({self._reading})
        if not self._reading.cancelled():
            self._reading.result()  # what did not fit

    async def _read(self) -> None:
        async for text in self.socket:
            message = json.loads(text)
            future = self._answers.pop(message.get("id"), None)
            if future is not None:
                self.answered(message)
                future.set_result(message)
            else:
                self.take(message)

    def answered(self, message: dict[str, Any]) -> None:
        """An answer has come, before what comes behind it."""

    def take(self, message: dict[str, Any]) -> None:
        """A message that is no answer."""

    async def ask(self, **message: Any) -> Any:
        """The answer to a message."""
        id = message.setdefault("id", secrets.token_hex(8))
        future = self._answers[id] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps(message))
        answer = await future
        return answer["data"] if answer["type"] == "json" else answer

    async def join(self, **more: Any) -> Any:
        """Join the room, trying again while it is refused."""
        while True:
            answer = await self.ask(type="join_room", room=self.room, **more)
            if answer["type"] == "join_room_success":
                return answer
            assert answer["data"]["error"] == "try again", answer
            await asyncio.sleep(PAUSE_S)


class Follower(Client):
    """A member whose messages must come in order, none twice, and none missing without a reset."""

    def __init__(self, at: Node, room: str = ROOM) -> None:
        super().__init__(at, room)
        self.epoch = ""
        self.offset = 0
        self.texts: list[str] = []
        self.resets = 0
        self.offsets: dict[str, list[int]] = {}

    async def __aenter__(self) -> Any:
        await super().__aenter__()
        await self.join()
        return self

    def answered(self, message: dict[str, Any]) -> None:
        data = message["data"]
        if data.get("type") == "join_room_success" and not self.epoch:
            self.epoch, self.offset = data["epoch"], data["offset"]

    def take(self, message: dict[str, Any]) -> None:
        if message["type"] == "room_reset":
            self.resets += 1
            self.epoch, self.offset = message["data"]["epoch"], message["data"]["offset"]
            return
        assert message["offset"] == self.offset + 1, (message, self.offset)
        self.offset += 1
        if message["type"] != "skip":
            self.texts.append(message["data"])

    async def follows(self, text: str) -> None:
        """Return when a text has come."""
        while text not in self.texts:
            if self._reading.done():
                self._reading.result()
            await asyncio.sleep(0.01)


class Publisher(Client):
    """Sends `NAME 0`, `NAME 1`, … under ids, each again until it is acknowledged."""

    def __init__(self, at: Node, name: str = "p", room: str = ROOM) -> None:
        super().__init__(at, room)
        self.name = name
        self.acknowledged: list[str] = []
        self.refused = 0
        self._is_ending = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Any:
        await super().__aenter__()
        await self.join()
        return self

    async def publish(self, text: str) -> dict[str, Any]:
        """Send until it is acknowledged; the acknowledgement."""
        id = secrets.token_hex(16)
        while True:
            answer = await self.ask(type="broadcast", room=self.room, data=text, id=id)
            if answer["type"] == "broadcast_success":
                self.acknowledged.append(text)
                return dict(answer)
            assert answer["data"]["error"] == "try again", answer
            self.refused += 1
            await asyncio.sleep(PAUSE_S)

    def begin(self) -> None:
        """Publish from now on until `end`."""
        self._task = asyncio.create_task(self._go_on())

    async def _go_on(self) -> None:
        while not self._is_ending:
            await self.publish(f"{self.name} {len(self.acknowledged)}")
            await asyncio.sleep(0.002)

    async def more(self, count: int) -> None:
        """Return when so many more were acknowledged."""
        assert self._task is not None
        goal = len(self.acknowledged) + count
        while len(self.acknowledged) < goal:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.01)

    async def end(self) -> str:
        """Stop, and publish one more text, which is returned."""
        assert self._task is not None
        self._is_ending = True
        await self._task
        last = f"{self.name} is done"
        await self.publish(last)
        return last


class Watcher(Client):
    """A member that keeps the list of members, and how often each has left."""

    def __init__(self, at: Any) -> None:
        super().__init__(at)
        self.present: set[str] = set()
        self.left: list[str] = []

    async def __aenter__(self) -> Any:
        await super().__aenter__()
        self.present |= {
            each["id"] for each in (await self.join(presence=True))["presence"]["members"]
        }
        return self

    def take(self, message):
        if message["type"] == "presence":
            self.present |= {each["id"] for each in message["data"]["joined"]}
            gone = [each["id"] for each in message["data"]["left"]]
            self.left += gone
            self.present -= set(gone)


class Served(Node):
    """A server with two workers, in processes of its own."""

    def __init__(self, process: ServeProcess) -> None:
        assert process.process.stdout is not None
        self.process = process
        self.url = process.ws("/ws")
        self.admin = process.process.stdout.readline().decode().split()[-1]

    async def get(self, path: str) -> Any:
        async with httpx.AsyncClient() as client:
            return (await client.get(self.admin + path)).json()


@asynccontextmanager
async def served(redis: RedisServer, program: str = "nodes:server") -> AsyncIterator[Served]:
    """One, until the end of the block."""
    process = await asyncio.to_thread(
        ServeProcess, program, "--workers", "2", "--admin", "127.0.0.1:0", cwd=APP,
        env={"GLYPH_FAST_BROKER": redis.url},
    )  # fmt: skip
    try:
        yield Served(process)
        assert await asyncio.to_thread(process.stop) == 0, process.log()
    finally:
        process.kill()
        process.release()


async def refused_start(url: str) -> bytes:
    """What `serve` says whose broker refuses it: it ends with the status of that."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "glyph_fast", "serve", "--port", "0",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GLYPH_FAST_BROKER": url},
    )  # fmt: skip
    try:
        out, said = await process.communicate()
    finally:
        if process.returncode is None:  # the test's time is over
            process.kill()
            await process.wait()
    assert (process.returncode, out) == (3, b""), said
    assert b"Traceback" not in said
    return said
