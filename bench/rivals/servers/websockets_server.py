"""websockets on uvloop: one coroutine per connection, `broadcast` for rooms.

Compression is off unless COMPRESSION is set; then it is as the library has it by default.
"""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import UTC, datetime
from uuid import uuid4

import orjson
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

ROOMS: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def handle(ws: ServerConnection) -> None:
    path = ws.request.path if ws.request else ""
    if path == "/echo":
        async for message in ws:
            await ws.send(message)
    elif path.startswith("/json"):
        await answer_events(ws)
    elif path.startswith("/room/"):
        await handle_member(ws, path[len("/room/") :])
    else:
        async for _ in ws:
            pass


async def answer_events(ws: ServerConnection) -> None:
    """Say what `reply_json` of ours says to an event."""
    target = uuid4().hex
    async for message in ws:
        event = orjson.loads(message)
        if event["type"] == "json" and event["event"] == "move":
            now = datetime.now(UTC).isoformat()
            answer = {"type": "json", "data": event["data"], "target": target, "timestamp": now}
            await ws.send(orjson.dumps(answer), text=True)


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
