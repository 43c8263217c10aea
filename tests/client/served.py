"""A server that is the test: bytes in, bytes out, for one socket of the client."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import Any

from glyph_fast.client.dialing import Dialer
from glyph_fast.client.websocket import Socket
from glyph_fast.websocket.handshake import accept_key

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Heard:
    """The owner of a socket, which writes down what it is told."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.socket: Socket
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def made(self, socket: Socket) -> None:
        self.socket = socket

    def opened(self) -> None:
        self.log.append("opened")

    def alive(self) -> None: ...

    def heard(self, payload: str | bytes) -> None:
        self.log.append(payload)

    def ended(self, code: int, reason: str) -> None:
        self.log.append((code, reason))
        self.over.set_result(None)


def answer(key: str, *fields: str) -> bytes:
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept_key(key)}", *fields, "", ""]
    return "\r\n".join(lines).encode()


def text(data: str) -> bytes:
    return bytes([0x81, len(data)]) + data.encode()


def closing(code: int, reason: str = "") -> bytes:
    payload = struct.pack("!H", code) + reason.encode()
    return bytes([0x88, len(payload)]) + payload


async def asked(reader: asyncio.StreamReader) -> dict[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    return dict(line.split(": ", 1) for line in head.splitlines()[1:] if line)


async def talk(serve: Serve, heard: Heard | None = None, **options: Any) -> tuple[list[Any], Heard]:
    """What a socket tells of a server that does `serve`, until its end."""
    heard = heard or Heard()
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        finally:
            writer.close()
            done.set_result(None)

    server = await asyncio.start_server(serving, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        await Dialer(f"ws://127.0.0.1:{port}/ws", **options)(None, heard)
        await heard.over
        heard.socket.drop()
        await heard.socket.gone
        await done
    finally:
        server.close()
    return heard.log, heard
