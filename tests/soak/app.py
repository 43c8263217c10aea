"""The server of the soak: rooms in which every message has a number and is acknowledged.

A client sends JSON lines:

    {"join": ROOM}               the answer: {"joined": ROOM, "server": S, "number": the latest}
    {"say": TEXT, "room": ROOM}  members get {"server": S, "room": ROOM, "number": N, "text": TEXT},
                                 the sender  {"said": N, "server": S, "accepted": members}
"""

from __future__ import annotations

import json
import os
from collections import Counter

from glyph_fast import MessageContext, MessageType, Server

server = Server()
server.websocket("/ws")
numbers: Counter[str] = Counter()  # of the latest message of each room
me = f"{os.getpid()}"  # this process: numbers begin again in the next


@server.on_message(MessageType.JSON)
def command(ctx: MessageContext) -> None:
    """Join a room, or say something there."""
    wanted = ctx.message.data
    if "join" in wanted:
        room = wanted["join"]
        ctx.conn.join_room(room)
        ctx.conn.send(json.dumps({"joined": room, "server": me, "number": numbers[room]}))
        return
    room = wanted["room"]
    numbers[room] += 1
    message = {"server": me, "room": room, "number": numbers[room], "text": wanted["say"]}
    result = server.hub.broadcast_to_room(room, json.dumps(message))
    assert result is not None
    said = {"said": numbers[room], "server": me, "accepted": result.sent + result.queued}
    ctx.conn.send(json.dumps(said))


@server.on_message()
def echo(ctx: MessageContext) -> None:
    """Whatever else comes goes back."""
    ctx.conn.send(ctx.message.raw)


@server.get("/figures")
def figures() -> dict[str, int]:
    """Who serves, and how many are connected."""
    counters = server.hub.metrics.core
    return {
        "pid": os.getpid(),
        "connections": len(server.hub),
        "received": counters.messages_received,
        "sent": counters.messages_sent,
        "errors": server.hub.metrics.handler_errors,
    }
