"""A client of an event stream, on a socket of its own.

async with listening(url, "/events?room=chat") as stream:
    assert (await stream.next()).name == "open"
    assert await stream.say({"type": "ping"}) == 204
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

WAIT_S = 20.0  # for what must come


class Event(NamedTuple):
    """One block of a stream; what it does not say is empty."""

    name: str = ""
    id: str = ""
    data: str = ""
    retry: str = ""
    comment: str = ""

    @property
    def json(self) -> Any:
        """Its data."""
        return json.loads(self.data)


def parse(block: bytes) -> Event:
    """The fields of a block, each of which may stand there once."""
    found: dict[str, str] = {}
    for line in block.decode().split("\n"):
        name, _, value = line.partition(":")
        key = {"": "comment", "event": "name"}.get(name, name)
        assert key not in found, block
        found[key] = value.removeprefix(" ")
    return Event(**found)


class Listener:
    """One stream: `status` and `headers` of its answer, and its events as they come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.url, self.path = "", ""
        self.status, self.headers = 0, dict[str, str]()
        self.last_id = ""
        self.session = ""
        self.id = ""
        self._buffer = b""
        self.is_ended = False  # as the body says

    async def begin(self) -> None:
        """Read the head of the answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.rstrip().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines)}

    async def opened(self) -> Event:
        """The first event, which says who it is."""
        event = await self.next()
        assert event.name == "open", event
        self.id, self.session = event.json["id"], event.json["session"]
        return event

    async def next(self, *, comments: bool = False) -> Event:
        """The next block that is an event; with `comments` that may be one, too. EOFError."""
        while True:
            event = await self._block()
            self.last_id = event.id or self.last_id
            if event.data or (comments and event.comment == ""):
                return event

    async def _block(self) -> Event:
        while b"\n\n" not in self._buffer:
            self._buffer += await self._more()
        block, _, self._buffer = self._buffer.partition(b"\n\n")
        return parse(block)

    async def _more(self) -> bytes:
        async with asyncio.timeout(WAIT_S):
            if self.headers.get("transfer-encoding") != "chunked":
                data = await self.reader.read(65536)
            else:
                size = int(await self.reader.readuntil(b"\r\n") or b"0", 16)
                data = await self.reader.readexactly(size)
                assert await self.reader.readexactly(2) == b"\r\n"
        if not data:
            self.is_ended = True
            raise EOFError
        return data

    async def data(self) -> Any:
        """The data of the next event, without its timestamp."""
        found = (await self.next()).json
        found.pop("timestamp", None)
        return found

    async def body(self) -> Any:
        """The body of an answer that is no stream."""
        return json.loads(await self.reader.readexactly(int(self.headers["content-length"])))

    async def say(self, message: Any, **headers: str) -> int:
        """Send a message in its session; the status of the answer."""
        return (await say(self.url, self.path, self.session, message, **headers))[0]

    def close(self) -> None:
        """Be gone."""
        self.writer.close()


@asynccontextmanager
async def listening(
    url: str,
    path: str,
    *,
    is_open: bool = True,
    version: str = "1.1",
    method: str = "GET",
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> AsyncIterator[Listener]:
    """A stream whose first event was read, unless it is not to be `open`."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    stream = Listener(reader, writer)
    stream.url, stream.path = url, path.partition("?")[0]
    fields = {"Host": parts.netloc, "Accept": "text/event-stream", **named(headers)}
    writer.write(head(f"{method} {path} HTTP/{version}", fields))
    try:
        async with asyncio.timeout(WAIT_S):
            await stream.begin()
            if is_open:
                assert stream.status == 200, await stream.body()
                await stream.opened()
        yield stream
    finally:
        writer.close()


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Names of arguments as names of fields."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def head(line: str, fields: Mapping[str, str]) -> bytes:
    """A request head."""
    return "\r\n".join([line, *(f"{k}: {v}" for k, v in fields.items()), "", ""]).encode("latin-1")


async def say(
    url: str, path: str, session: str | None, message: Any, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """POST a message in a session: status, headers and body of the answer."""
    parts = urlsplit(url)
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    fields = {"Host": parts.netloc, "Content-Type": "application/json", "Connection": "close"}
    fields |= {"Content-Length": str(len(body))}
    if session is not None:
        fields["Session"] = session
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        writer.write(head(f"POST {path} HTTP/1.1", fields | named(headers)) + body)
        async with asyncio.timeout(WAIT_S):
            answer = await reader.read()
    finally:
        writer.close()
    first, _, body = answer.partition(b"\r\n\r\n")
    line, *lines = first.decode("latin-1").split("\r\n")
    found = {k.lower(): v.strip() for k, _, v in (each.partition(":") for each in lines)}
    return int(line.split()[1]), found, body
