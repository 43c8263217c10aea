"""The whiteboard without rooms that remember, declared types and the client library.

cd examples/whiteboard/by_hand
glyph-fast serve whiteboard:server      # or: python whiteboard.py
"""

from __future__ import annotations

import itertools
import secrets
from collections import deque
from pathlib import Path
from typing import Any

from glyph_fast import Connection, MessageContext, Reject, Server

COLORS = ("black", "crimson", "seagreen")

server = Server()
server.static("/", Path(__file__).with_name("page"))
epoch = secrets.token_hex(8)
offsets = itertools.count(1)
kept: deque[dict[str, Any]] = deque(maxlen=1000)


def publish(data: dict[str, Any]) -> int:
    offset = next(offsets)
    message = {"type": "stroke", "offset": offset, "data": data}
    kept.append(message)
    server.hub.broadcast_json_to_room("board", message)
    return offset


def tell_people() -> None:
    count = server.hub.get_room_manager().get_room_size("board")
    server.hub.broadcast_json_to_room("board", {"type": "people", "count": count})


@server.on_connect(route="/ws")
def enter(conn: Connection) -> None:
    query = conn.request.query
    since = int(query["offset"]) if query.get("offset", "").isdecimal() else 0
    oldest = kept[0]["offset"] if kept else 1
    resumed = query.get("epoch") == epoch and oldest - 1 <= since
    messages = [each for each in kept if each["offset"] > since] if resumed else list(kept)
    position = {"epoch": epoch, "offset": kept[-1]["offset"] if kept else 0}
    conn.send_json({"type": "joined", "resumed": resumed, "messages": messages, **position})
    conn.join_room("board")
    tell_people()


@server.on_disconnect(route="/ws")
def leave() -> None:
    tell_people()


def is_place(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def check(data: object) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise Reject(400, "data: expected object")
    color, points = data.get("color"), data.get("points")
    if color not in COLORS:
        raise Reject(400, f"data.color: invalid enum value {color!r}")
    if not isinstance(points, list) or not 1 <= len(points) <= 500:
        raise Reject(400, "data.points: expected 1 to 500 points")
    for number, point in enumerate(points):
        if not isinstance(point, list) or len(point) != 2 or not all(map(is_place, point)):
            raise Reject(400, f"data.points[{number}]: expected two numbers from 0 to 1")
    return {"color": color, "points": points}


@server.on_event("draw")
def draw(ctx: MessageContext) -> int:
    return publish(check(ctx.message.data))


@server.on_event("clear")
def clear(ctx: MessageContext) -> int:
    kept.clear()
    return publish({"points": []})


if __name__ == "__main__":
    server.run()
