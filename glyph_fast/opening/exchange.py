"""HTTP on the port of the WebSockets: from a request that was read to the answer that leaves.

A handler that does not wait costs no task: its answer is written within the turn, and the requests
a pipelining client has sent behind follow at once. While one waits, its connection is held, so
answers keep the order of the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import HandshakeError, Reject
from ..handlers.outcome import is_cancelled, is_failure, running_task
from ..handlers.telling import failure_of
from ..http.body import BY_OPTION
from ..http.request import Request
from ..http.response import (
    Response,
    encode_response,
    error_response,
    refusal_response,
    to_response,
)
from ..http.router import Match
from ..json import codec_with
from ..wire import ENDING, HELD
from .answering import Answers
from .bodies import RequestBodies
from .pending import Exchange
from .running import Running
from .unrouted import READING, Unrouted

if TYPE_CHECKING:
    from ..core import Connection
    from ..options.config import Config
    from .cors import Cors
    from .redirects import Redirects
    from .site import Site


class HttpRoute(NamedTuple):
    """A function that answers requests of one method and path, and how it does."""

    call: Callable[[Request], Any]
    handler: object  # as it was registered, to be named in logs and tables
    hides_methods: bool = False  # 404 instead of 405 for other methods, as Glyph's routes have it
    max_body: int | None = BY_OPTION  # bytes of a request's body; None: no limit
    may_wait: bool = False  # so it can run before the body has come
    ends_with_client: bool = False  # it waits for nobody once its client has ended its side
    serve: Callable[[Connection, Exchange], None] | None = None  # answers by itself, without `call`


class HandleWebSocket(NamedTuple):
    """Returned by an HTTP handler: open a WebSocket for the request."""

    request: Request
    fields: Sequence[tuple[str, str]] = ()  # on the 101


class Exchanges:
    """Answers HTTP requests by routes, static files and what the server says by itself.

    `upgrade(conn, request, match)` opens a WebSocket for a handler that asks for it.
    """

    def __init__(
        self,
        site: Site,
        *,
        cors: Cors,
        redirects: Redirects,
        upgrade: Callable[[Any, Request, Match[Any], Sequence[tuple[str, str]]], None],
        config: Config,
    ) -> None:
        self._routes = site.routes
        self._statics = site.statics
        self._observer = site.observer
        self._mounts = site.mounts
        self._unrouted = Unrouted(site, cors, redirects, serves_client=config.serve_client)
        self.instead = self._unrouted.instead
        self._bodies = RequestBodies(
            config, metrics=site.metrics, handle=self._handle, refuse=self._refuse_body
        )
        self.dumps = codec_with(config.json_default).dumps
        running = self._running = Running(config.handler_grace, is_reading=self.is_reading)
        self.go_on, self.run, self.run_beside = running.go_on, running.run, running.run_beside
        self.ended, self.finish = running.ended, running.finish
        self.answers = Answers(
            cors=cors,
            access=site.access,
            go_on=self.go_on,
            failed=self._failed,
            ended=self._bodies.answered,
            dumps=self.dumps,
        )
        self._upgrade = upgrade
        self._metrics = site.metrics
        self._errors = site.errors
        self._access = site.access
        self._is_development = config.is_development

    # Steps of a request.

    def begin(self, conn: Connection, request: Request) -> None:
        """Answer a request whose head has come, or read its body first."""
        exchange = Exchange(request, conn._turn.clock())
        match = exchange.match = self._routes.match(request.method, request.raw_path)
        if match is not None and self._observer is not None:
            match = exchange.match = self._observer.route(match)
        elif match is None and self._mounts is not None and request.target != "*":
            match = self._to_mount(exchange)
        if match is None and not self._statics:
            self._answer(conn, exchange, self._unrouted.answer(request))
        elif exchange.is_read or (match is None and request.method not in READING):
            self._handle(conn, exchange)
        else:
            self._bodies.begin(conn, exchange)

    def _to_mount(self, exchange: Exchange) -> Match[HttpRoute] | None:
        """The application that a request goes to, unless a file may be there."""
        request = exchange.request
        assert self._mounts is not None
        if self._statics and not request._has_body and self._unrouted.may_be_file(request):
            return None
        mount = self._mounts.find(request.raw_path)
        if mount is not None:
            exchange.match = mount.http
        return exchange.match

    def feed(self, conn: Connection, chunk: bytes) -> int:
        """Take bytes of a body; the number of those that belonged to it."""
        return self._bodies.feed(conn, chunk)

    def forget(self, conn: Connection) -> None:
        """The connection is gone; what runs for it is cancelled, after a moment to finish.

        But a handler of a request that may change something, which its client has asked for: RFC
        9110 §9.2.1. Only its answer is for nobody.
        """
        self._bodies.drop(conn)
        self.answers.forget(conn)
        self._running.forget(conn)

    def is_reading(self, conn: Connection) -> bool:
        """Return whether the body of a request is being read."""
        return conn in self._bodies

    def is_busy(self, conn: Any) -> bool:
        """Return whether a request of the connection is being read or answered."""
        return conn in self._bodies or conn in self._running or conn._phase == HELD

    def refuse(self, conn: Connection, error: HandshakeError) -> None:
        """Answer what is no request, and close."""
        self._metrics.requests_refused[error.status] += 1
        exchange = self._bodies.drop(conn)
        if exchange is not None and exchange.is_answering:
            conn.abort()
        else:
            response = refusal_response(error)
            head_only = exchange is not None and exchange.request.method == "HEAD"
            conn._write(encode_response(response, keep_alive=False, head_only=head_only))
            conn._finish()
        self._access.say_refused(
            "bad request", remote=conn.remote, status=error.status, reason=error.reason
        )

    # What answers.

    def _refuse_body(self, conn: Connection, exchange: Exchange, error: HandshakeError) -> None:
        self._metrics.requests_refused[error.status] += 1
        self._answer(conn, exchange, refusal_response(error))

    def _handle(self, conn: Connection, exchange: Exchange) -> None:
        """Call what answers the request, whose body is there."""
        match = exchange.match
        if match is None:
            self.go_on(conn, exchange, self._answer_static(conn, exchange))
            return
        if match.target.serve is not None:
            match.target.serve(conn, exchange)
            return
        if match.params:
            exchange.request.path_params = match.params
        try:
            value = match.target.call(exchange.request)
        except BaseException as exc:
            self._answer(conn, exchange, self._failed(exchange, exc))
            return
        if isawaitable(value):
            self.go_on(conn, exchange, self._await(conn, exchange, match, value))
        else:
            self._return(conn, exchange, match, value)

    def answered(self, conn: Connection, exchange: Exchange, keep_alive: bool) -> None:
        """Go on with the connection, or end it, after an answer that was written without us."""
        exchange.is_answered = True
        if exchange.task is not None:
            self._running.let_go(conn, exchange)
        if conn._phase < ENDING:
            self.answers.end(conn, keep_alive)

    def streams(self, conn: Connection) -> None:
        """A request, whose body was there, has become a stream."""
        self._bodies.answered(conn)

    def answer(self, conn: Connection, exchange: Exchange, response: Response) -> None:
        """Answer in the place of what answers by itself."""
        exchange.is_answered = True
        self._running.let_go(conn, exchange)
        self._answer(conn, exchange, response)

    async def _await(
        self, conn: Connection, exchange: Exchange, match: Match[HttpRoute], value: Any
    ) -> None:
        task = running_task()
        try:
            value = await value
        except BaseException as exc:
            if not is_failure(exc, task):
                raise
            response = (
                error_response(503, "server is shutting down")
                if is_cancelled(exc)
                else self._failed(exchange, exc)
            )
            self._answer(conn, exchange, response)
        else:
            self._return(conn, exchange, match, value)

    def _return(
        self, conn: Connection, exchange: Exchange, match: Match[HttpRoute], value: Any
    ) -> None:
        """A handler returned `value`."""
        if isinstance(value, HandleWebSocket):
            self._bodies.answered(conn)
            if conn._phase < ENDING:
                self._upgrade(conn, exchange.request, match, value.fields)
            return
        try:
            response = to_response(value)
        except (TypeError, ValueError) as exc:
            response = self._failed(exchange, exc)
        self._answer(conn, exchange, response)

    async def _answer_static(self, conn: Connection, exchange: Exchange) -> None:
        # In a thread: a disk may be slow, and the loop waits for nobody.
        request = exchange.request
        if self._mounts is None or (mount := self._mounts.find(request.raw_path)) is None:
            response = await asyncio.to_thread(self._unrouted.file, request)
        elif (found := await asyncio.to_thread(self._unrouted.find, request)) is not None:
            response = found
        else:
            exchange.match = mount.http
            conn._turn.post(self._handle, conn, exchange)
            return
        self._answer(conn, exchange, response)

    def _failed(self, exchange: Exchange, exc: BaseException) -> Response:
        if exchange.body is not None and exchange.body.tells_of_cut(exc):  # no error of the program
            return error_response(400, "the request body ended early")
        if isinstance(exc, KeyboardInterrupt):
            raise exc
        match = exchange.match
        assert match is not None  # what is not a program's does not fail
        if isinstance(exc, Reject):
            try:
                response = refusal_response(exc)
                response._encoded(self.dumps)  # here, where what fails is no refusal
                return response
            except Exception as bad:
                exc = bad
        self.failed(match.target.handler, exc, match.pattern)
        if self._is_development:
            return Response(failure_of(match.target.handler, exc), 500)
        return error_response(500, "internal server error")

    def failed(self, handler: object, exc: BaseException, route: str) -> None:
        """Count and log what a handler raised."""
        self._metrics.handler_errors += 1
        self._errors.record(handler, exc, route=route)

    def _answer(self, conn: Connection, exchange: Exchange, response: Response) -> None:
        self.answers.send(conn, exchange, response)

    def with_cors(self, request: Request, response: Response) -> Response:
        """The answer with what the page that asks needs to read it."""
        cors = self.answers.cors
        return response if cors is None else cors.apply(request, response)

    @property
    def keeps_alive(self) -> bool:
        """Return whether a connection may bring another request after the next."""
        return self.answers.keeps_alive

    @property
    def is_draining(self) -> bool:
        """Return whether `/healthz` says so."""
        return self._unrouted.is_draining

    def drain(self) -> None:
        """From now on `/healthz` says so, and each connection closes after its next answer."""
        self._unrouted.is_draining = True
        self.finish_connections()

    def finish_connections(self) -> None:
        """From now on close each connection after its next answer."""
        self.answers.keeps_alive = False
