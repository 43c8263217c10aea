"""Programs that talk to a server, as one would write them."""

from __future__ import annotations

import asyncio
import ssl
from typing import TypedDict

from glyph_fast.client import (
    Client,
    ClientError,
    Crowd,
    Member,
    Meta,
    Position,
    Room,
    State,
    Why,
    connect,
)


class Said(TypedDict):
    text: str


async def token() -> str:
    return "token"


async def main() -> None:
    async with connect("wss://a.test/ws", token=token, ssl=ssl.create_default_context()) as server:

        @server.on("confirm")
        async def confirm(data: Said) -> bool:
            return bool(data["text"])

        @server.on("state")
        def changed(state: State, why: Why) -> None:
            print(state, why.code, why.reason, why.retry_at)

        server.on("state", lambda state: print(state))
        server.on("error", lambda error: print(error))
        off = server.on("notice", lambda data, meta: print(data, meta.user))
        off()
        room: Room = server.join("chat:1", history=50, presence=True)

        @room.on("message")
        async def said(data: Said, meta: Meta) -> None:
            place: Position | None = await room.publish({"text": data["text"]})
            print(place, meta.offset)

        @room.on("presence")
        def present(members: list[Member], crowd: Crowd) -> None:
            print([each.id for each in members], crowd.clients)

        room.on("resumed", lambda count: print(count + 1))
        room.on("joined", lambda: print("joined"))
        room.on("error", lambda error: print(error.maybe_sent))
        await room.joined()
        async for data, meta in room:
            print(data, meta.timestamp)
        try:
            print(await server.call("quote", {"symbol": "A"}, timeout=5))
        except ClientError as error:
            print(error.maybe_sent)


def tokens(server: Client) -> str:
    return f"{server.id} {server.state}"


asyncio.run(main())
connect("ws://a.test/", token="text", headers={"Origin": "http://a.test"}, uds="/run/a")
connect("ws://a.test/", token=lambda: None, headers=[("Origin", "http://a.test")])
