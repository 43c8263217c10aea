"""The whole server as an ASGI application: its start and its end by the server around it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ..asgi.hosted.engine import ScopeEngine
from ..asgi.hosted.http import serve_http
from ..asgi.hosted.websocket import serve_websocket
from ..errors import ConfigError
from ..logs import SERVER, log
from ..process.process import check_not_loading

if TYPE_CHECKING:
    from ..core import Turn
    from .server import Server

# Options about what the server around us does, which listens.
NOT_HERE = (
    "host", "port", "uds", "uds_mode", "tls_cert", "tls_key", "tls_key_password", "tls_client_ca",
    "tls_min_version", "engine", "loop", "workers", "worker_timeout", "reload", "trusted_proxies",
    "proxy_protocol", "root_path",
)  # fmt: skip
ALONE = "each process of the server around this one has rooms and connections of its own"


class Hosted:
    """`server.asgi`: an ASGI 3 application for uvicorn, hypercorn or granian.

    It starts with their lifespan, or with the first request where they have none. Messages cost
    more than with a port of the server's own.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine: ScopeEngine | None = None  # while it serves
        self._serving: asyncio.Task[None] | None = None
        self._starting: asyncio.Future[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one scope."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
            return
        if kind not in ("http", "websocket"):
            raise ValueError(f"no scope that this server knows: {kind!r}")
        engine = self._engine if self._engine is not None else await self._started()
        if kind == "http":
            await serve_http(engine, scope, receive, send)
        else:
            await serve_websocket(engine, scope, receive, send)

    @asynccontextmanager
    async def started(self) -> AsyncIterator[None]:
        """Serve for the length of an `async with`: for the lifespan of an application around."""
        await self._started()
        try:
            yield
        finally:
            await self._end()

    async def _live(self, receive: Any, send: Any) -> None:
        await receive()  # lifespan.startup
        try:
            await self._started()
        except Exception as exc:
            log(SERVER, logging.ERROR, "the server did not start", reason=str(exc))
            await send({"type": "lifespan.startup.failed", "message": str(exc)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()  # lifespan.shutdown
        try:
            await self._end()
        except Exception as exc:
            await send({"type": "lifespan.shutdown.failed", "message": str(exc)})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def _end(self) -> None:
        await self._server.shutdown()
        if self._serving is not None:
            await self._serving

    async def _started(self) -> ScopeEngine:
        """Start, unless that was done or is under way. Raises what the start raises."""
        if self._starting is None or self._starting.get_loop() is not asyncio.get_running_loop():
            self._starting = asyncio.get_running_loop().create_future()
            self._serving = asyncio.create_task(self._serve(self._starting))
        await asyncio.shield(self._starting)
        assert self._engine is not None
        return self._engine

    async def _serve(self, started: asyncio.Future[None]) -> None:
        made: list[ScopeEngine] = []

        def new_engine(turn: Turn, loop: asyncio.AbstractEventLoop) -> ScopeEngine:
            made.append(ScopeEngine(turn, loop))
            return made[0]

        def serves(line: str) -> None:
            self._engine = made[0]
            started.set_result(None)

        try:
            check_not_loading()
            self._check_options()
            self._server._configure(None, {})
            await self._server._serve(serves, is_hosted=True, new_engine=new_engine)
        except BaseException as exc:
            if started.done():
                raise
            if isinstance(exc, Exception):
                started.set_exception(exc)
            else:
                started.cancel()
                raise
        finally:
            self._engine = self._starting = None

    def _check_options(self) -> None:
        config = self._server.config
        given = [name for name in NOT_HERE if config.is_given(name)]
        if given:
            raise ConfigError(
                f"{', '.join(given)}: not for server.asgi; the server around it has such options"
            )
        if config.broker is None:
            log(SERVER, logging.WARNING, ALONE, hint="serve with one process of it, or a broker")


__all__ = ["Hosted"]
