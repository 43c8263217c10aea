"""A client of glyph-fast servers for services, bots and tests, in asyncio.

    async with connect("ws://127.0.0.1:8080/ws") as server:
        room = server.join("chat:1", history=50)
        async for data, meta in room:
            print(data)

It comes back when the connection is lost, resumes its rooms where they were, and sends every
message once. It has the shape of the JavaScript client: docs/clients.md shows both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..wire import Position
from .client import Client
from .room import Room
from .types import ClientError, Crowd, Member, Meta, RoomMessage, State, Token, Why

if TYPE_CHECKING:
    from ssl import SSLContext

    from ..http.response import HeaderItems

__all__ = [
    "Client",
    "ClientError",
    "Crowd",
    "Member",
    "Meta",
    "Position",
    "Room",
    "RoomMessage",
    "State",
    "Token",
    "Why",
    "connect",
]


def connect(
    url: str,
    *,
    token: Token = None,
    ssl: SSLContext | None = None,
    headers: HeaderItems = (),
    uds: str | None = None,
    proxy: str | None = None,
    ping: bool = True,
    compression: bool = True,
    max_size: int = 64 * 1024 * 1024,
) -> Client:
    """Connect to a server, now and whenever the connection is lost. Needs a running event loop.

    `token` is one, or a function (`def` or `async def`) that returns one; it is asked again when
    one has ended. `uds` is the path of a Unix socket, `proxy` the URL of a proxy (http, socks4,
    socks5). `ping=False`: never send the built-in word `ping`, for servers that take it for
    something else. `max_size` bounds a message, in bytes. Raises ValueError for what cannot be.
    """
    from .dialing import Dialer  # frames, handshakes, TLS: paid for by who connects

    dialer = Dialer(
        url,
        ssl=ssl,
        headers=headers,
        uds=uds,
        proxy=proxy,
        compression=compression,
        max_size=max_size,
    )
    where = dialer.url.text.partition("?")[0]  # a query may hold a secret
    return Client(dialer, token, ping=ping, where=where)
