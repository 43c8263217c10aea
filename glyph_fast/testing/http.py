"""HTTP requests to a server in memory; h11 writes them and reads the answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import h11

from ..http.headers import Headers
from .memory import MemoryEngine, Pipe

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module

HeaderFields: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]


class Answer:
    """A complete HTTP answer; header names compare without case."""

    def __init__(self, status: int, headers: Headers, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.body[:60]!r}>"


def pairs(headers: HeaderFields | None) -> list[tuple[str, str]]:
    """Header fields as pairs, in order."""
    if headers is None:
        return []
    return list(headers.items() if isinstance(headers, Mapping) else headers)


def request_fields(
    host: str, headers: HeaderFields | None, body: bytes, content_type: str | None
) -> list[tuple[str, str]]:
    """The fields of a request: those given, and what it needs besides."""
    fields = pairs(headers)
    names = {name.lower() for name, _ in fields}
    if "host" not in names:
        fields.insert(0, ("Host", host))
    if content_type and "content-type" not in names:
        fields.append(("Content-Type", content_type))
    if body and not names & {"content-length", "transfer-encoding"}:
        fields.append(("Content-Length", str(len(body))))
    return fields


class HttpExchange:
    """One request on a connection of its own."""

    def __init__(self, method: str, target: str, fields: list[tuple[str, str]], body: bytes):
        self._h11 = h11.Connection(h11.CLIENT)
        self._head: h11.Response | None = None
        self._body = bytearray()
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        request = h11.Request(method=method, target=target, headers=fields)
        self._request = b"".join(
            self._h11.send(event) or b""
            for event in (request, *([h11.Data(data=body)] if body else []), h11.EndOfMessage())
        )

    def begin(self, engine: MemoryEngine, remote: str | None) -> Pipe:
        """Send the request."""
        pipe = engine.connect(self, remote)
        pipe.write(self._request)
        return pipe

    def received(self, data: bytes) -> None:
        """Bytes of the answer came."""
        self._h11.receive_data(data)
        self._read()

    def ended(self) -> None:
        """The server has closed."""
        self._h11.receive_data(b"")
        self._read()
        if not self.answer.done():
            self.answer.set_exception(
                ConnectionResetError("the server closed the connection before it had answered")
            )

    def _read(self) -> None:
        try:
            while not self.answer.done():
                event = self._h11.next_event()
                if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                    break
                self._take(event)
        except h11.RemoteProtocolError as exc:
            if not self.answer.done():
                self.answer.set_exception(exc)

    def _take(self, event: Any) -> None:
        if isinstance(event, h11.Response):
            self._head = event
        elif isinstance(event, h11.Data):
            self._body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert self._head is not None
            fields = [(bytes(name), bytes(value)) for name, value in self._head.headers]
            answer = Answer(self._head.status_code, Headers(fields), bytes(self._body))
            self.answer.set_result(answer)
