"""An opening without sockets: request bytes in, answers out.

desk = Desk()
desk.get("/hello", lambda request: "hello")
assert desk.ask("GET /hello").body == b"hello"
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, NamedTuple

from glyph_fast.core import Turn
from glyph_fast.engine.making import limits_of
from glyph_fast.http.router import Router
from glyph_fast.http.static import StaticFiles
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.metrics import Metrics
from glyph_fast.hub.users import Users, user_of
from glyph_fast.logs import AccessLog, ErrorLog
from glyph_fast.opening.exchange import HttpRoute
from glyph_fast.opening.observer import Observer
from glyph_fast.opening.opening import Opening
from glyph_fast.opening.site import Site
from glyph_fast.options.config import Config
from tests.wired import Pipe

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "Sec-WebSocket-Version": "13",
}


class Answer(NamedTuple):
    """One HTTP answer."""

    status: int
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def keeps_alive(self) -> bool:
        return self.headers.get("connection") == "keep-alive"


def head(line: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of a request; `line` is `GET /path`."""
    fields = {"Host": "example.com", **(headers or {})}
    if body:
        fields.setdefault("Content-Length", str(len(body)))
    lines = [f"{line} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode() + body


def upgrade(path: str = "/ws", **changes: str) -> bytes:
    """An upgrade request; `Sec_WebSocket_Key="…"` changes a field, "" leaves it out."""
    fields = {**HANDSHAKE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return head(f"GET {path}", fields)


class EndingPipe(Pipe):
    """A pipe that says when the server has ended its side."""

    is_shut = False

    def shutdown(self) -> None:
        self.is_shut = True


class Client:
    """The client's end of one connection."""

    def __init__(self, desk: Desk) -> None:
        self.pipe = EndingPipe()
        self.turn = desk.turn
        self.conn = Connection(desk.turn, self.pipe)
        self.conn.peername = ("192.0.2.7", 50000)
        self._read = 0

    def send(self, data: bytes) -> Client:
        """What a turn of the loop does with `data`."""
        self.turn.in_turn = True
        self.conn._feed(data)
        self.turn.in_turn = False
        self.turn.flush()
        return self

    def answers(self, *, head_only: bool = False) -> list[Answer]:
        """The answers that came since the last call."""
        data, found = bytes(self.pipe.data[self._read :]), []
        self._read = len(self.pipe.data)
        while data:
            start_, _, data = data.partition(b"\r\n\r\n")
            first, *lines = start_.decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value for name, value in (line.split(": ", 1) for line in lines)
            }
            size = 0 if head_only else int(headers.get("content-length", "0"))
            found.append(Answer(int(first.split()[1]), headers, data[:size]))
            data = data[size:]
        return found

    @property
    def is_ended(self) -> bool:
        """Whether the server has ended its side."""
        return self.pipe.is_shut or self.pipe.is_closed


class Desk:
    """Routes, an opening that knows them, and what came of it."""

    def __init__(
        self,
        config: Config | None = None,
        *,
        authenticate: Callable[..., Any] | None = None,
        statics: tuple[StaticFiles, ...] = (),
        observer: Observer | None = None,
    ) -> None:
        config = config or Config()
        self.routes: Router[HttpRoute] = Router()
        self.websockets: Router[bool] = Router()
        self.metrics = Metrics()
        self.errors = ErrorLog()
        self.opened: list[Connection] = []
        self.count = 0  # connections there are, it is said
        self.users = Users()
        site = Site(
            routes=self.routes,
            websockets=self.websockets,
            statics=statics,
            authenticate=authenticate,
            opened=lambda conn, expires_at: self.opened.append(conn),
            count_connections=lambda: self.count,
            count_user=lambda identity: self.users.count(user_of(identity)),
            metrics=self.metrics,
            errors=self.errors,
            access=AccessLog(),
            observer=observer,
        )
        self.opening = Opening(config, site)
        self.failures: list[BaseException] = []
        handler: Any = SimpleNamespace(
            request=self.opening.request,
            refuse=self.opening.refuse,
            data=self.opening.data,
            ended=self.opening.ended,
            close=lambda conn, code, reason: self.opening.closed(conn),
            drain=lambda conn: conn._wake_waiters(),
            failed=lambda conn, exc: self.failures.append(exc),
        )
        self.turn = Turn(
            limits_of(config),
            handler,
            connection_type=Connection,
            wake=self._wake,
        )

    def _wake(self) -> None:
        with suppress(RuntimeError):  # no loop: the test flushes
            asyncio.get_running_loop().call_soon(self.turn.flush)

    def route(self, method: str, path: str, call: Callable[..., Any], **options: bool) -> None:
        self.routes.add(method, path, HttpRoute(call, call, **options))

    def get(self, path: str, call: Callable[..., Any]) -> None:
        self.route("GET", path, call)

    def client(self) -> Client:
        return Client(self)

    def ask(self, line: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """The answer to one request on a connection of its own."""
        return self.answer(head(line, headers, body))

    def answer(self, request: bytes) -> Answer:
        """The answer to the bytes of one request."""
        head_only = request.startswith(b"HEAD")
        (answer,) = self.client().send(request).answers(head_only=head_only)
        return answer


def desk_with_route(*args: Any, path: str = "/ws", **options: Any) -> Desk:
    """A desk that has a WebSocket at `path`."""
    desk = Desk(*args, **options)
    desk.websockets.add(None, path, False)
    return desk
