"""glyph-fast, written as a user would write it, with default limits, keep-alive and access log.

Only the caps on how many may come are raised, since some rows need more than the default.
"""

from __future__ import annotations

from msgspec import Struct

from glyph_fast import Config, Connection, MessageContext, MessageType, Server

server = Server(Config(max_connections=20_000, max_room_members=20_000))


@server.on_message(MessageType.TEXT, route="/echo")
def echo_text(ctx: MessageContext) -> None:
    ctx.reply(MessageType.TEXT, ctx.message.data)


@server.on_message(MessageType.BINARY, route="/echo")
def echo_binary(ctx: MessageContext) -> None:
    ctx.reply(MessageType.BINARY, ctx.message.data)


@server.on_connect(route="/room/:name")
def join(conn: Connection) -> None:
    conn.join_room(conn.path_params["name"])


@server.on_message(route="/room/:name")
def publish(ctx: MessageContext) -> None:
    room = ctx.conn.path_params["name"]
    server.hub.broadcast_to_room(room, ctx.message.raw, exclude=ctx.conn)


class Move(Struct):
    """What the typed handler takes."""

    note: str
    x: float
    y: float
    tags: list[str]


@server.on_event("move", route="/json")
def answer(ctx: MessageContext) -> None:
    ctx.reply_json(ctx.message.data)


@server.on_event("move", route="/json-typed")
def answer_typed(ctx: MessageContext, data: Move) -> None:
    ctx.reply_json({"note": data.note, "x": data.x, "y": data.y, "tags": data.tags})


server.websocket("/idle")


@server.on_connect(route="/many/:first/:count")
def join_many(conn: Connection) -> None:
    first, count = int(conn.path_params["first"]), int(conn.path_params["count"])
    for number in range(first, first + count):
        conn.join_room(f"many-{number}")
