"""The operators' port as a site: its routes, its rules, its beginning and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from pathlib import Path
from typing import Any

from ..config import Config
from ..engine.exchange import HttpRoute
from ..engine.opening import Opening
from ..handlers.dispatcher import Dispatcher
from ..handlers.eager import start
from ..handover import Inherited
from ..http.request import Request
from ..http.response import Response
from ..http.router import Router
from ..http.static import StaticFiles
from ..hub import Hub
from ..lifecycle import Lifecycle
from ..logs import AccessLog, ErrorLog
from .access import Access
from .api import Api
from .live import PATH as LIVE_PATH
from .live import Live
from .openapi import document
from .prometheus import CONTENT_TYPE, exposition, new_registry
from .stats import Stats

STATIC = Path(__file__).parent / "static"
DASHBOARD = "/dashboard"
_PAGE = STATIC / "index.html"
_PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
STOP_TIMEOUT_S = 1.0
Handler = Callable[[Request], Any]
Check = Callable[[Request], None]


class OperatorsPort:
    """Serves the figures of `hub` and what may be done to it, from `start` to `stop`.

    `status` is that of the public port: `ok` while it takes new connections, `starting` before and
    `draining` after. `line` is what is announced.
    """

    def __init__(
        self, config: Config, hub: Hub, errors: ErrorLog, inherited: Inherited | None = None
    ) -> None:
        assert config.admin is not None
        self._address = config.admin
        self.status: Callable[[], str] = lambda: "starting"
        self.line = ""
        self._config = _own_config(config)
        self._hub = Hub(self._config)
        access = AccessLog("admin")
        self._dispatcher = Dispatcher(self._hub, access)
        self._routes: Router[HttpRoute] = Router()
        websockets: Router[bool] = Router()
        websockets.add(None, LIVE_PATH, False)
        self._access = Access(config.admin, config.admin_token)
        self._stats = Stats(config, hub, errors)
        self._api = Api(hub, self._stats)
        self._registry = new_registry(hub)
        live = Live(self._hub, self._dispatcher, self._access, self._stats)
        self._add_routes()
        opening = Opening(
            self._config,
            routes=self._routes,
            websockets=websockets,
            statics=[StaticFiles(DASHBOARD, STATIC)],
            authenticate=self._access.check_host,
            start=start,
            opened=self._dispatcher.opened,
            count=self._hub.get_connection_count,
            count_user=self._hub.get_user_connection_count,
            metrics=self._hub.metrics,
            errors=self._dispatcher.errors,
            access=access,
        )
        self.lifecycle = Lifecycle(
            self._config,
            self._hub,
            self._dispatcher,
            opening,
            background=[live.publish],
            role="admin",
            inherited=inherited,
        )
        self._run: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises OSError, whose `filename` is the address, when that cannot be."""
        listening = asyncio.Event()

        def announce(line: str) -> None:
            self.line = line
            self._access.port = int(line.rpartition(":")[2])
            listening.set()

        self._run = asyncio.create_task(self.lifecycle.run(announce), name="operators' port")
        waiting = asyncio.create_task(listening.wait())
        await asyncio.wait((self._run, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not listening.is_set():
            try:
                await self._run
            except OSError as exc:
                exc.filename = str(self._address)
                raise

    async def stop(self) -> None:
        """Close everything; the figures are gone with the port."""
        if self._run is not None:
            self.lifecycle.stop()
            await asyncio.wait((self._run,))

    # Routes.

    def _add_routes(self) -> None:
        check = self._access
        self._add("GET", "/healthz", self._health, check.check_host)
        self._add("GET", "/readyz", self._health, check.check_host)
        self._add("GET", "/metrics", self._metrics, check.check_reading)
        self._add("GET", "/stats", lambda request: self._stats.everything(), check.check_reading)
        self._add("GET", DASHBOARD, self._dashboard, check.check_host)
        self._add("GET", "/", self._to_dashboard, check.check_host)
        self._add("GET", "/openapi.json", lambda request: document(), check.check_reading)
        self._add("GET", "/api/info", self._api.info, check.check_reading)
        self._add("GET", "/api/rooms", self._api.rooms, check.check_reading)
        self._add("GET", "/api/rooms/:name", self._api.room, check.check_reading)
        path = "/api/rooms/:name/metadata"
        self._add("PUT", path, self._api.put_metadata, check.check_acting)
        for name, handler in self._api.acting().items():
            self._add("POST", f"/api/{name}", handler, check.check_acting)

    def _add(self, method: str, path: str, handler: Handler, check: Check) -> None:
        async def answer(request: Request) -> Any:
            check(request)
            result = handler(request)
            return await result if isawaitable(result) else result

        self._routes.add(method, path, HttpRoute(answer, handler))

    def _health(self, request: Request) -> Response:
        status = self.status()
        return Response({"status": status}, 200 if status == "ok" else 503)

    def _dashboard(self, request: Request) -> Response:
        return Response(_PAGE.read_bytes(), headers=_PAGE_HEADERS)

    def _to_dashboard(self, request: Request) -> Response:
        """For who opens the address that `serve` prints."""
        return Response("", 302, {"Location": DASHBOARD})

    def _metrics(self, request: Request) -> Response:
        return Response(exposition(self._registry), headers={"Content-Type": CONTENT_TYPE})


def _own_config(config: Config) -> Config:
    assert config.admin is not None
    return Config(
        host=config.admin.host,
        port=config.admin.port,
        engine=config.engine,
        core=config.core,
        loop=config.loop,
        client_commands=(),
        max_message_size=4096,
        max_connections=100,
        drain_timeout=STOP_TIMEOUT_S,
    )
