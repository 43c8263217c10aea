"""The program that meets faults: an echo, a room, and handlers that misbehave when asked."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from glyph_fast import Connection, MessageContext, Server

server = Server()
server.websocket("/ws")
ends: Counter[str] = Counter()  # how often `on_disconnect` ran for each connection
kept: list[bytes] = []


@server.on_disconnect
def count(conn: Connection) -> None:
    """Every connection must end exactly once."""
    ends[conn.id] += 1


@server.get("/figures")
def figures() -> dict[str, object]:
    """What a test wants to know afterwards."""
    return {
        "connections": len(server.hub),
        "ended": len(ends),
        "ended_twice": sum(times != 1 for times in ends.values()),
        "errors": server.hub.metrics.handler_errors,
    }


@server.on_event("wait")
async def wait(ctx: MessageContext) -> None:
    """Keep the values of a message for as long as its client stays."""
    values = ctx.message.data
    await asyncio.Event().wait()
    ctx.reply_json(values)


@server.on_message()
def command(ctx: MessageContext) -> None:
    """Do what the first word says, and echo."""
    text = ctx.message.raw
    word, *rest = text.split(" ") if isinstance(text, str) else ("",)
    match word:
        case "join":
            ctx.conn.join_room(rest[0])
        case "tell":
            server.hub.broadcast_to_room(rest[0], text)
        case "block":
            time.sleep(float(rest[0]))
        case "fail":
            raise ValueError("as asked")
        case "grab":
            kept.append(bytes(int(rest[0]) << 20))
        case "free":
            kept.clear()
        case "json":
            ctx.conn.send_json("x" * (int(rest[0]) << 20))
            return
        case "unencodable":
            UNENCODABLE[rest[0]](ctx)
    ctx.conn.send(text)


UNENCODABLE = {
    "object": lambda ctx: ctx.conn.send_json({"what": object()}),
    "nan": lambda ctx: ctx.conn.send_json(float("nan")),
    "surrogate": lambda ctx: ctx.conn.send("half a pair: \ud800"),
    "type": lambda ctx: ctx.conn.send(42),
    "room": lambda ctx: server.hub.broadcast_json_to_room("all", {1, 2}),
    "everyone": lambda ctx: server.hub.broadcast("\udfff"),
    "cycle": lambda ctx: ctx.reply_json(cycle()),
}


def cycle() -> list[object]:
    """A list that holds itself."""
    found: list[object] = []
    found.append(found)
    return found


@server.get("/unencodable")
def unencodable() -> dict[str, object]:
    """An answer that JSON cannot hold."""
    return {"what": object()}
