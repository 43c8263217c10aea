"""A bare ASGI application: what any ASGI framework would at best come down to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

ROOMS: defaultdict[str, set[Send]] = defaultdict(set)


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    path = scope["path"]
    if path == "/echo":
        await echo(receive, send)
    elif path.startswith("/room/"):
        await member(receive, send, path[len("/room/") :])
    else:
        while (await receive())["type"] == "websocket.receive":
            pass


def reply(event: dict[str, Any]) -> dict[str, Any]:
    text = event.get("text")
    if text is not None:
        return {"type": "websocket.send", "text": text}
    return {"type": "websocket.send", "bytes": event["bytes"]}


async def echo(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        await send(reply(event))


async def member(receive: Receive, send: Send, name: str) -> None:
    members = ROOMS[name]
    members.add(send)
    try:
        while (event := await receive())["type"] == "websocket.receive":
            message = reply(event)
            for other in list(members):
                if other is not send:
                    try:
                        await other(message)
                    except Exception:  # it has just left; its own coroutine removes it
                        pass
    finally:
        members.discard(send)
        if not members:
            ROOMS.pop(name, None)
