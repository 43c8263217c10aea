"""A chat with tokens: sign in by a name, talk in rooms that remember, see who is here.

cd examples/chat
glyph-fast serve chat:server            # or: python chat.py; needs the extra `jwt`
# then open http://127.0.0.1:8080/#tea in two windows
"""

from __future__ import annotations

import os
import secrets
import time
from pathlib import Path
from typing import Annotated

import jwt
import msgspec

from glyph_fast import Config, MessageContext, Server

# With several workers, or to keep people signed in over a restart, give CHAT_SECRET.
SECRET = os.environ.get("CHAT_SECRET") or secrets.token_hex(32)
TOKEN_S = 15 * 60

server = Server(Config(jwt_secret=SECRET, serve_client=True))
server.room("chat:*", client_join=True, history_size=200, history_ttl="1d", presence=True)
server.static("/", Path(__file__).with_name("page"))


class Login(msgspec.Struct):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


@server.post("/login")
def login(body: Login) -> dict[str, str]:
    now = int(time.time())  # in earnest, a password is checked before this
    return {"token": jwt.encode({"sub": body.name, "iat": now, "exp": now + TOKEN_S}, SECRET)}


class Typing(msgspec.Struct):
    typing: bool


@server.on_event("typing")
def typing(ctx: MessageContext, data: Typing) -> None:
    ctx.conn.info = {"typing": data.typing}  # which everybody's list of members shows


if __name__ == "__main__":
    server.run()
