"""websockets on uvloop: one coroutine per connection, `broadcast` for rooms.

Compression is off unless COMPRESSION is set; then it is as the library has it by default.
"""

from __future__ import annotations

import os
from collections import defaultdict

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

ROOMS: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def handle(ws: ServerConnection) -> None:
    path = ws.request.path if ws.request else ""
    if path == "/echo":
        async for message in ws:
            await ws.send(message)
    elif path.startswith("/room/"):
        await handle_member(ws, path[len("/room/") :])
    else:
        async for _ in ws:
            pass


async def handle_member(ws: ServerConnection, name: str) -> None:
    room = ROOMS[name]
    room.add(ws)
    try:
        async for message in ws:
            broadcast(room - {ws}, message)
    finally:
        room.discard(ws)
        if not room:
            ROOMS.pop(name, None)


async def main() -> None:
    port = int(os.environ["PORT"])
    compression = "deflate" if os.environ.get("COMPRESSION") else None
    async with serve(handle, "127.0.0.1", port, compression=compression, backlog=4096) as server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
