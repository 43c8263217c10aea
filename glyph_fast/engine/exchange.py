"""HTTP on the port of the WebSockets: from a request that was read to the answer that leaves.

A handler that does not wait costs no task: its answer is written within the turn, and the requests
a pipelining client has sent behind follow at once. While one waits, its connection is held, so
answers keep the order of the requests.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..errors import HandshakeError, Reject
from ..http.body import CONTINUE, BodyReader
from ..http.request import Request
from ..http.response import (
    Response,
    encode_response,
    error_response,
    refusal_response,
    to_response,
)
from ..http.router import Match, Router
from ..http.static import StaticFiles
from ..logs import SERVER, AccessLog, ErrorLog, log
from ..metrics import Metrics
from ..wire import ENDING, HELD

if TYPE_CHECKING:
    from ..core import Connection
    from .cors import Cors

HEALTH_PATH = "/healthz"
_HEALTHY = Response({"status": "ok"})
READING = ("GET", "HEAD")  # the methods of files
MAX_IN_A_ROW = 64  # requests of one connection handled before others have their turn
CANCEL_GRACE_S = 1.0  # for a handler to end once it is cancelled

Start: TypeAlias = Callable[[Coroutine[Any, Any, None], Any], "asyncio.Task[Any] | None"]


class HttpRoute(NamedTuple):
    """What answers requests of one method and path."""

    call: Callable[[Request], Any]
    handler: object  # as it was registered, to be named in logs and tables
    hides_methods: bool = False  # 404 instead of 405 for other methods, as Glyph's routes have it


class HandleWebSocket(NamedTuple):
    """Returned by an HTTP handler: open a WebSocket for the request."""

    request: Request


class Exchange:
    """One request until it is answered."""

    __slots__ = ("is_read", "match", "reader", "request", "started")

    def __init__(self, request: Request, started: float) -> None:
        self.request = request
        self.started = started  # clock reading
        self.match: Match[HttpRoute] | None = None  # None: static files
        self.reader: BodyReader | None = None
        self.is_read = not request.has_body  # whether what comes next is another request


class Exchanges:
    """Answers HTTP requests by routes, static files and what the server says by itself.

    The target of a WebSocket route says whether it hides methods, as `HttpRoute` has it.
    `start` runs a coroutine up to its first wait and returns its task when there is more to do.
    `upgrade(conn, request, match)` opens a WebSocket for a handler that asks for it.
    """

    def __init__(
        self,
        routes: Router[HttpRoute],
        websockets: Router[bool],
        statics: Sequence[StaticFiles],
        *,
        cors: Cors,
        start: Start,
        upgrade: Callable[[Any, Request, Match[Any]], None],
        metrics: Metrics,
        errors: ErrorLog,
        access: AccessLog,
    ) -> None:
        self._routes = routes
        self._websockets = websockets
        self._statics = statics
        self._cors = cors if cors else None
        self._start = start
        self._upgrade = upgrade
        self._metrics = metrics
        self._errors = errors
        self._access = access
        self._reading: dict[Connection, Exchange] = {}  # whose body is being read
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop holds no reference to them
        self._latest: Connection | None = None  # that was answered
        self._in_a_row = 0  # answers it got with no other connection's between
        self.is_draining = False
        self.keeps_alive = True  # whether a connection may bring another request after the next

    # Steps of a request.

    def begin(self, conn: Connection, request: Request) -> None:
        """Answer a request whose head has come, or read its body first."""
        exchange = Exchange(request, conn.turn.clock())
        match = exchange.match = self._routes.match(request.method, request.raw_path)
        if match is None and not self._statics:
            self._answer(conn, exchange, self._unrouted(request))
        elif not request.has_body or (match is None and request.method not in READING):
            self._handle(conn, exchange)
        else:
            self._read_body(conn, exchange)

    def feed(self, conn: Connection, chunk: bytes) -> int:
        """Take bytes of a body; the number of those that belonged to it."""
        exchange = self._reading[conn]
        reader = exchange.reader
        assert reader is not None
        try:
            taken = reader.feed(chunk)
        except HandshakeError as exc:
            del self._reading[conn]
            self._refuse_body(conn, exchange, exc)
            return len(chunk)
        if reader.is_complete:
            del self._reading[conn]
            exchange.request.attach_body(reader.body)
            exchange.reader, exchange.is_read = None, True
            self._handle(conn, exchange)
        return taken

    def forget(self, conn: Connection) -> None:
        """The connection is gone; a handler that runs for it may finish."""
        self._reading.pop(conn, None)
        if self._latest is conn:
            self._latest = None

    def is_reading(self, conn: Connection) -> bool:
        """Whether the body of a request is being read."""
        return conn in self._reading

    def is_busy(self, conn: Connection) -> bool:
        """Whether a request of the connection is being read or answered."""
        return conn in self._reading or conn.phase == HELD

    async def finish(self, timeout: float) -> None:
        """Wait until no handler runs; after `timeout` seconds, cancel those that still do."""
        if self._tasks:
            _, running = await asyncio.wait(self._tasks, timeout=timeout)
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running, timeout=CANCEL_GRACE_S)

    def refuse(self, conn: Connection, error: HandshakeError) -> None:
        """Answer what is no request, and close."""
        self._metrics.requests_refused[error.status] += 1
        exchange = self._reading.pop(conn, None)
        response = refusal_response(error)
        head_only = exchange is not None and exchange.request.method == "HEAD"
        conn.write(encode_response(response, keep_alive=False, head_only=head_only))
        conn.finish()
        self._access.say_refused(
            "bad request", remote=conn.remote, status=error.status, reason=error.reason
        )

    # What answers.

    def _read_body(self, conn: Connection, exchange: Exchange) -> None:
        try:
            exchange.reader = reader = BodyReader(exchange.request)
        except HandshakeError as exc:
            self._refuse_body(conn, exchange, exc)
            return
        if reader.needs_continue:
            conn.write(CONTINUE)
            reader.continue_sent()
        self._reading[conn] = exchange
        conn.expect_body()

    def _refuse_body(self, conn: Connection, exchange: Exchange, error: HandshakeError) -> None:
        self._metrics.requests_refused[error.status] += 1
        self._answer(conn, exchange, refusal_response(error))

    def _handle(self, conn: Connection, exchange: Exchange) -> None:
        """Call what answers the request, whose body is there."""
        match = exchange.match
        if match is None:
            self.go_on(conn, self._answer_static(conn, exchange))
            return
        if match.params:
            exchange.request.path_params = match.params
        try:
            value = match.target.call(exchange.request)
        except Exception as exc:
            self._answer(conn, exchange, self._failed(match, exc))
            return
        if isawaitable(value):
            self.go_on(conn, self._await(conn, exchange, match, value))
        else:
            self._return(conn, exchange, match, value)

    def go_on(
        self, conn: Connection, coro: Coroutine[Any, Any, None], *, until_end: bool = False
    ) -> asyncio.Task[Any] | None:
        """Run what may wait; if it does, nothing else of the connection is handled meanwhile.

        `until_end` is that of `conn.hold`. The task is returned where there is one.
        """
        task = self._start(self._guard(conn, coro), conn)
        if task is not None:
            conn.hold(until_end)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, conn: Connection, coro: Coroutine[Any, Any, None]) -> None:
        """Leave no connection held for ever by a defect of ours."""
        try:
            await coro
        except Exception as exc:
            log(SERVER, logging.ERROR, "internal error", exc_info=exc)
            conn.abort()

    async def _await(
        self, conn: Connection, exchange: Exchange, match: Match[HttpRoute], value: Any
    ) -> None:
        try:
            value = await value
        except asyncio.CancelledError:
            self._answer(conn, exchange, error_response(503, "server is shutting down"))
        except Exception as exc:
            self._answer(conn, exchange, self._failed(match, exc))
        else:
            self._return(conn, exchange, match, value)

    def _return(
        self, conn: Connection, exchange: Exchange, match: Match[HttpRoute], value: Any
    ) -> None:
        """A handler returned `value`."""
        if isinstance(value, HandleWebSocket):
            if conn.phase < ENDING:
                self._upgrade(conn, exchange.request, match)
            return
        try:
            response = to_response(value)
        except (TypeError, ValueError) as exc:
            response = self._failed(match, exc)
        self._answer(conn, exchange, response)

    async def _answer_static(self, conn: Connection, exchange: Exchange) -> None:
        # In a thread: a disk may be slow, and the loop waits for nobody.
        request = exchange.request
        if request.method in READING:
            response = await asyncio.to_thread(self._static, request)
            self._answer(conn, exchange, response or self._unrouted(request))
        else:
            is_file = await asyncio.to_thread(self._is_file, request.raw_path)
            self._answer(conn, exchange, self._unrouted(request, READING if is_file else ()))

    def _static(self, request: Request) -> Response | None:
        for each in self._statics:
            if (response := each.respond(request)) is not None:
                return response
        return None

    def _is_file(self, raw_path: str) -> bool:
        return any(each.has(raw_path) for each in self._statics)

    def _failed(self, match: Match[HttpRoute], exc: Exception) -> Response:
        if isinstance(exc, Reject):
            try:
                return refusal_response(exc)
            except (TypeError, ValueError) as bad:
                exc = bad
        self._metrics.handler_errors += 1
        self._errors.record(match.target.handler, exc, route=match.pattern)
        return error_response(500, "internal server error")

    def _unrouted(self, request: Request, allowed: Sequence[str] = ()) -> Response:
        """The answer where no route of the program and no file is.

        `allowed` are methods the path has beside those of its routes.
        """
        path = request.raw_path
        if self._cors is not None and request.method == "OPTIONS":
            reachable = [*allowed, *self._routes.methods_for(path)]
            if (answer := self._cors.preflight(request, reachable)) is not None:
                return answer
        if path == HEALTH_PATH and request.method in READING:
            return Response({"status": "draining"}, 503) if self.is_draining else _HEALTHY
        websocket = self._websockets.match(None, path)
        if websocket is not None and request.method in READING:
            upgrade = {"Upgrade": "websocket"}
            return error_response(426, "this is a WebSocket: ask for an upgrade", upgrade)
        methods = [*allowed, *self._visible_methods(path)]
        if websocket is not None and not websocket.target:
            methods.append("GET")
        if methods:
            allow = {"Allow": ", ".join(sorted({*methods}))}
            return error_response(405, "Method not allowed", allow)
        return Response({"error": "Route not found", "path": request.path}, 404)

    def _visible_methods(self, path: str) -> list[str]:
        if any(not route.target.hides_methods for route in self._routes.routes_for(path)):
            return self._routes.methods_for(path)
        return ["GET", "HEAD"] if path == HEALTH_PATH else []

    # The answer.

    def _answer(self, conn: Connection, exchange: Exchange, response: Response) -> None:
        request = exchange.request
        if self._cors is not None:
            response = self._cors.apply(request, response)
        if conn.phase < ENDING:  # else the client is gone
            keep_alive = (
                self.keeps_alive
                and not response.wants_close
                and request.keep_alive
                and exchange.is_read
            )
            head_only = request.method == "HEAD"
            try:
                data = encode_response(response, keep_alive=keep_alive, head_only=head_only)
            except ValueError as exc:  # what a handler added to an answer that was sound when made
                assert exchange.match is not None
                self._answer(conn, exchange, self._failed(exchange.match, exc))
                return
            conn.write(data)
            if not keep_alive:
                conn.finish()
            elif self._may_go_on(conn):
                conn.expect_head()
            else:
                conn.hold()
                conn.turn.post(conn.expect_head)
        if self._access.is_on:
            self._log_access(conn, exchange, response)

    def _may_go_on(self, conn: Connection) -> bool:
        """Whether the next request of a pipelining client may be handled at once."""
        if self._latest is not conn or self._in_a_row == MAX_IN_A_ROW:
            self._latest, self._in_a_row = conn, 0
        self._in_a_row += 1
        return self._in_a_row < MAX_IN_A_ROW

    def _log_access(self, conn: Connection, exchange: Exchange, response: Response) -> None:
        request = exchange.request
        self._access.say(
            "request",
            method=request.method,
            target=request.raw_path,  # without the query, which may be secret
            status=response.status,
            bytes=len(response.content),
            remote=request.remote,
            seconds=round(conn.turn.clock() - exchange.started, 3),
        )
