"""The server: what an application registers, and the two ways to run it."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar, overload

from .auth import ready_authentication
from .choice import choose_loop, new_event_loop
from .config import Config
from .engine.exchange import HandleWebSocket, HttpRoute
from .engine.making import NewEngine
from .engine.opening import Opening
from .errors import ConfigError
from .handlers.dispatcher import Dispatcher
from .handlers.eager import start
from .handlers.registry import Call, adapt
from .handover import is_watched, own_command
from .http.request import Request
from .http.router import Router
from .http.static import StaticFiles
from .hub import Hub
from .lifecycle import BackgroundTask, Hook, Lifecycle
from .logs import SERVER, configure_logging, log
from .process import ADMIN, MAIN, Process
from .watcher import check_watching, watch

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_ROUTE = "/ws"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Announce = Callable[[str], object]


class RouteInfo(NamedTuple):
    """One route and what answers it."""

    kind: str  # ws or http
    method: str
    pattern: str
    handlers: Sequence[object]


class Server:
    """A WebSocket server with HTTP on the same port.

    Handlers may be `def` or `async def` and take fewer arguments than they are given. `run` serves
    in a loop of its own, `await serve()` in the running one.
    """

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
        self._lifecycle: Lifecycle | None = None  # while it serves
        self._new_opening: Callable[..., Opening] = Opening
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

    # Registration.

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

    # Being observed.

    @property
    def is_observed(self) -> bool:
        """Whether `observe` was called."""
        return self._new_opening is not Opening

    def observe(
        self, opening: Callable[..., Opening], wrap: Callable[[str, Any, Call], Call]
    ) -> None:
        """Open connections by another kind of `Opening`, and wrap every handler: for tracing.

        Raises RuntimeError while the server serves.
        """
        if self._lifecycle is not None:
            raise RuntimeError("the server serves already")
        self._new_opening = opening
        self._dispatcher.wrap(wrap)

    # Running.

    def run(
        self, config: Config | None = None, *, announce: Announce | None = None, **overrides: Any
    ) -> None:
        """Serve in a loop of its own until SIGTERM or SIGINT has drained it; a second one kills.

        SIGHUP starts the command of the process again, on the same sockets, and drains this one.
        `config` replaces the server's own, `overrides` are single options of it (`port=9000`).
        `announce` gets the line that says where the server listens, once it does; by default it is
        printed. Raises ConfigError for options that cannot work, OSError when it cannot listen, and
        what a hook of `on_startup` raises.
        """
        self._configure(config, overrides)
        choose_loop(self.config.loop)  # raises before anything is begun
        if not SERVER.hasHandlers():
            configure_logging(self.config.log_level, self.config.log_format)
        if self.config.reload and not is_watched(os.environ):
            check_watching()
            if status := watch(own_command(), os.environ, self._source_files()):
                sys.exit(status)
            return
        with asyncio.Runner(loop_factory=partial(new_event_loop, self.config.loop)) as runner:
            runner.run(self._serve_until_signal(announce))

    async def serve(
        self, config: Config | None = None, *, announce: Announce | None = None, **overrides: Any
    ) -> None:
        """Serve in the running loop until `shutdown`; otherwise like `run`.

        Signals are left to the program. Cancelling it closes everything at once.
        """
        self._configure(config, overrides)
        if self.config.reload:
            raise ConfigError("reload starts the whole program anew: it is for run(), not serve()")
        await self._serve(announce)

    async def serve_in_memory(
        self,
        new_engine: NewEngine,
        clock: Callable[[], float],
        announce: Announce,
        errors: list[BaseException],
        options: dict[str, Any],
    ) -> None:
        """Serve on an engine that needs no sockets, until `shutdown`. For `glyph_fast.testing`.

        What handlers raise is added to `errors`. The server's own options are back afterwards.
        """
        own, log = self.config, self._dispatcher.errors
        without = own.replace(admin=None, admin_token=None, proxy_protocol=False)
        self._configure(without, options)
        log.heard = errors.append
        since = time.time() - clock()
        self.hub.set_clock(lambda: since + clock())  # credentials end when the test says so
        try:
            await self._serve(announce, new_engine=new_engine, clock=clock)
        finally:
            self.config, log.heard = own, None
            self.hub.set_clock(time.time)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Drain the server and return when it has ended; `timeout` replaces the drain timeout.

        Does nothing when it does not serve. For the server's loop.
        """
        if self._lifecycle is not None:
            lifecycle = self._lifecycle
            lifecycle.stop(timeout)
            await lifecycle.ended()

    def _configure(self, config: Config | None, overrides: dict[str, Any]) -> None:
        if self._lifecycle is not None:
            raise RuntimeError("the server serves already")
        chosen = config if config is not None else self.config
        self.config = chosen.replace(**overrides) if overrides else chosen
        self.hub.configure(self.config)
        self._dispatcher.configure()
        for pattern in self._websocket_patterns():
            self._dispatcher.add_route(pattern)

    async def _serve_until_signal(self, announce: Announce | None) -> None:
        process = Process()
        with process.signals():
            try:
                await self._serve(announce, process)
            finally:
                await process.close()

    async def _serve(
        self, announce: Announce | None, process: Process | None = None, **memory: Any
    ) -> None:
        ready = ready_authentication(self.config, self._dispatcher, self._authenticate)
        opening = self._new_opening(
            self.config,
            routes=self._http,
            websockets=self._websockets,
            statics=self._statics,
            cors=self._cors,
            authenticate=self._authenticate if ready is None else ready.authenticate,
            subprotocols=None if ready is None else ready.subprotocols,
            start=start,
            opened=self._dispatcher.opened if ready is None else ready.opened,
            count=self.hub.get_connection_count,
            count_user=self.hub.get_user_connection_count,
            metrics=self.hub.metrics,
            errors=self._dispatcher.errors,
        )
        self._lifecycle = Lifecycle(
            self.config,
            self.hub,
            self._dispatcher,
            opening,
            background=self._background,
            on_startup=self._on_startup if ready is None else [ready.start, *self._on_startup],
            on_shutdown=self._on_shutdown if ready is None else [*self._on_shutdown, ready.stop],
            inherited=process.inherited if process is not None else None,
            **memory,
        )
        if process is not None:
            process.add(MAIN, self._lifecycle)
        try:
            await self._run(self._lifecycle, opening, announce or _print, process)
        finally:
            self._lifecycle = None

    async def _run(
        self, lifecycle: Lifecycle, opening: Opening, announce: Announce, process: Process | None
    ) -> None:
        """Run with the operators' port, if there is one: it is there before and after the rest."""
        port = None

        def serving(line: str) -> None:
            if port is not None:
                port.status = lambda: "draining" if opening.is_draining else "ok"
            if not lifecycle.was_announced:
                announce(line)
            if port is not None and not port.lifecycle.was_announced:
                announce(port.line)
            if process is not None:
                process.serving(self._source_files())

        if self.config.admin is None:
            if self.config.admin_token is not None:  # perhaps set for `glyph-fast top` alone
                log(SERVER, logging.WARNING, "--admin-token has no effect without --admin")
            await lifecycle.run(serving)
            return
        from .admin import OperatorsPort  # not for those who do without: it imports a good deal

        inherited = process.inherited if process is not None else None
        port = OperatorsPort(self.config, self.hub, self._dispatcher.errors, inherited)
        if process is not None:
            process.add(ADMIN, port.lifecycle)
        await port.start()
        try:
            await lifecycle.run(serving)
        finally:
            await port.stop()

    def _source_files(self) -> list[str]:
        """The files the program is made of, beside its Python modules."""
        return []


def _register(hooks: list[Any], hook: Any) -> Any:
    if hook is None:
        return partial(_register, hooks)
    hooks.append(hook)
    return hook


def _print(line: str) -> None:
    with suppress(OSError):  # a reader that is gone does not stop the server
        print(line, flush=True)
