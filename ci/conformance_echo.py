"""The server that the conformance suite talks to: every message comes back as it was."""

from __future__ import annotations

from glyph_fast import MessageContext, Server

server = Server()
server.websocket("/")


@server.on_message()
def echo(ctx: MessageContext) -> None:
    """Send back what came, as text or binary, unread."""
    ctx.conn.send(ctx.message.raw)
