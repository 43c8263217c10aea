"""The applications: plain ASGI, FastAPI, and a server of ours with rooms."""

from __future__ import annotations

import json
import os
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import FileResponse, JSONResponse

from glyph_fast import Response, Server

FILE = os.environ.get("BENCH_FILE", "")
ANSWER = {"message": "Hello, world", "numbers": [1, 2, 3]}
MEMBERS_ROOM = "all"


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """JSON, the echo of a WebSocket's messages, the size of a body."""
    if scope["type"] == "http":
        body = json.dumps(ANSWER if scope["method"] == "GET" else await _size(receive)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            if text is not None:
                await send({"type": "websocket.send", "text": text})
            else:
                await send({"type": "websocket.send", "bytes": message["bytes"]})
    else:
        await _live(receive, send)


async def _size(receive: Any) -> dict[str, int]:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            return {"size": size}


async def _live(receive: Any, send: Any) -> None:
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return


fastapi = FastAPI()


@fastapi.get("/")
async def hello() -> dict[str, Any]:
    """FastAPI's hello."""
    return ANSWER


@fastapi.get("/file")
async def file() -> FileResponse:
    """A large file."""
    return FileResponse(FILE)


@fastapi.post("/publish")
async def publish(request: Request) -> JSONResponse:
    """Send a body to all members."""
    hub = request.state.glyph_fast.hub
    result = hub.broadcast_to_room(MEMBERS_ROOM, (await request.body()).decode())
    return JSONResponse({"sent": sum(result)})


rooms = Server()
rooms.mount("/", fastapi)


@rooms.on_connect(route="/ws")
def enter(conn: Any) -> None:
    """Everybody is a member."""
    conn.join_room(MEMBERS_ROOM)


@rooms.on_message(route="/ws")
def echo(ctx: Any) -> None:
    """For the comparison of `rooms` with itself under another server."""
    ctx.conn.send(ctx.message.raw)


@rooms.get("/own")
def own_hello(request: Any) -> dict[str, Any]:
    """As `hello`, without a framework."""
    return ANSWER


@rooms.post("/own")
async def own_publish(request: Any) -> Response:
    """As `publish`, without a framework."""
    result = rooms.hub.broadcast_to_room(MEMBERS_ROOM, (await request.body()).decode())
    return Response({"sent": sum(result)})


hosted = rooms.asgi
