"""A chat of many rooms that remember.

    cd examples/websocket-chat
    glyph-fast serve main:server            # or: python main.py
    # then open http://127.0.0.1:8080/ in two tabs

The README beside this file explains the design. The page is the one that comes with glyph-fast.
"""

from __future__ import annotations

import random
import re
import time

from glyph_fast import Connection, MessageContext, MessageType, Reject, RoomFull, Server
from glyph_fast.chat import add_page

ROUTE = "/rooms/:room/:nick"
MAX_NAME = 32
MAX_TEXT = 2000
MAX_KEY = 64

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

server = Server()
server.room("*", history_size=200, history_ttl="1d", presence=True)
add_page(server, "/")


def is_name(text: str) -> bool:
    """Whether a room or a person can be called so."""
    return bool(text.strip()) and len(text) <= MAX_NAME and not CONTROL.search(text)


@server.on_connect(route=ROUTE)
def enter(conn: Connection) -> None:
    room, nick = conn.path_params["room"], conn.path_params["nick"]
    if not is_name(room) or not is_name(nick):
        raise Reject(400, f"a room and a name have 1 to {MAX_NAME} visible characters")
    conn.info = {"name": nick}
    try:
        conn.join_room(room)
    except RoomFull as exc:
        raise Reject(403, str(exc)) from exc


@server.on_message(MessageType.JSON, route=ROUTE)
def relay(ctx: MessageContext) -> None:
    conn, data = ctx.conn, ctx.message.data
    room, nick = conn.path_params["room"], conn.path_params["nick"]
    conn.info = {"name": nick}
    match data:
        case {"type": "say", "text": str(text)} if 0 < len(text) <= MAX_TEXT:
            key = data["key"] if is_key(data.get("key")) else None
            said = {"type": "say", "id": conn.id, "name": nick, "text": text, "key": key}
            ctx.hub.broadcast_json_to_room(room, said | {"time": int(time.time())})
        case {"type": "typing"}:
            conn.info = {"name": nick, "typing": random.randrange(1, 10**9)}


def is_key(key: object) -> bool:
    """Whether the page would know a message by it again."""
    return isinstance(key, str) and 0 < len(key) <= MAX_KEY


if __name__ == "__main__":
    server.run()
