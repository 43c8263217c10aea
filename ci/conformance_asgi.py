"""The echo of the conformance suite as an ASGI application."""

from __future__ import annotations

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Send back what came, as text or bytes."""
    if scope["type"] != "websocket":
        raise ValueError(f"nothing but WebSockets, not {scope['type']}")
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
