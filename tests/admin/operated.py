"""A server with an operators' port, on a backend of the suite, with clients for both ports.

    async with operated(backend) as site:
        ada = await site.connect()
        answer = await site.act("publish", room="blue", data=1)

Connections join the rooms of their query: `/ws?room=blue&room=red&user=ada`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from glyph_fast import Config, Connection, MessageContext, MessageType, Server
from glyph_fast.http.request import Request

if TYPE_CHECKING:
    from tests.backend import Backend

TOKEN = "let-me-in"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


def application(config: Config) -> Server:
    """Joins rooms, echoes, fails at `fail`."""
    server = Server(config)

    @server.authenticate
    def authenticate(request: Request) -> str | None:
        return request.query.get("user")

    @server.on_connect
    def joined(conn: Connection) -> None:
        for room in conn.request.query.getlist("room"):
            conn.join_room(room)
        conn.send(conn.id)

    @server.on_message(MessageType.TEXT)
    def echo(ctx: MessageContext) -> None:
        if ctx.message.data == "fail":
            raise LookupError("as asked")
        ctx.reply(MessageType.TEXT, ctx.message.data)

    return server


class Client:
    """One WebSocket connection of the public port; `id` is the server's name for it."""

    def __init__(self, socket: ClientConnection, id: str) -> None:
        self.socket = socket
        self.id = id

    async def json(self) -> Any:
        """The next message."""
        return json.loads(await self.socket.recv())

    async def echo(self, text: str) -> str:
        """Send and return the answer. What was sent to it before comes first."""
        await self.socket.send(text)
        return str(await self.socket.recv())


class Site:
    """The running server; `admin` and `public` are the URLs of its ports."""

    def __init__(self, server: Server, public: str, admin: str, stack: AsyncExitStack) -> None:
        self.server = server
        self.public = public
        self.admin = admin
        self._stack = stack
        self.http = httpx.AsyncClient(base_url=admin, headers=BEARER)

    async def connect(self, query: str = "") -> Client:
        url = self.public.replace("http", "ws", 1) + "/ws" + query
        socket = await self._stack.enter_async_context(connect(url, proxy=None))
        return Client(socket, str(await socket.recv()))

    async def act(self, call: str, **body: Any) -> Any:
        """The answer to a call, which must succeed."""
        answer = await self.http.post(f"/api/{call}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def operated(
    backend: Backend, token: str | None = TOKEN, **options: Any
) -> AsyncIterator[Site]:
    config = Config(
        port=0, engine=backend.engine, admin="127.0.0.1:0", admin_token=token, **options
    )
    server = application(config)
    lines: list[str] = []
    ready = asyncio.Event()

    def announce(line: str) -> None:
        lines.append(line)
        if len(lines) == 2:
            ready.set()

    serving = asyncio.create_task(server.serve(announce=announce))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if serving.done():
        await serving
    public, admin = (line.rpartition(" ")[2] for line in lines)
    async with AsyncExitStack() as stack:
        site = Site(server, public, admin, stack)
        await stack.enter_async_context(site.http)
        yield site
    await server.shutdown()
    await serving
