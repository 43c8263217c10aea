"""Rooms for people who have a token: the service that docs/deploy.md takes to the internet.

A line of the file `tokens` is a token and whose it is. systemd passes the file on as a credential,
so that only this process can read it; elsewhere it lies in the working directory.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from glyph_fast import Connection, MessageContext, MessageType, Reject, Request, Server

FOLDER = Path(os.environ.get("CREDENTIALS_DIRECTORY", "."))


def digest(token: str) -> bytes:
    """What is compared instead of tokens: how long that takes says nothing about them."""
    return hashlib.sha256(token.encode()).digest()


def load_users(file: Path) -> dict[bytes, str]:
    """User by the digest of the token."""
    lines = file.read_text().splitlines()
    return {digest(token): user for token, user in map(str.split, filter(None, lines))}


USERS = load_users(FOLDER / "tokens")
server = Server()


@server.authenticate
def user_of(request: Request) -> str:
    """Whose token came along: programs send a header, pages a cookie."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        token = request.cookies.get("token", "")
    user = USERS.get(digest(token))
    if user is None:
        raise Reject(401, {"error": "a valid token is needed"}, {"WWW-Authenticate": "Bearer"})
    return user


@server.on_connect(route="/rooms/:room")
def enter(conn: Connection) -> None:
    conn.join_room(conn.path_params["room"])
    conn.send_json({"you": conn.identity, "from": conn.request.remote})


@server.on_message(MessageType.TEXT, route="/rooms/:room")
def say(ctx: MessageContext) -> None:
    message = {"user": ctx.conn.identity, "text": ctx.message.raw}
    server.hub.broadcast_json_to_room(ctx.conn.path_params["room"], message)
