"""One request that came to the server around us."""

from __future__ import annotations

import asyncio
from typing import Any

from .answers import AnswerReader, Head
from .engine import Pipe, ScopeEngine
from .requests import BadScope, chunk, http_head


class CutShort(ConnectionError):
    """Raised into the server around us, so that it cuts a connection whose answer is not whole."""


async def serve_http(engine: ScopeEngine, scope: Any, receive: Any, send: Any) -> None:
    """Have our server answer a request."""
    try:
        head, is_chunked = http_head(scope)
    except BadScope as exc:
        await _refuse(send, str(exc))
        return
    pipe = Pipe(engine, scope)
    reading = engine.loop.create_task(_read(pipe, receive, head, is_chunked))
    try:
        await _write(pipe, send, is_head=scope.get("method") == "HEAD")
    finally:
        reading.cancel()
        pipe.lost()
        await asyncio.wait((reading,))
        if not reading.cancelled():
            reading.exception()  # its trouble is the client's end


async def _read(pipe: Pipe, receive: Any, head: bytes, is_chunked: bool) -> None:
    """Give our server the request; then wait for the client's end, which ends that of ours."""
    await pipe.feed(head)
    more = True
    while True:
        message = await receive()
        if message["type"] != "http.request":
            pipe.lost()
            return
        if not more:
            continue
        data, more = message.get("body", b""), message.get("more_body", False)
        if is_chunked:
            data = (chunk(data) if data else b"") + (b"" if more else chunk(b""))
        if data:
            await pipe.feed(data)


async def _write(pipe: Pipe, send: Any, *, is_head: bool) -> None:
    """Pass the answer on, as fast as it is taken."""
    reader, has_begun = AnswerReader(is_head=is_head), False
    while not reader.is_whole:
        data = await pipe.output()
        if not data:
            break
        for found in reader.feed(data):
            if isinstance(found, Head):
                has_begun = True
                fields = {"status": found.status, "headers": found.fields}
                await send({"type": "http.response.start", **fields})
            else:
                await send({"type": "http.response.body", "body": found, "more_body": True})
        pipe.taken()
    if reader.is_whole or (reader.ends_with_the_connection and not pipe.is_cut):
        await send({"type": "http.response.body", "body": b"", "more_body": False})
    elif has_begun and not pipe.is_lost:
        raise CutShort("the answer was cut short")


async def _refuse(send: Any, why: str) -> None:
    body = why.encode()
    fields = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(body)),
    ]
    await send({"type": "http.response.start", "status": 400, "headers": fields})
    await send({"type": "http.response.body", "body": body})


__all__ = ["CutShort", "serve_http"]
