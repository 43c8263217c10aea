"""A server that runs Glyph programs, beside routes and handlers in Python.

server = GlyphServer()
server.load("app.glyph")
server.run()
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ...handlers.shapes import OfMessage, OfRequest, RequestF
from ...handlers.telling import failure_of
from ...http.body import BY_OPTION
from ...http.request import Request
from ...http.response import Response
from ...logs import SERVER, log
from ...options.config import Config
from ...server.server import Server
from ...wire import MessageType
from ..runtime.failures import ProgramFailure
from ..runtime.websocket import Site
from .host import HostFunction
from .load import load_program
from .program import Program, SocketEndpoint, Unsupported
from .runners import HttpRunner, ProgramFiles, SocketRunner

if TYPE_CHECKING:
    from ...options.given import Options

F = TypeVar("F", bound=Callable[..., Any])

CORS_VARIABLE = "GLYPH_CORS_ORIGIN"
_DELIVERED = (MessageType.TEXT, MessageType.JSON, MessageType.BINARY)


class GlyphServer(Server):
    """A `Server` with the original's names, and with `load` for programs in Glyph.

    `GLYPH_CORS_ORIGIN` in the environment says which origin's pages may use it, unless the
    configuration's `allowed_origins` do.
    """

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self._site = Site(self.hub)
        self._offered: dict[str, HostFunction] = {}
        self._programs: list[Program] = []
        self._cors = _cors_headers(os.environ.get(CORS_VARIABLE, "").strip())
        self.config = self._with_cors(self.config)
        self.on_startup(self._site.begin)

    def _with_cors(self, config: Config) -> Config:
        """The options with the variable's origin, which counts where they allow none themselves."""
        if self._cors:
            origin = self._cors["Access-Control-Allow-Origin"]
            if not config.allowed_origins:
                return config.replace(allowed_origins=[origin])
            if list(config.allowed_origins) != [origin]:
                self._cors = {}
        return config

    def _configure(self, config: Config | None, overrides: Options) -> None:
        chosen = config if config is not None else self.config
        super()._configure(self._with_cors(chosen.replace(**overrides)), {})

    def _websocket_patterns(self) -> list[str]:
        """As of any server; but programs that have no WebSocket route want no WebSockets."""
        if self._programs and not self._dispatcher.routes and not self._dispatcher.has_handlers:
            return []
        return super()._websocket_patterns()

    # The original's names.

    def get_websocket_server(self) -> GlyphServer:
        """The server of the WebSocket routes, which is this one."""
        return self

    def register_websocket_route(self, path: str, handler: OfMessage | OfRequest) -> None:
        """Serve WebSockets at a path.

        `handler` gets every message of the route as `ctx`; `handle_websocket` leaves them to the
        handlers registered by the decorators.
        """
        self._serve_websockets(path)
        if handler != self.handle_websocket:
            for type_ in _DELIVERED:
                self._dispatcher.on_message(type_, path)(handler)

    @overload
    def route(
        self, method: str, path: str, handler: RequestF, *, max_body: int | str | None = BY_OPTION
    ) -> RequestF: ...
    @overload
    def route(
        self, method: str, path: str, *, max_body: int | str | None = BY_OPTION
    ) -> Callable[[RequestF], RequestF]: ...
    def route(
        self,
        method: str,
        path: str,
        handler: Any = None,
        *,
        max_body: int | str | None = BY_OPTION,
    ) -> Any:
        """Answer requests of `method` at a path by `handler`; without one, a decorator."""
        register = super().route(method, path, max_body=max_body)
        return register if handler is None else register(handler)

    # Glyph.

    @overload
    def glyph_function(self, function: F, *, name: str | None = None) -> F: ...
    @overload
    def glyph_function(self, *, name: str | None = None) -> Callable[[F], F]: ...
    def glyph_function(self, function: Any = None, *, name: str | None = None) -> Any:
        """Offer a function to the programs loaded after this, under its own or another name.

        Its annotations are checked when a program calls it; what it raises fails the program's
        handler. Raises TypeError for a signature that Glyph has no words for, ValueError for a
        name taken before.
        """
        if function is None:
            return partial(self.glyph_function, name=name)
        offered = HostFunction(function, name)
        if offered.name in self._offered:
            raise ValueError(f"a function {offered.name!r} is offered already")
        self._offered[offered.name] = offered
        return function

    def load(self, file: str | os.PathLike[str], *, skip_unsupported: bool | None = None) -> None:
        """Add the routes of a program; its warnings are logged.

        `skip_unsupported`, by default the option of that name, serves what can be served of a
        program that uses more of the language than there is. Raises GlyphSyntaxError with all that
        is wrong as `diagnostics`, OSError when the file cannot be read, ValueError for a route the
        server has already. After an error no route has been added.
        """
        skip = self.config.skip_unsupported if skip_unsupported is None else skip_unsupported
        program = load_program(os.fspath(file), skip_unsupported=skip, host=self._offered.values())
        for warning in program.warnings:
            log(SERVER, logging.WARNING, warning.headline())
        self._add(program)

    @property
    def _source_paths(self) -> list[Path]:
        """The files of all programs loaded, those they import included: what one would watch."""
        return [path for program in self._programs for path in program.files]

    def _source_files(self) -> list[str]:
        return [str(path.absolute()) for path in self._source_paths]

    def _check_free(self, program: Program) -> None:
        """ValueError when the server has one of the program's routes already."""
        taken = {(route.method or "", route.pattern) for route in self._http.routes()}
        taken |= {("ws", socket.pattern) for each in self._programs for socket in each.sockets}
        wanted = [(each.method, each.pattern) for each in program.http]
        for route in [*wanted, *(("ws", each.pattern) for each in program.sockets)]:
            if route in taken:
                raise ValueError(
                    f"{program.name}: the server has a route {' '.join(route)} already"
                )

    def _add(self, program: Program) -> None:
        self._check_free(program)
        self._programs.append(program)
        for endpoint in program.http:
            handler = HttpRunner(self._site, self._note_failure, program, endpoint)
            self._add_http_route(
                endpoint.method,
                endpoint.pattern,
                handler.function(),
                hides_methods=True,
                any_spelling=True,
            )
        for socket in program.sockets:
            self._add_socket(program, socket)
        for static in program.statics:
            self._statics.append(ProgramFiles(static.prefix, static.directory))
        for left_out in program.unsupported:
            self._add_unsupported(left_out)

    def _add_socket(self, program: Program, socket: SocketEndpoint) -> None:
        path = socket.pattern
        self._serve_websockets(path, hides_methods=True)
        self._dispatcher.open_route(path)  # as its original does
        runner = SocketRunner(self._site, self._note_failure, program, socket)
        if "connect" in socket.events:
            self.on_connect(path)(runner.without_message("connect"))
        if "message" in socket.events:
            message = runner.message()
            for type_ in _DELIVERED:
                self.on_message(type_, path)(message)
        if "disconnect" in socket.events:
            self.on_disconnect(path)(runner.without_message("disconnect"))

    def _add_unsupported(self, route: Unsupported) -> None:
        def refuse(request: Request) -> Response:
            return Response({"error": route.reason}, 501)

        method = "GET" if route.method == "ws" else route.method
        self._add_http_route(method, route.pattern, refuse, hides_methods=True, any_spelling=True)

    # What handlers of programs report to.

    def _note_failure(
        self, handler: object, failure: ProgramFailure, route: str
    ) -> dict[str, str] | None:
        """Log and count the failure of a program's handler; what a client may be told of it."""
        self.hub.metrics.handler_errors += 1
        self._dispatcher.errors.record(handler, failure, route=route)
        return failure_of(handler, failure) if self.config.is_development else None


def _cors_headers(origin: str) -> dict[str, str]:
    if not origin:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": "Content-Type, Authorization",
    }
