"""The handlers of a program's routes, as a server calls them, and its static files.

They give the program's code what it expects, and report what fails by its place in the program.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from ...handlers import MessageContext
from ...http.request import Request
from ...http.response import Response
from ...http.static import StaticFiles
from ...hub.connection import Connection
from ..checks.checks import METHODS_WITH_BODY
from ..runtime.failures import ProgramFailure
from ..runtime.values import Failure, Headers, Reply, Stop
from ..runtime.web import SERVER_ERROR, Endpoint, body_of
from ..runtime.websocket import Site, SocketEvent
from .program import Program, SocketEndpoint

F = TypeVar("F", bound=Callable[..., Any])
# Given a handler, what and the route; gives what a client may be told, None: nothing.
Report: TypeAlias = Callable[[object, ProgramFailure, str], dict[str, str] | None]


class SocketRunner:
    """Makes the handlers of one WebSocket route of a program."""

    def __init__(self, site: Site, report: Report, program: Program, route: SocketEndpoint) -> None:
        self._site = site
        self._report = report
        self._program = program
        self._route = route

    def message(self) -> Callable[[MessageContext], None]:
        """The handler of messages."""
        site, parameters, code = self._site, self._route.parameters, self._route.events["message"]

        def message(ctx: MessageContext) -> None:
            conn, payload = ctx.conn, ctx.message.raw
            if not isinstance(payload, str):
                payload = _text(payload)
            try:
                event = SocketEvent(site, conn, payload)
                if parameters:
                    params = conn.path_params
                    code(event, conn.id, *[params[name] for name in parameters])
                else:
                    code(event, conn.id)
            except Stop:
                pass
            except Exception as error:
                raise self._failed("message", conn, error) from None

        message.takes_raw = True  # type: ignore[attr-defined]  # the program decodes what it needs
        return placed(message, self._program, code, "on message")

    def without_message(self, name: str) -> Callable[[Connection], None]:
        """The handler of `connect` or `disconnect`."""

        def handler(conn: Connection) -> None:
            self._run(name, conn, "")

        return placed(handler, self._program, self._route.events[name], f"on {name}")

    def _run(self, name: str, conn: Connection, received: str) -> None:
        arguments = [conn.path_params[parameter] for parameter in self._route.parameters]
        try:
            event = SocketEvent(self._site, conn, received)
            self._route.events[name](event, conn.id, *arguments)
        except Stop:
            pass
        except Exception as error:
            raise self._failed(name, conn, error) from None

    def _failed(self, name: str, conn: Connection, error: Exception) -> ProgramFailure:
        """The failure to report; the route's own `on error` runs first."""
        failure = self._program.failure(error)
        code = self._route.events.get("error")
        if code is not None and name in ("connect", "message"):
            try:
                self._run("error", conn, failure.text)
            except ProgramFailure as second:
                self._report(code, second, self._route.pattern)
        return failure


def _text(payload: bytes | None) -> str:
    """A binary message as text."""
    try:
        return (payload or b"").decode()
    except UnicodeDecodeError:
        raise ProgramFailure("a binary message is not UTF-8", "") from None


class HttpRunner:
    """Makes the handler of one HTTP route of a program."""

    def __init__(self, site: Site, report: Report, program: Program, route: Endpoint) -> None:
        self._site = site
        self._report = report
        self._program = program
        self._route = route

    def function(self) -> Callable[[Request], Any]:
        """Return the function the server calls: it reads the body only where there may be one."""

        def answer(request: Request) -> Response:
            return self._respond(Incoming(request, b""))

        async def answer_with_body(request: Request) -> Response:
            return self._respond(Incoming(request, await request.body()))

        route = self._route
        function = answer_with_body if route.method in METHODS_WITH_BODY else answer
        return placed(function, self._program, route.code, route.method)

    def _respond(self, incoming: Incoming) -> Response:
        request, route = incoming.request, self._route
        if request.method != route.method:  # HEAD, which only Python's routes answer as GET
            return Response({"error": "Route not found", "path": request.path}, 404)
        try:
            return _response(route.answer(incoming, request.path_params, self._site))
        except Exception as error:
            failure = self._program.failure(error)
            told = self._report(self._route.code, failure, route.pattern)
            return Response(SERVER_ERROR if told is None else told, 500)


class Incoming:
    """A request as a program's route looks at it."""

    __slots__ = ("body", "request")

    def __init__(self, request: Request, body: bytes) -> None:
        self.request = request
        self.body = body

    @property
    def method(self) -> str:
        """GET, POST, …"""
        return self.request.method

    @property
    def query_string(self) -> str:
        """The query string, as sent, without its `?`."""
        return self.request.query_string

    @property
    def remote(self) -> str | None:
        """The client's address."""
        return self.request.remote

    def header(self, name: str) -> str:
        """A header's value, empty where it is missing."""
        return self.request.headers.get(name, "")

    def headers(self) -> Headers:
        """All headers, as a value that the program may change."""
        return Headers.of(self.request.headers.items())


class ProgramFiles(StaticFiles):
    """Static files of a program: what may not be seen is 403, what does not exist 404."""

    def respond(self, request: Request) -> Response | None:
        """The answer to a GET or HEAD below the prefix, None for any other path."""
        answer = super().respond(request)
        if answer is not None or not request.raw_path.startswith(self.prefix + "/"):
            return answer
        parts = self._parts(request.raw_path)
        is_missing = parts is not None and self._is_missing(parts)
        status, text = (404, "Not found") if is_missing else (403, "Forbidden")
        return Response({"error": text}, status)

    def _is_missing(self, parts: list[str]) -> bool:
        """Return whether there is nothing of this name below the directory.

        What lies behind a link that leads out of it is not looked at: the answer would tell whether
        it exists.
        """
        path = self.directory.joinpath(*parts)
        try:
            path = path.resolve()
            if not path.is_relative_to(self.directory):
                return False
            path.lstat()
        except PermissionError:
            return False
        except (OSError, RuntimeError):  # absent, a name too long, links in a circle
            return True
        return False


def _response(reply: Reply) -> Response:
    if reply.status < 200:
        raise Failure(f"an answer cannot have status {reply.status}")
    content, content_type = body_of(reply)
    headers = dict(reply.headers)
    if content_type:
        headers["Content-Type"] = content_type
    return Response(content or None, reply.status, headers)


def placed(function: F, program: Program, code: Any, name: str) -> F:
    """The function, told in logs as what it is in the program: `app.glyph:on message`."""
    wrapper: Any = function
    wrapper.__signature__ = inspect.signature(function)  # its own, not that of the code
    wrapper.__wrapped__ = code
    for each in (wrapper, code):
        each.__module__ = Path(program.name).name
        each.__qualname__ = name
    return function
