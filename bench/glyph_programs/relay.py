"""What `relay.glyph` does, in Python, each handler in its cheapest form."""

from __future__ import annotations

from glyph_fast import Config, Connection, MessageContext, MessageType, Server

server = Server(Config(max_connections=20_000, max_room_members=20_000))


@server.on_message(MessageType.JSON, route="/echo")
def echo(ctx: MessageContext) -> None:
    ctx.conn.send(ctx.message.raw)


@server.on_message(MessageType.JSON, route="/build")
def build(ctx: MessageContext) -> None:
    ctx.conn.send_json({"id": ctx.message.data["id"]})


@server.on_connect(route="/room/:name")
@server.on_connect(route="/build-room/:name")
def join(conn: Connection) -> None:
    conn.join_room(conn.path_params["name"])


@server.on_message(MessageType.JSON, route="/room/:name")
def publish(ctx: MessageContext) -> None:
    server.hub.broadcast_to_room(ctx.conn.path_params["name"], ctx.message.raw)


@server.on_message(MessageType.JSON, route="/build-room/:name")
def publish_built(ctx: MessageContext) -> None:
    message = {"id": ctx.message.data["id"]}
    server.hub.broadcast_json_to_room(ctx.conn.path_params["name"], message)
