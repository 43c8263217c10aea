"""The chat without rooms that remember, without declared types and without the client library.

cd examples/chat/by_hand
glyph-fast serve chat:server            # or: python chat.py; needs the extra `jwt`
"""

from __future__ import annotations

import itertools
import os
import secrets
import time
from collections import deque
from pathlib import Path
from typing import Any

import jwt

from glyph_fast import Config, Connection, MessageContext, Reject, Request, Server

SECRET = os.environ.get("CHAT_SECRET") or secrets.token_hex(32)
TOKEN_S = 15 * 60
KEEP_S = 24 * 3600
REPEAT_S = 300  # an id that comes again within this time is the same message

server = Server(Config(jwt_secret=SECRET))
server.static("/", Path(__file__).with_name("page"))


class Room:
    def __init__(self, name: str) -> None:
        self.name = name
        self.epoch = secrets.token_hex(8)
        self.offsets = itertools.count(1)
        self.kept: deque[dict[str, Any]] = deque(maxlen=200)
        self.latest = 0.0
        self.seen: dict[tuple[str, str], tuple[float, int]] = {}

    def publish(self, conn: Connection, id: str, text: str) -> int:
        now = time.monotonic()
        user = conn.identity["sub"]
        while self.seen and now - next(iter(self.seen.values()))[0] > REPEAT_S:
            del self.seen[next(iter(self.seen))]
        if (user, id) in self.seen:
            return self.seen[user, id][1]
        offset = next(self.offsets)
        said = {"type": "said", "offset": offset, "id": id, "user": user, "text": text}
        self.kept.append(said)
        self.latest = now
        self.seen[user, id] = now, offset
        server.hub.broadcast_json_to_room(self.name, said, exclude=conn)
        return offset

    def join(self, conn: Connection, epoch: str, since: int) -> None:
        oldest = self.kept[0]["offset"] if self.kept else 1
        resumed = epoch == self.epoch and oldest - 1 <= since
        if resumed:
            messages = [each for each in self.kept if each["offset"] > since]
        else:
            messages = list(self.kept)[-50:]
        offset = self.kept[-1]["offset"] if self.kept else 0
        position = {"epoch": self.epoch, "offset": offset}
        conn.send_json({"type": "joined", "resumed": resumed, "messages": messages, **position})
        conn.join_room(self.name)

    def tell_people(self) -> None:
        room = server.hub.get_room_manager().get_room(self.name)
        members = [
            {"user": conn.identity["sub"], "typing": conn.get_data("typing", False)}
            for conn in room or ()
        ]
        server.hub.broadcast_json_to_room(self.name, {"type": "people", "members": members})


rooms: dict[str, Room] = {}


def forget_old_rooms() -> None:
    manager = server.hub.get_room_manager()
    for room in list(rooms.values()):
        is_old = time.monotonic() - room.latest > KEEP_S
        if is_old and not manager.get_room_size(room.name):
            del rooms[room.name]


@server.on_connect(route="/chat/:room")
def enter(conn: Connection) -> None:
    name, query = conn.path_params["room"], conn.request.query
    forget_old_rooms()
    room = rooms.setdefault(name, Room(name))
    since = int(query["offset"]) if query.get("offset", "").isdecimal() else 0
    room.join(conn, query.get("epoch", ""), since)
    room.tell_people()


@server.on_disconnect(route="/chat/:room")
def leave(conn: Connection) -> None:
    rooms[conn.path_params["room"]].tell_people()


@server.post("/login")
async def login(request: Request) -> dict[str, str]:
    body = await request.json()
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        raise Reject(422, {"error": "body.name: expected str"})
    name = body["name"]
    if not 1 <= len(name) <= 32:
        raise Reject(422, {"error": "body.name: expected 1 to 32 characters"})
    now = int(time.time())
    return {"token": jwt.encode({"sub": name, "iat": now, "exp": now + TOKEN_S}, SECRET)}


@server.on_event("say", route="/chat/:room")
def say(ctx: MessageContext) -> int:
    data = ctx.message.data
    if not isinstance(data, str):
        raise Reject(400, "data: expected str")
    if not isinstance(ctx.message.id, str):
        raise Reject(400, "id: expected str")
    return rooms[ctx.conn.path_params["room"]].publish(ctx.conn, ctx.message.id, data)


@server.on_event("typing", route="/chat/:room")
def typing(ctx: MessageContext) -> None:
    if not isinstance(ctx.message.data, bool):
        raise Reject(400, "data: expected bool")
    ctx.conn.set_data("typing", ctx.message.data)
    rooms[ctx.conn.path_params["room"]].tell_people()


if __name__ == "__main__":
    server.run()
