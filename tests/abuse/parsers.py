"""A program that reads all that a client may have put into a request or a message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glyph_fast import Config, MessageContext, Request, Server

server = Server(Config(trusted_proxies=["127.0.0.1"], compression="dedicated"))
server.static("/files", Path(__file__).parent)
server.websocket("/ws")


@server.authenticate
def authenticate(request: Request) -> None:
    """Let everybody in, after a look at where tokens are."""
    request.cookies.get("session")
    request.query.get("token")


@server.on_message()
def echo(ctx: MessageContext) -> None:
    """Send back what came, as JSON or text or bytes it was read for."""
    ctx.conn.send(ctx.message.raw if len(ctx.message.raw) < 1000 else "long")


@server.get("/page")
def page(request: Request) -> str:
    """Nothing in particular."""
    return "page"


@server.get("/query")
def query(request: Request) -> dict[str, int]:
    """How many parameters came."""
    return {"parameters": len(request.query)}


@server.post("/body")
async def body(request: Request) -> dict[str, int]:
    """How long a body is."""
    return {"size": len(await request.body())}


@server.post("/json")
async def read(request: Request) -> dict[str, Any]:
    """Whether a body is JSON; 400 when it is not."""
    return {"kind": type(await request.json()).__name__}
