"""The bodies of requests: which of them are read, when their handlers run, and what bounds them.

A handler that cannot wait gets the whole body, and so does every other where that is small: most
are there with their head, and who trickles in reaches no handler. Else the handler runs at once and
takes the body as it comes; what it does not take is not read.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import HandshakeError
from ..http.body import BY_OPTION, CONTINUE, BodyReader
from ..http.incoming import BODY_WINDOW, IncomingBody
from ..http.request import Request
from ..hub.metrics import Metrics
from ..hub.shares import BODY_FRAMES
from ..wire import ENDING, PAUSE_BODY
from .admission import BodyCount

if TYPE_CHECKING:
    from ..core import Connection
    from ..options.config import Config
    from .pending import Exchange


class RequestBodies:
    """Reads the bodies of requests.

    `handle(conn, exchange)` answers a request whose body is there, or may be taken as it comes;
    `refuse(conn, exchange, error)` one whose body is refused before that.
    """

    def __init__(
        self,
        config: Config,
        *,
        metrics: Metrics,
        handle: Callable[[Connection, Exchange], None],
        refuse: Callable[[Connection, Exchange, HandshakeError], None],
    ) -> None:
        self._count = BodyCount(config)
        self.answered = self._count.end  # the request is answered: its body is held no more
        self._max_body = config.max_body_size
        self._metrics = metrics
        self._handle = handle
        self._refuse = refuse
        self._reading: dict[Connection, Exchange] = {}

    def __contains__(self, conn: object) -> bool:
        """Return whether the body of a request of that connection is being read."""
        return conn in self._reading

    def begin(self, conn: Connection, exchange: Exchange) -> None:
        """Read the body of a request whose head has come."""
        request, route = exchange.request, None if exchange.match is None else exchange.match.target
        own = BY_OPTION if route is None else route.max_body
        limit = self._max_body if own == BY_OPTION else own
        waits_for_all = route is None or not route.may_wait or _is_small(request)
        try:
            self._count.begin(conn, request.remote)
            # Of what is taken as it comes, only a limit of the route's own counts.
            reader = BodyReader(request, limit if waits_for_all or own != BY_OPTION else None)
        except HandshakeError as exc:
            self._refuse(conn, exchange, exc)
            return
        exchange.reader = reader
        self._reading[conn] = exchange
        conn._expect_body()
        if not waits_for_all:
            exchange.body = IncomingBody(reader, _Source(conn, exchange, self._metrics), limit)
            conn._turn.charge(BODY_FRAMES)
            conn._turn.post(self._handle_early, conn, exchange)
        elif reader.needs_continue:
            conn._write(CONTINUE)
            reader.continue_sent()

    def _handle_early(self, conn: Connection, exchange: Exchange) -> None:
        """At the end of the turn in which its head came: run the handler, with what is there."""
        if conn._phase < ENDING and exchange.body is not None:
            exchange.request._attach_incoming(exchange.body)
            self._handle(conn, exchange)

    def feed(self, conn: Connection, chunk: bytes) -> int:
        """Take bytes of a body; the number of those that belonged to it."""
        exchange = self._reading[conn]
        reader, body = exchange.reader, exchange.body
        assert reader is not None
        if body is not None and body.has_failed:
            return len(chunk)  # until its handler has answered
        try:
            taken = reader.feed(chunk)
        except HandshakeError as exc:
            self._break(conn, exchange, exc)
            return len(chunk)
        if reader.is_complete:
            del self._reading[conn]
            exchange.is_read = True
            if body is None:
                exchange.request._attach_body(reader.take())
                exchange.reader = None
                self._handle(conn, exchange)
                return taken
            conn._hold()
        if body is not None:
            body.came()
            if body.is_full and not reader.is_complete:
                conn._pause_reading(PAUSE_BODY)
        return taken

    def _break(self, conn: Connection, exchange: Exchange, error: HandshakeError) -> None:
        """Refuse what is no body, or too much of it: nobody knows where the next request begins."""
        if exchange.body is None:
            del self._reading[conn]
            self._refuse(conn, exchange, error)
        else:
            self._metrics.requests_refused[error.status] += 1
            exchange.body.refuse(error.status, error.reason)

    def drop(self, conn: Connection) -> Exchange | None:
        """The rest of a body will not come; the exchange, if there was one."""
        self._count.end(conn)
        exchange = self._reading.pop(conn, None)
        if exchange is not None and exchange.body is not None:
            exchange.body.cut_off()
        return exchange


class _Source:
    """The part of a connection that a body needs which is read while its handler runs."""

    __slots__ = ("_conn", "_exchange", "_metrics")

    def __init__(self, conn: Connection, exchange: Exchange, metrics: Metrics) -> None:
        self._conn = conn
        self._exchange = weakref.ref(exchange)  # which holds the body, and that its source
        self._metrics = metrics

    def ask(self) -> None:
        """Tell the client to send, unless it has been told what comes of it."""
        exchange = self._exchange()
        if exchange is not None and not exchange.is_answering:
            self._conn._write(CONTINUE)

    def go_on(self) -> None:
        """Read again."""
        self._conn._resume_reading(PAUSE_BODY)

    def refuse(self, status: int) -> None:
        """Count it; whoever reads the body hears of it."""
        self._metrics.requests_refused[status] += 1


def _is_small(request: Request) -> bool:
    """Return whether a body is worth waiting for before a handler runs."""
    size = request._content_length
    return size is not None and size <= BODY_WINDOW and "expect" not in request.headers


__all__ = ["RequestBodies"]
