"""Small ASGI applications, and a server of one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from glyph_fast import Server
from tests.running import Url, running

if TYPE_CHECKING:
    from tests.backend import Backend


def start(status: int = 200, headers: Iterable[tuple[bytes, bytes]] = (), **more: Any) -> Any:
    """The message that begins an answer."""
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(content: bytes = b"", more: bool = False) -> Any:
    """A piece of an answer's body."""
    return {"type": "http.response.body", "body": content, "more_body": more}


def only(kind: str, handler: Any) -> Any:
    """An application for one type of scope; it has no lifespan."""

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] != kind:
            raise ValueError(scope["type"])
        return await handler(scope, receive, send)

    return app


def answering(content: bytes = b"hello", status: int = 200, headers: Any = ()) -> Any:
    """An application that answers every request alike."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(status, headers))
        await send(body(content))

    return only("http", app)


def serving(app: Any, backend: Backend, **options: Any) -> AbstractAsyncContextManager[Url]:
    """A server with nothing but the application."""
    server = Server()
    server.mount("/", app)
    return running(server, backend, **options)


async def whole_body(receive: Any) -> bytes:
    """The body of a request."""
    content = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        content += message["body"]
        if not message["more_body"]:
            return content


async def exchange(url: Url, data: bytes) -> bytes:
    """Send bytes, and give all that comes until the end."""
    peer = await url.peer()
    peer.write(data)
    try:
        return await peer.rest()
    finally:
        await peer.close()


def get(path: str = "/", *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    """A request; it closes its connection unless a field says otherwise."""
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *fields]
    if not any(field.lower().startswith("connection") for field in fields):
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def upgrade(*fields: str) -> bytes:
    """A request for a WebSocket."""
    return get(
        "/", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", *fields,
    )  # fmt: skip


def parts(answer: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Status line, fields in lower case without the date, and what follows."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    return line, [f.lower() for f in fields if not f.lower().startswith(b"date:")], rest


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Sends every message of a WebSocket back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        assert len(message) == 2
        await send({**message, "type": "websocket.send"})
