"""aiohttp on uvloop."""

from __future__ import annotations

import os
from collections import defaultdict

import uvloop
from aiohttp import WSMsgType, web

ROOMS: defaultdict[str, set[web.WebSocketResponse]] = defaultdict(set)


async def upgrade(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    return ws


async def echo(request: web.Request) -> web.WebSocketResponse:
    ws = await upgrade(request)
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await ws.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await ws.send_bytes(message.data)
    return ws


async def room(request: web.Request) -> web.WebSocketResponse:
    ws = await upgrade(request)
    name = request.match_info["name"]
    members = ROOMS[name]
    members.add(ws)
    try:
        async for message in ws:
            is_text = message.type is WSMsgType.TEXT
            data = message.data.encode() if is_text else message.data
            opcode = WSMsgType.TEXT if is_text else WSMsgType.BINARY
            for member in list(members):
                if member is not ws and not member.closed:
                    await member.send_frame(data, opcode)
    finally:
        members.discard(ws)
        if not members:
            ROOMS.pop(name, None)
    return ws


async def idle(request: web.Request) -> web.WebSocketResponse:
    ws = await upgrade(request)
    async for _ in ws:
        pass
    return ws


def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/echo", echo), web.get("/room/{name}", room), web.get("/idle", idle)])
    loop = uvloop.new_event_loop()
    port = int(os.environ["PORT"])
    web.run_app(app, host="127.0.0.1", port=port, loop=loop, backlog=4096, print=lambda *_: None)


if __name__ == "__main__":
    main()
