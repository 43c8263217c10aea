"""A request through an ASGI application, without sockets: for counting instructions."""

from __future__ import annotations

import asyncio
from asyncio import events
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

from glyph_fast import core
from glyph_fast.asgi.mounts import Mounted, Mounts
from glyph_fast.http.router import Router
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.metrics import Metrics
from glyph_fast.logs import AccessLog, ErrorLog
from glyph_fast.opening.opening import Opening
from glyph_fast.opening.site import Site
from glyph_fast.options.config import Config

from .cases import BATCH, Case, NullSink, Operation

HEAD = b"GET /items?page=2 HTTP/1.1\r\nHost: bench\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\r\n"
BODY = b'{"message":"Hello, world"}'
FIELDS = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": FIELDS})
    await send({"type": "http.response.body", "body": BODY})


def _opening() -> Opening:
    config = Config()
    mounts = Mounts(
        [Mounted("/", _hello)],
        root_path="",
        state={},
        max_body=None,
        authenticate=None,
        pace=lambda conn: None,
    )
    mounts.listens("127.0.0.1", 80)
    site = Site(
        routes=Router(),
        websockets=Router(),
        opened=lambda conn, expires_at: None,
        count_connections=lambda: 0,
        count_user=lambda identity: 0,
        metrics=Metrics(),
        errors=ErrorLog(),
        access=AccessLog(),
        mounts=mounts,
    )
    return Opening(config, site)


@contextmanager
def _request(_: ModuleType) -> Iterator[Operation]:
    opening = _opening()
    handler: Any = SimpleNamespace(
        request=opening.request,
        refuse=opening.refuse,
        data=opening.data,
        ended=opening.ended,
        close=lambda conn, code, reason: opening.closed(conn),
        drain=lambda conn: None,
        failed=lambda conn, exc: None,
    )
    turn = core.Turn(core.Limits(), handler, connection_type=Connection)
    sink = NullSink()
    conn: Any = Connection(turn, sink)  # type: ignore[arg-type]
    conn.peername = ("127.0.0.1", 4000)
    loop = asyncio.new_event_loop()
    events._set_running_loop(loop)

    def run() -> None:
        for _ in range(BATCH):
            conn._feed(HEAD)
            turn.flush()

    def check() -> None:
        size = sink.size
        run()
        size, rest = divmod(sink.size - size, BATCH)
        assert not rest and size > 100 + len(BODY)

    try:
        yield Operation(run, check, BATCH)
    finally:
        events._set_running_loop(None)
        loop.close()


ASGI_CASES = (Case("asgi-request", _request),)
