"""The part of a server that its program fills: routes, handlers, files, rooms."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from inspect import isasyncgenfunction, iscoroutinefunction
from typing import TYPE_CHECKING, Any, NamedTuple, overload

from ..asgi.detect import is_asgi
from ..handlers.dispatcher import Dispatcher
from ..handlers.registry import check_path
from ..handlers.shapes import OfRequest, RequestF
from ..handlers.signature import adapt
from ..http.body import BY_OPTION
from ..http.request import Request
from ..http.response import HeaderItems, Response
from ..http.router import Router
from ..http.typed import request_call
from ..hub.hub import Hub
from ..opening.exchange import HandleWebSocket, HttpRoute
from ..opening.mounting import OwnDoor
from ..options.config import Config
from ..options.readers import DEFAULT_CENTRIFUGE_PATH
from ..options.rooms import Declarations, declaration_of_program
from ..websocket.handshake import Accept
from .authenticators import Authenticators, identity_of
from .hooks import Hooks
from .router import Registering
from .state import State

if TYPE_CHECKING:
    from ..asgi.mounts import Mounted, Mounts
    from ..centrifuge.server import CentrifugeServer
    from ..http.static import StaticFiles
    from ..opening.events import EventStreams

DEFAULT_ROUTE = "/ws"


class RouteInfo(NamedTuple):
    """One route and what answers it."""

    kind: str  # ws, http, asgi or room
    method: str
    pattern: str
    handlers: Sequence[object]


class Application(Registering, Hooks):
    """The part of a `Server` that does not depend on whether it runs."""

    config: Config
    """The options it serves by; `run` and `serve` may replace them."""
    _dispatcher: Dispatcher

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config if config is not None else Config()
        self.hub = Hub(self.config)
        """All connections, and the rooms."""
        self.state = State()
        """Attributes of the program's own: `server.state.db = await connect()`."""
        self._dispatcher = Dispatcher(self.hub)
        self._dispatcher.route_added = self._add_websocket_route
        self._http: Router[HttpRoute] = Router()
        self._websockets: Router[Any] = Router()  # hides methods, or is a door
        self._hiding: set[str] = set()  # WebSocket routes that hide methods
        self._statics: list[StaticFiles] = []
        self._mounted: list[Mounted] = []
        self._events: EventStreams | None = None
        self._centrifuge: CentrifugeServer | None = None
        self._centrifuge_path = ""
        self._late: list[str] = []  # its paths
        self._doors: list[OwnDoor] = []
        self._cors: dict[str, str] = {}  # fields for every answer
        self._authenticators = Authenticators()
        self._ready: Callable[[Request], Any] | None = None  # the authenticator of the options

    @overload
    def authenticate(self, handler: RequestF) -> RequestF: ...
    @overload
    def authenticate(self, *, route: str | None = None) -> Callable[[RequestF], RequestF]: ...
    def authenticate(self, handler: Any = None, *, route: str | None = None) -> Any:
        """Ask `handler(request)` who opens a WebSocket; its answer is `conn.identity`.

        `Reject` raised there is the HTTP answer. One for a `route` is asked there in the place of
        the one for all. Raises ValueError when there is one already.
        """
        if handler is None:
            return partial(self.authenticate, route=route)
        self._authenticators.add(handler, route)
        return handler

    async def identify(self, request: Request) -> Any:
        """Return who sends a request, in an HTTP handler, as `authenticate` says; None without one.

        That of a route is asked where the request's path has it. Raises what it raises; `Reject` is
        then the answer.
        """
        matches = (
            self._http.match(request.method, request.raw_path),
            self._websockets.match(None, request.raw_path),
        )
        patterns = [match.pattern for match in matches if match is not None]
        return await identity_of(request, self._authenticators.of(*patterns) or self._ready)

    def _add_http_route(
        self,
        method: str,
        path: str,
        handler: OfRequest,
        *,
        hides_methods: bool = False,
        any_spelling: bool = False,
        max_body: int | None = BY_OPTION,
    ) -> None:
        """Register an HTTP handler.

        `hides_methods`: other methods of the path get 404, not 405. `any_spelling`: see
        `Router.add`. Both are what the Glyph language wants.
        """
        may_wait = iscoroutinefunction(handler) or isasyncgenfunction(handler)
        call = request_call(handler, may_wait=may_wait) or adapt(handler, 1, may_yield=True)
        route = HttpRoute(call, handler, hides_methods, max_body, may_wait)
        self._http.add(method, path, route, any_spelling=any_spelling)

    def _serve_websockets(self, path: str, *, hides_methods: bool = False) -> None:
        """Serve WebSockets at a path pattern; `hides_methods`: other methods get 404, not 405."""
        if hides_methods:
            self._hiding.add(path)
        self._dispatcher.add_route(path)

    def static(self, prefix: str, directory: str | os.PathLike[str]) -> None:
        """Serve the files of a directory below a path, where no route is.

        Raises ValueError when the directory does not exist.
        """
        from ..http.static import StaticFiles  # for those who serve files

        self._statics.append(StaticFiles(prefix, directory))

    def mount(self, prefix: str, app: Any) -> None:
        """Serve an ASGI 3 application (FastAPI, Starlette, Django, …) at a path and all below it.

        The program's own routes go first, by path and method; of several applications the longest
        prefix counts. The application's `path` stays whole, its `root_path` is the prefix. It finds
        the server as `request.state.glyph_fast`. Raises ValueError for a prefix that does not begin
        with a slash or is taken, TypeError for what is no such application.
        """
        from ..asgi.mounts import Mounted  # for those who mount

        if not is_asgi(app):
            raise TypeError(f"expected an ASGI 3 application, not {app!r}")
        mounted = Mounted(prefix, app)
        if any(each.prefix == mounted.prefix for each in self._mounted):
            raise ValueError(f"an application is mounted at {prefix} already")
        self._mounted.append(mounted)

    def events(self, path: str) -> None:
        """Serve rooms as server-sent events at a path: `GET PATH?room=NAME` is a stream of them.

        A stream is a connection of the hub, with the handlers of any other. The client may be in
        the rooms that `on_join` and declarations allow to it, and in a room with history it gets
        what it missed since the event whose id it sends as `Last-Event-ID`. It speaks by POST
        requests with the session that its first event has told it. Raises ValueError for a bad
        pattern, or where GET or POST of the path is taken.
        """
        check_path(path, "events")
        if self._events is None:
            from ..handlers.entering import Entrance  # for those who have some
            from ..opening.events import EventStreams

            self._events = EventStreams(Entrance(self.hub, self._dispatcher))
        streams = HttpRoute(_nothing, "server-sent events", serve=self._events.serve)
        messages = HttpRoute(
            _nothing, "messages of its clients", max_body=None, may_wait=True,
            serve=self._events.take,
        )  # fmt: skip
        self._http.add("GET", path, streams)
        self._http.add("POST", path, messages)

    def centrifuge(self, path: str = DEFAULT_CENTRIFUGE_PATH) -> None:
        """Serve the Centrifuge protocol, by which its client libraries speak, at a path.

        A channel of theirs is a room: handlers, declarations and limits are those of any client.
        Its subprotocols and its wire formats are JSON and, with the extra `centrifuge`, Protobuf.
        A second call with the same path changes nothing; ValueError for another, and for a path
        that is a route of the program's already.
        """
        check_path(path, "centrifuge")
        if self._centrifuge is not None:
            if path != self._centrifuge_path:
                raise ValueError(f"the Centrifuge protocol is served at {self._centrifuge_path}")
            return
        from ..centrifuge.door import UniWebSocketDoor, WebSocketDoor  # for those who speak it
        from ..centrifuge.server import CentrifugeServer
        from ..centrifuge.streams import STREAMS, Emulation, StreamDoor

        if path in self._dispatcher.routes:
            raise ValueError(f"route {path} is the program's own")
        self._centrifuge_path = path
        self._centrifuge = CentrifugeServer(self.hub, self._dispatcher, path)
        door, uni = WebSocketDoor(self._centrifuge), UniWebSocketDoor(self._centrifuge)
        beside = path.rpartition("/")[0]
        self._websockets.add(None, path, door)
        self._websockets.add(None, f"{beside}/uni_websocket", uni)
        streams = [StreamDoor(self._centrifuge, each) for each in STREAMS]
        emulation = Emulation(self._centrifuge)
        self._doors = [door, uni, *streams, emulation]
        for stream in streams:
            stream.add_to(self._http, beside)
        emulation.add_to(self._http)
        names = ("uni_websocket", *(each.name for each in STREAMS))
        self._late = [path, *(f"{beside}/{name}" for name in names)]

    def room(
        self,
        pattern: str,
        *,
        client_join: bool = False,
        client_publish: bool | None = None,
        max_members: int | None = None,
        presence: bool = False,
        history_size: int = 0,
        history_bytes: int | str | None = None,
        history_ttl: float | str | None = None,
        history_meta_ttl: float | str | None = None,
        client_history: bool | None = None,
    ) -> None:
        """Declare what rooms whose names match are given; patterns are those of `on_join`.

        `client_join`: clients may join by `join_room`, and leave, without an `on_join`.
        `client_publish`: members may `broadcast`; by default as `client_join`, and where an
        `on_join` matches. `max_members` replaces `--max-room-members`. `presence`: members can be
        asked for and followed.

        With a `history_size` the rooms remember: each message has a position, and the latest
        `history_size` are kept, of at most `history_bytes` (1 MiB), until `history_ttl` (5 minutes)
        after the latest. The position lasts for `history_meta_ttl` (30 days) after it.
        `client_history` (true): members may ask for what is kept, else they may only resume.

        If several patterns match a name, one counts, whole: that of the file before the
        program's, then the one with the most literal characters, then the first. Raises
        ConfigError.
        """
        given = {
            "client_join": client_join,
            "client_publish": client_publish,
            "max_members": max_members,
            "presence": presence,
            "history_size": history_size,
            "history_bytes": history_bytes,
            "history_ttl": history_ttl,
            "history_meta_ttl": history_meta_ttl,
            "client_history": client_history,
        }
        self.hub._declare(declaration_of_program(pattern, given))

    def handle_websocket(
        self, request: Request, *, headers: HeaderItems | None = None
    ) -> HandleWebSocket:
        """Open a WebSocket for `request`: an HTTP handler returns this. The 101 has `headers`.

        ValueError for a field that breaks out of its line, or that the handshake itself decides.
        """
        return HandleWebSocket(request, Accept(headers=headers).headers)

    def routes(self) -> list[RouteInfo]:
        """Every route with its handlers: WebSocket first, then HTTP, static files, declared rooms.

        Rooms are those of `room`, in the order in which patterns are looked at; in the place of
        handlers they have one text, what is declared.
        """
        patterns = [*self._websocket_patterns(), *self._late_authenticated()]
        found = [
            RouteInfo("ws", "GET", each, self._handlers_of(each))
            for each in dict.fromkeys(patterns)
        ]
        found += [
            RouteInfo("http", route.method or "*", route.pattern, [route.target.handler])
            for route in self._http.routes()
        ]
        found += [
            RouteInfo("http", "GET", f"{each.prefix.rstrip('/')}/*", [f"files of {each.directory}"])
            for each in self._statics
        ]
        found += [RouteInfo("asgi", "*", each.pattern, [each.app]) for each in self._mounted]
        declared = Declarations(in_program=self.hub._declared_in_program())
        return [*found, *(RouteInfo("room", "", each.pattern, [str(each)]) for each in declared)]

    def _late_authenticated(self) -> list[str]:
        """The routes whose clients say who they are by a message."""
        return self._late

    def _websocket_patterns(self) -> list[str]:
        """Return where WebSockets are served: the routes declared, or the default where none is.

        That one is the application's, where one is mounted there and no handler needs it.
        """
        if routes := self._dispatcher.routes:
            return routes
        has_default = self._dispatcher.has_handlers or not self._is_default_taken()
        return [DEFAULT_ROUTE] if has_default else []

    def _is_default_taken(self) -> bool:
        """Return whether an application is asked first for what is nobody's by declaration."""
        is_declared = bool(self._dispatcher.routes)
        return not is_declared and any(each.covers(DEFAULT_ROUTE) for each in self._mounted)

    def _mounts(self, authenticate: Callable[[Any], Any] | None) -> Mounts | None:
        """The applications for one run."""
        if not self._mounted:
            return None
        from ..asgi.mounts import Mounts  # for those who mount

        default: Router[bool] = Router()
        if self._is_default_taken() and self._dispatcher.has_handlers:
            default.add(None, DEFAULT_ROUTE, False)
        config = self.config
        return Mounts(
            self._mounted,
            root_path=config.root_path,
            state={"glyph_fast": self},
            max_body=config.max_body_size if config.is_given("max_body_size") else None,
            authenticate=authenticate,
            pace=self._dispatcher._pace,
            default=default,
        )

    def _page(self) -> Callable[[Request], Response] | None:
        """Return the answer to `/` in development mode, where nothing of the program is."""
        if not self.config.is_development:
            return None
        from ..dev.page import DevelopmentPage  # for those who develop

        return DevelopmentPage(self).answer

    def _handlers_of(self, pattern: str) -> list[object]:
        """The application's functions that serve a WebSocket route, in the order they may run."""
        plan = self._dispatcher.plan(pattern)
        plan = plan.program or plan
        calls = [*plan.connect, *([plan.stream] if plan.stream is not None else [])]
        for group in (*plan.events.values(), plan.text, plan.json, plan.binary):
            calls += group
        for _, *after in plan.commands.values():  # the first is the built-in effect
            calls += after
        calls += (*plan.close, *plan.disconnect)
        ours = (self._dispatcher.deliver, *self._dispatcher.nobody)
        return [each for each in dict.fromkeys(calls) if each not in ours]

    def _add_websocket_route(self, path: str) -> None:
        if path == self._centrifuge_path:
            return  # handlers of the clients that speak that protocol
        self._websockets.add(None, path, path in self._hiding)


def _nothing(request: Request) -> None:
    """Never called: what serves in a way of its own has this in the place of a handler."""
