"""A chat of many rooms whose server stores nothing.

    cd examples/websocket-chat
    glyph-fast serve main:server            # or: python main.py
    # then open http://127.0.0.1:8080/ in two tabs

The README beside this file explains the design. The page is the one that comes with glyph-fast.
"""

from __future__ import annotations

import re
import time

from glyph_fast import Connection, MessageContext, MessageType, Reject, RoomFull, Server
from glyph_fast.chat import add_page

ROUTE = "/rooms/:room/:nick"
MAX_NAME = 32
MAX_TEXT = 2000

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

server = Server()
add_page(server, "/")


def publish(conn: Connection, room: str, kind: str, **more: object) -> None:
    """Tell the room, its sender included, something about the connection it came from."""
    message = {"type": kind, "id": conn.id, "name": conn.path_params["nick"], **more}
    server.hub.broadcast_json_to_room(room, message)


def is_name(text: str) -> bool:
    """Whether a room or a person can be called so."""
    return bool(text.strip()) and len(text) <= MAX_NAME and not CONTROL.search(text)


@server.on_connect(route=ROUTE)
def enter(conn: Connection) -> None:
    room, nick = conn.path_params["room"], conn.path_params["nick"]
    if not is_name(room) or not is_name(nick):
        raise Reject(400, f"a room and a name have 1 to {MAX_NAME} visible characters")
    try:
        conn.join_room(room)
    except RoomFull as exc:
        raise Reject(403, str(exc)) from exc
    conn.send_json({"type": "welcome", "id": conn.id, "name": nick, "room": room})
    publish(conn, room, "joined")


@server.on_message(MessageType.JSON, route=ROUTE)
def relay(ctx: MessageContext) -> None:
    room = ctx.conn.path_params["room"]
    match ctx.message.data:
        case {"type": "who" | "here" | "typing" as kind}:
            publish(ctx.conn, room, kind)
        case {"type": "say", "text": str(text)} if 0 < len(text) <= MAX_TEXT:
            publish(ctx.conn, room, "say", text=text, time=int(time.time()))


@server.on_disconnect(route=ROUTE)
def leave(conn: Connection) -> None:
    for room in conn.get_rooms():  # none, if it was refused
        publish(conn, room, "left")


if __name__ == "__main__":
    server.run()
