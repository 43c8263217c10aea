"""The program under abuse: an echo, and a room that a client can have fed."""

from __future__ import annotations

from glyph_fast import MessageContext, MessageType, Server

server = Server()
server.websocket("/ws")


@server.on_message()
def echo(ctx: MessageContext) -> None:
    """Send back what came."""
    ctx.conn.send(ctx.message.raw)


@server.on_message(MessageType.TEXT)
def command(ctx: MessageContext) -> None:
    """`join ROOM`; `feed ROOM COUNT SIZE` sends messages to it; every text comes back."""
    text = ctx.message.raw
    assert isinstance(text, str)
    word, *rest = text.split(" ")
    if word == "join":
        ctx.conn.join_room(rest[0])
    elif word == "feed":
        for number in range(int(rest[1])):
            server.hub.broadcast_to_room(rest[0], f"{number} ".ljust(int(rest[2]), "x"))
    ctx.conn.send(text)
