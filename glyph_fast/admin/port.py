"""The operators' port as a site: its routes and its rules."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import Any

from ..handlers.dispatcher import Dispatcher
from ..http.request import Request
from ..http.response import Response, error_response
from ..http.router import Router, relative_location
from ..http.static import StaticFiles
from ..hub.hub import Hub
from ..logs import AccessLog
from ..opening.exchange import HttpRoute
from ..opening.site import Site
from ..options.config import Config
from .access import Access
from .api import Api
from .centrifugo.commands import Commands
from .centrifugo.door import PATHS, Door, is_theirs
from .channels import PATH as CHANNELS_PATH
from .channels import answer as channels_answer
from .live import PATH as LIVE_PATH
from .live import Live
from .openapi import document
from .operated import Operated
from .prometheus import CONTENT_TYPE, exposition
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
    """Routes that tell about a server and act on it; whoever runs it tells `listening` where.

    `status` is that of the public port: `ok` while it takes new connections, `starting` before and
    `draining` after.
    """

    def __init__(self, config: Config, operated: Operated) -> None:
        assert config.admin is not None
        self.status: Callable[[], str] = lambda: "starting"
        self.broker: Callable[[], str] = lambda: ""  # its state, of `interfaces.py`
        self._needs_broker = config.ready_needs_broker
        self.address = config.admin
        self.config = _own_config(config)
        self.hub = Hub(self.config)
        access = AccessLog("admin")
        self.dispatcher = Dispatcher(self.hub, access)
        self._routes: Router[HttpRoute] = Router()
        websockets: Router[bool] = Router()
        websockets.add(None, LIVE_PATH, False)
        self._access = Access(config.admin, config.admin_token)
        self._operated = operated
        self._stats = Stats(config, operated)
        self._api = Api(operated, self._stats, config.history_answer)
        commands = Commands(operated, config.history_answer)
        self._centrifugo = Door(self._access, commands)
        live = Live(self.hub, self.dispatcher, self._access, self._stats)
        self.background = [live.publish]
        self._add_routes()
        self.site = Site(
            routes=self._routes,
            websockets=websockets,
            statics=[StaticFiles(DASHBOARD, STATIC)],
            authenticate=self._access.check_host,
            opened=self.dispatcher.opened,
            count_connections=self.hub.get_connection_count,
            count_user=self.hub.get_user_connection_count,
            metrics=self.hub.metrics,
            errors=self.dispatcher.errors,
            access=access,
        )

    def listening(self, port: int) -> None:
        """It is served on that port of its address."""
        self._access.port = port

    # Routes.

    def _add_routes(self) -> None:
        check = self._access
        self._add("GET", "/healthz", self._health, check.check_host)
        self._add("GET", "/readyz", self._ready, check.check_host)
        self._add("GET", "/metrics", self._metrics, check.check_reading)
        self._add("GET", "/stats", lambda request: self._stats.everything(), check.check_reading)
        self._add("GET", DASHBOARD, self._dashboard, check.check_host)
        # Else it would be served as any other file, without the page's policy.
        self._add("GET", f"{DASHBOARD}/{_PAGE.name}", self._dashboard, check.check_host)
        self._add("GET", "/", self._to_dashboard, check.check_host)
        self._add("GET", DASHBOARD + "/", self._to_dashboard, check.check_host)
        self._add("GET", "/openapi.json", lambda request: document(), check.check_reading)
        self._add("GET", "/api/info", self._api.info, check.check_reading)
        self._add("GET", "/api/timeline", self._api.timeline, check.check_reading)
        self._add("GET", "/api/connections", self._api.connections, check.check_reading)
        self._add("GET", "/api/streams", self._api.streams, check.check_reading)
        self._add("GET", "/api/rooms", self._api.rooms, check.check_reading)
        self._add("GET", "/api/rooms/:name", self._api.room, check.check_reading)
        self._add("GET", "/api/rooms/:name/presence", self._api.presence, check.check_reading)
        history = "/api/rooms/:name/history"
        self._add("GET", history, self._api.history, check.check_reading)
        self._add("DELETE", history, self._api.delete_history, check.check_acting)
        path = "/api/rooms/:name/metadata"
        self._add("PUT", path, self._api.put_metadata, check.check_acting)
        channels = partial(channels_answer, self._operated.channels)
        # A message must not go to one who has left.
        self._add("POST", CHANNELS_PATH, channels, check.check_acting, ends_with_client=True)
        for name, handler in self._api.acting().items():
            self._add("POST", f"/api/{name}", handler, check.check_acting)
        for path in PATHS:
            if self._routes.match("POST", path) is None:
                self._add("POST", path, self._no_route, check.check_host, hides_methods=True)

    def _add(
        self,
        method: str,
        path: str,
        handler: Handler,
        check: Check,
        *,
        ends_with_client: bool = False,
        hides_methods: bool = False,
    ) -> None:
        async def answer(request: Request) -> Any:
            if method == "POST" and is_theirs(request):
                return await self._centrifugo.answer(request, path.rpartition("/")[2])
            check(request)
            result = handler(request)
            return await result if isawaitable(result) else result

        route = HttpRoute(
            answer, handler, may_wait=True, ends_with_client=ends_with_client,
            hides_methods=hides_methods,
        )  # fmt: skip
        self._routes.add(method, path, route)

    def _no_route(self, request: Request) -> Response:
        """For a POST that is only of Centrifugo's API, without its key."""
        others = [each for each in self._routes.methods_for(request.path) if each != "POST"]
        if others:
            return error_response(405, "Method not allowed", {"Allow": ", ".join(others)})
        return Response({"error": "Route not found", "path": request.path}, 404)

    def _health(self, request: Request) -> Response:
        status = self.status()
        return Response({"status": status}, 200 if status == "ok" else 503)

    def _ready(self, request: Request) -> Response:
        """Tell whether clients should be sent here; a broker that is lost has not gone for ever."""
        status, broker = self.status(), self.broker()
        if status == "ok" and broker == "waiting":
            status = "starting"
        body = {"status": status, **({"broker": broker} if broker else {})}
        is_ready = status == "ok" and not (broker == "lost" and self._needs_broker)
        return Response(body, 200 if is_ready else 503)

    def _dashboard(self, request: Request) -> Response:
        return Response(_PAGE.read_bytes(), headers=_PAGE_HEADERS)

    def _to_dashboard(self, request: Request) -> Response:
        """For who opens the address that `serve` prints."""
        location = relative_location(request.raw_path, DASHBOARD, "")  # a proxy may strip a prefix
        return Response("", 302, {"Location": location})

    async def _metrics(self, request: Request) -> Response:
        observed = await self._operated.observe()
        text = exposition(observed, self._operated.workers())
        return Response(text, headers={"Content-Type": CONTENT_TYPE})


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
        max_connections_per_ip=50,  # else one, without a token, holds all descriptors, or all seats
        drain_timeout=STOP_TIMEOUT_S,
    )
