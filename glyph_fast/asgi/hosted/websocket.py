"""One WebSocket that came to the server around us."""

from __future__ import annotations

import asyncio
from typing import Any

from ...wire import (
    ABNORMAL,
    BINARY,
    CLOSE,
    INTERNAL_ERROR,
    NORMAL,
    PING,
    PONG,
    TEXT,
    is_sendable_code,
)
from .answers import AnswerReader, Head
from .engine import Pipe, ScopeEngine
from .frames import FrameReader, close_payload, masked
from .requests import BadScope, upgrade_head

DENIAL = "websocket.http.response"


async def serve_websocket(engine: ScopeEngine, scope: Any, receive: Any, send: Any) -> None:
    """Have our server take a WebSocket."""
    await receive()  # the wish to connect
    try:
        head = upgrade_head(scope)
    except BadScope:
        await send({"type": "websocket.close"})
        return
    call = HostedWebSocket(Pipe(engine, scope), receive, send)
    try:
        await call.run(head, can_deny=DENIAL in (scope.get("extensions") or {}))
    except OSError:
        pass  # the client is gone, and whoever has to know learns it below
    finally:
        await call.end()


class HostedWebSocket:
    """Both directions of one."""

    def __init__(self, pipe: Pipe, receive: Any, send: Any) -> None:
        self._pipe = pipe
        self._receive = receive
        self._send = send
        self._frames = FrameReader()
        self._is_over = False  # one side has closed
        self._reading: asyncio.Task[None] | None = None

    async def run(self, head: bytes, *, can_deny: bool) -> None:
        """Open it, and pass on what our server sends until one side closes."""
        await self._pipe.feed(head)
        data = await self._open(can_deny=can_deny)
        if data is None:
            return
        self._reading = asyncio.get_running_loop().create_task(self._read())
        while True:
            for opcode, payload in self._frames.feed(data):
                await self._pass_on(opcode, payload)
            self._pipe.taken()
            data = await self._pipe.output()
            if not data:
                break
        if not self._is_over:
            code = self._pipe.conn.close_code
            code = code if is_sendable_code(code) else INTERNAL_ERROR
            await self._send({"type": "websocket.close", "code": code})

    async def end(self) -> None:
        """Nothing more goes either way."""
        self._pipe.lost()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait((self._reading,))
            if not self._reading.cancelled():
                self._reading.exception()

    async def _open(self, *, can_deny: bool) -> bytes | None:
        """What came behind our 101; None when our server refuses."""
        reader = AnswerReader()
        head: Head | None = None
        body = b""
        while not reader.is_whole:
            data = await self._pipe.output()
            if not data:
                break
            for found in reader.feed(data):
                if isinstance(found, Head):
                    head = found
                else:
                    body += found
        if head is not None and head.status == 101:
            accept = {"subprotocol": head.subprotocol, "headers": head.fields}
            await self._send({"type": "websocket.accept", **accept})
            return reader.upgraded
        if head is None or not can_deny:
            await self._send({"type": "websocket.close"})
            return None
        start = {"status": head.status, "headers": head.fields}
        await self._send({"type": f"{DENIAL}.start", **start})
        await self._send({"type": f"{DENIAL}.body", "body": body})
        return None

    async def _pass_on(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self._pipe.answer(masked(PONG, payload))
        elif self._is_over:
            return
        elif opcode == TEXT:
            await self._send({"type": "websocket.send", "text": payload.decode()})
        elif opcode == BINARY:
            await self._send({"type": "websocket.send", "bytes": payload})
        elif opcode == CLOSE:
            self._is_over = True
            code = int.from_bytes(payload[:2], "big") if payload else NORMAL
            reason = payload[2:].decode()
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
            self._pipe.answer(masked(CLOSE, payload[:2]))

    async def _read(self) -> None:
        """Give our server what the client sends."""
        while True:
            message = await self._receive()
            if message["type"] != "websocket.receive":
                break
            text = message.get("text")
            if text is not None:
                await self._pipe.feed(masked(TEXT, text.encode()))
            else:
                await self._pipe.feed(masked(BINARY, message["bytes"]))
        code = message.get("code", ABNORMAL)
        if self._is_over or code in (None, ABNORMAL):
            self._pipe.lost()
            return
        self._is_over = True
        code = code if is_sendable_code(code) else None
        self._pipe.answer(masked(CLOSE, close_payload(code, message.get("reason") or "")))


__all__ = ["serve_websocket"]
