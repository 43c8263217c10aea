"""A `Server` that serves in the test's own loop.

async with running(server, backend) as url:
    async with connect(url.ws("/ws")) as client:
        ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from glyph_fast.options.config import Config
from glyph_fast.server.server import Server
from tests.engine.peers import Peer

if TYPE_CHECKING:
    from tests.backend import Backend


class Url(str):
    """Where a server listens."""

    def ws(self, path: str) -> str:
        """The URL of a WebSocket there."""
        return self.replace("http", "ws", 1) + path

    @property
    def address(self) -> Any:
        """What a socket connects to."""
        if self.startswith("unix:"):
            return self.removeprefix("unix:")
        parts = urlsplit(self)
        return parts.hostname, parts.port

    async def peer(self) -> Peer:
        """A client without opinions."""
        return await Peer.connect(self.address)

    async def get(self, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of one request on a connection of its own."""
        peer = await self.peer()
        peer.write(f"{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        try:
            return await peer.answer()
        finally:
            await peer.close()


def echo_server(config: Config | None = None) -> Server:
    """A server that sends every message back."""
    server = Server(config)
    server.on_message()(lambda ctx: ctx.conn.send(ctx.message.raw))
    return server


class Run:
    """One run of a server: `url` once it listens, `task` that ends with it."""

    def __init__(self, server: Server, backend: Backend, options: dict[str, Any]) -> None:
        self.lines: list[str] = []
        self._listens = asyncio.get_running_loop().create_future()
        if "uds" not in options:
            options.setdefault("port", 0)
        options.setdefault("engine", backend.engine)
        self.task = asyncio.create_task(server.serve(announce=self._announce, **options))

    def _announce(self, line: str) -> None:
        self.lines.append(line)
        if not self._listens.done():
            self._listens.set_result(None)

    async def url(self) -> Url:
        """Where it listens, once it does; what the start raises is raised here."""
        await asyncio.wait({self.task, self._listens}, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            await self.task
        return Url(self.lines[0].removeprefix("glyph-fast listening on "))


@asynccontextmanager
async def running(server: Server, backend: Backend, **options: Any) -> AsyncIterator[Url]:
    """The server, serving; drained afterwards, in a good order if the test did well."""
    run = Run(server, backend, options)
    try:
        yield await run.url()
        await server.shutdown()
        await run.task
    finally:
        run.task.cancel()
        await asyncio.wait({run.task})
