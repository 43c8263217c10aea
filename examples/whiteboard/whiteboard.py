"""A whiteboard: everybody draws on one board, and whoever comes later sees all of it.

cd examples/whiteboard
glyph-fast serve whiteboard:server      # or: python whiteboard.py
# then open http://127.0.0.1:8080/ in two windows
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from glyph_fast import Config, MessageContext, Server

server = Server(Config(serve_client=True))
server.room(
    "board",
    client_join=True,
    client_publish=False,
    history_size=1000,
    history_bytes="16MiB",
    history_ttl="1d",
    presence=True,
)
server.static("/", Path(__file__).with_name("page"))

Place = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Stroke(msgspec.Struct):
    color: Literal["black", "crimson", "seagreen"]
    points: Annotated[list[tuple[Place, Place]], msgspec.Meta(min_length=1, max_length=500)]


@server.on_event("draw")
async def draw(ctx: MessageContext, data: Stroke) -> int:
    return (await server.hub.publish("board", msgspec.to_builtins(data))).offset


@server.on_event("clear")
async def clear(ctx: MessageContext) -> int:
    await server.hub.remove_history("board")
    return (await server.hub.publish("board", {"points": []})).offset


if __name__ == "__main__":
    server.run()
