"""Options and arguments that do not exist; each line marked is refused, and no other."""

from __future__ import annotations

from glyph_fast import Config, Connection, Hub, MessageContext, Server
from glyph_fast.testing import SyncTestClient, TestClient

server = Server()
server.run(prot=80)  # refused: no such option
server.run(port=[80])  # refused: no number
Config(prot=80)  # refused: no such option
Config(queue_policy="drop_some")  # refused: no such policy
Config().replace(prot=80)  # refused: no such option
Config().port = 80  # refused: it does not change
TestClient(server, prot=80)  # refused: no such option
SyncTestClient(server, prot=80)  # refused: no such option


async def serve() -> None:
    await server.serve(prot=80)  # refused: no such option
    await server.serve(log_level="loud")  # refused: no such level


async def send(conn: Connection, ctx: MessageContext, hub: Hub) -> None:
    conn.send({"a": 1})  # refused: that is send_json's
    conn.send(bytearray(1))  # refused: bytes, which nobody changes
    await conn.send("text")  # refused: nothing is awaited
    conn.send("text", "more")  # refused: one message
    conn.send_event({"a": 1})  # refused: the name comes first
    conn.send_message("text")  # refused: a Message
    hub.broadcast({"a": 1})  # refused: that is broadcast_json's
    hub.send_to(conn, "text")  # refused: an id
    hub.broadcast_to_room("room", 1)  # refused: no message
    ctx.broadcast_to_room("text")  # refused: a room and a type
    ctx.reply_jsn({"a": 1})  # refused: no such method
