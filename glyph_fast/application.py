"""What an application registers with its server: routes, handlers, files, hooks."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar, overload

from .config import Config
from .engine.exchange import HandleWebSocket, HttpRoute
from .handlers.dispatcher import Dispatcher
from .handlers.registry import adapt
from .http.request import Request
from .http.router import Router
from .http.static import StaticFiles
from .hub import Hub
from .lifecycle import BackgroundTask, Hook

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_ROUTE = "/ws"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class RouteInfo(NamedTuple):
    """One route and what answers it."""

    kind: str  # ws or http
    method: str
    pattern: str
    handlers: Sequence[object]


class Application:
    """The part of a `Server` that does not depend on whether it runs."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config if config is not None else Config()
        self.hub = Hub(self.config)
        self._dispatcher = self._new_dispatcher()
        self._dispatcher.route_added = self._add_websocket_route
        self._http: Router[HttpRoute] = Router()
        self._websockets: Router[bool] = Router()
        self._hiding: set[str] = set()  # WebSocket routes that hide methods
        self._statics: list[StaticFiles] = []
        self._cors: dict[str, str] = {}  # fields for every answer
        self._authenticate: Callable[[Request], Any] | None = None
        self._on_startup: list[Hook] = []
        self._on_shutdown: list[Hook] = []
        self._background: list[BackgroundTask] = []
        # Decorators of WebSocket handlers; `Registry` documents them.
        self.on_connect = self._dispatcher.on_connect
        self.on_disconnect = self._dispatcher.on_disconnect
        self.on_message = self._dispatcher.on_message
        self.on_event = self._dispatcher.on_event
        self.on_join = self._dispatcher.on_join
        self.on_leave = self._dispatcher.on_leave
        self.on_error = self._dispatcher.on_error
        self.websocket = self._dispatcher.websocket

    def _new_dispatcher(self) -> Dispatcher:
        """What runs the handlers; a kind of server may have a kind of its own."""
        return Dispatcher(self.hub)

    @overload
    def authenticate(self, handler: F) -> F: ...
    @overload
    def authenticate(self) -> Callable[[F], F]: ...
    def authenticate(self, handler: Any = None) -> Any:
        """Ask `handler(request)` who opens a WebSocket; its answer is `conn.identity`.

        `Reject` raised there is the HTTP answer. Raises ValueError when there is one already.
        """
        if handler is None:
            return self.authenticate
        if self._authenticate is not None:
            raise ValueError("the server has an authenticator already")
        self._authenticate = adapt(handler, 1)
        return handler

    def route(self, method: str, path: str) -> Callable[[F], F]:
        """Answer requests of `method` at a path pattern such as `/users/:id` by the function.

        It takes the request and returns dict, list, str, bytes or `Response`. Raises ValueError for
        a bad pattern, an unknown method or a route declared twice.
        """
        if method not in METHODS:
            raise ValueError(f"method {method!r} is not one of {', '.join(METHODS)}")

        def register(handler: F) -> F:
            self.add_http_route(method, path, handler)
            return handler

        return register

    def get(self, path: str) -> Callable[[F], F]:
        """Answer GET, and HEAD without the body. See `route`."""
        return self.route("GET", path)

    def post(self, path: str) -> Callable[[F], F]:
        """Answer POST. See `route`."""
        return self.route("POST", path)

    def put(self, path: str) -> Callable[[F], F]:
        """Answer PUT. See `route`."""
        return self.route("PUT", path)

    def patch(self, path: str) -> Callable[[F], F]:
        """Answer PATCH. See `route`."""
        return self.route("PATCH", path)

    def delete(self, path: str) -> Callable[[F], F]:
        """Answer DELETE. See `route`."""
        return self.route("DELETE", path)

    def add_http_route(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        *,
        hides_methods: bool = False,
    ) -> None:
        """Register an HTTP handler; `hides_methods`: other methods of the path get 404, not 405."""
        route = HttpRoute(adapt(handler, 1), handler, hides_methods)
        self._http.add(method, path, route)

    def add_websocket_route(self, path: str, *, hides_methods: bool = False) -> None:
        """Serve WebSockets at a path pattern; `hides_methods`: other methods get 404, not 405."""
        if hides_methods:
            self._hiding.add(path)
        self._dispatcher.add_route(path)

    def static(self, prefix: str, directory: str | os.PathLike[str]) -> None:
        """Serve the files of a directory below a path, where no route is.

        Raises ValueError when the directory does not exist.
        """
        self._statics.append(StaticFiles(prefix, directory))

    def handle_websocket(self, request: Request) -> HandleWebSocket:
        """What an HTTP handler returns to open a WebSocket for `request`."""
        return HandleWebSocket(request)

    @overload
    def on_startup(self, hook: F) -> F: ...
    @overload
    def on_startup(self) -> Callable[[F], F]: ...
    def on_startup(self, hook: Any = None) -> Any:
        """Call `hook()` before connections are accepted; what it raises ends the start."""
        return _register(self._on_startup, hook)

    @overload
    def on_shutdown(self, hook: F) -> F: ...
    @overload
    def on_shutdown(self) -> Callable[[F], F]: ...
    def on_shutdown(self, hook: Any = None) -> Any:
        """Call `hook()` once every connection is closed and every handler has ended."""
        return _register(self._on_shutdown, hook)

    @overload
    def background(self, coro_fn: F) -> F: ...
    @overload
    def background(self) -> Callable[[F], F]: ...
    def background(self, coro_fn: Any = None) -> Any:
        """Run `coro_fn()` while the server serves.

        When it raises, it is started again after a while; when it returns, that is its end. It is
        cancelled when the server drains.
        """
        return _register(self._background, coro_fn)

    def routes(self) -> list[RouteInfo]:
        """Every route with its handlers: WebSocket first, then HTTP, then static files."""
        patterns = self._websocket_patterns()
        found = [RouteInfo("ws", "GET", each, self._handlers_of(each)) for each in patterns]
        found += [
            RouteInfo("http", route.method or "*", route.pattern, [route.target.handler])
            for route in self._http.routes()
        ]
        found += [
            RouteInfo("http", "GET", f"{each.prefix.rstrip('/')}/*", [f"files of {each.directory}"])
            for each in self._statics
        ]
        return found

    def _websocket_patterns(self) -> list[str]:
        """Where WebSockets are served: the routes declared, else one for whoever declared none."""
        return self._dispatcher.routes or [DEFAULT_ROUTE]

    def _handlers_of(self, pattern: str) -> list[object]:
        """The application's functions that serve a WebSocket route, in the order they may run."""
        plan = self._dispatcher.plan(pattern)
        calls = [*plan.connect, *([plan.stream] if plan.stream is not None else [])]
        for group in (*plan.events.values(), plan.text, plan.json, plan.binary):
            calls += group
        for _, *after in plan.commands.values():  # the first is the built-in effect
            calls += after
        calls += plan.disconnect
        return [each for each in dict.fromkeys(calls) if each != self._dispatcher.deliver]

    def _add_websocket_route(self, path: str) -> None:
        self._websockets.add(None, path, path in self._hiding)


def _register(hooks: list[Any], hook: Any) -> Any:
    if hook is None:
        return partial(_register, hooks)
    if not callable(hook):  # `on_startup(connect())` instead of `on_startup(connect)`
        raise TypeError(f"expected a function to be called later, not {hook!r}")
    hooks.append(hook)
    return hook
