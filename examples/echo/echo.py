"""The smallest server: every message comes back as it was.

    cd examples/echo
    glyph-fast serve echo:server                # or: python echo.py
    glyph-fast connect ws://127.0.0.1:8080/ws   # in another terminal; needs the extra `tools`

Only `{"type": "ping"}` and the three other built-in words never get here: the server answers them
itself, unless `--client-commands none` makes them ordinary messages.
"""

from __future__ import annotations

from glyph_fast import MessageContext, Server

server = Server()


@server.on_message()  # no type: text, JSON and binary alike
def echo(ctx: MessageContext) -> None:
    ctx.conn.send(ctx.message.raw)


server.websocket("/ws")

if __name__ == "__main__":
    server.run()
