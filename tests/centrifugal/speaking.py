"""A client of the JSON protocol in memory, that says what a test says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from glyph_fast import Config, Server
from glyph_fast.errors import ConnectionClosed
from glyph_fast.testing import TestClient

PATH = "/connection/websocket"
KEPT: dict[str, Any] = {"client_join": True, "history_size": 100, "presence": True}


def server_of(rooms: dict[str, dict[str, Any]] | None = None, **options: Any) -> Server:
    """A server that speaks the protocol, with rooms of these declarations."""
    server = Server(Config(**options))
    server.centrifuge()
    for pattern, declared in ({"*": KEPT} if rooms is None else rooms).items():
        server.room(pattern, **declared)
    return server


class Speaker:
    """One client. Replies come in the order of commands; `pushes` are what came between them."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.pushes: list[dict[str, Any]] = []
        self._id = 0
        self._lines: list[str] = []

    async def say(self, *commands: dict[str, Any]) -> None:
        """Send commands in one frame, as they are."""
        await self.socket.send("\n".join(json.dumps(each) for each in commands))

    async def heard(self) -> dict[str, Any]:
        """The next message of the server."""
        if not self._lines:
            self._lines = (await self.socket.receive()).split("\n")
        message: dict[str, Any] = json.loads(self._lines.pop(0))
        return message

    async def ask(self, kind: str, **fields: Any) -> Any:
        """The result of a command, or its error as (code, message)."""
        self._id += 1
        await self.say({"id": self._id, kind: fields})
        while (message := await self.heard()).get("id") != self._id:
            self.pushes.append(message["push"])
        if "error" in message:
            return message["error"]["code"], message["error"]["message"]
        return message[kind]

    async def push(self) -> dict[str, Any]:
        """The next push."""
        if self.pushes:
            return self.pushes.pop(0)
        while "push" not in (message := await self.heard()):
            pass
        push: dict[str, Any] = message["push"]
        return push

    async def ended(self) -> tuple[int, str]:
        """Code and reason with which the server closes."""
        while True:
            try:
                await self.socket.receive()
            except ConnectionClosed as exc:
                return exc.code, exc.reason


@asynccontextmanager
async def speaking(server: Server, count: int = 1, **connect: Any) -> AsyncIterator[Any]:
    """Clients that have connected, behind the test client that runs the server."""
    async with TestClient(server) as client:
        speakers = []
        for _ in range(count):
            speaker = Speaker(await client.connect(PATH))
            assert "client" in await speaker.ask("connect", **connect)
            speakers.append(speaker)
        yield [client, *speakers]
