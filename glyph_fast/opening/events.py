"""Server-sent events: requests that become streams, and requests of who listens to one.

A GET is judged as an upgrade is, and by whoever judges its rooms; then it is answered by events,
and the connection is one of the hub's like any other. What its client says comes by POST, with the
secret that its first event told it, on whatever connection and to whatever worker.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..dialects.events import block, read_id
from ..errors import BrokerUnavailable, ConnectionClosed, HandshakeError, Reject
from ..handlers.entering import Entrance
from ..http.request import Request
from ..http.response import Response, encode_head, error_response, refusal_response
from ..http.router import Match
from ..hub.events import JoiningCodec
from ..hub.sessions import GONE, TAKEN
from ..json import dumps, loads
from ..options.config import Config
from ..websocket.handshake import Upgrade
from ..wire import ENDING, EVENTS
from .mounting import Door
from .origins import upgrade_of_stream
from .pending import Exchange

if TYPE_CHECKING:
    from .exchange import Exchanges
    from .handshakes import Handshakes
    from .site import Site

MAX_ROOMS = 16  # named by one request
MAX_LAST_ID = 4096  # characters of Last-Event-ID; ours are shorter
NEW = "new"  # in the place of a session: a stream of no rooms, whose client joins by messages
# A client that was cut off waits between these before it comes back, so that not all do at once.
RETRY_MS = (1000, 5000)
_TYPE = "text/event-stream"
_FIELDS = (
    ("Content-Type", _TYPE),
    ("Cache-Control", "no-cache, no-transform"),  # a proxy that compressed would gather first
    ("X-Accel-Buffering", "no"),  # as nginx wants to be asked
)


class EventStreams(Door):
    """The streams of events of a server."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def attach(
        self, config: Config, site: Site, exchanges: Exchanges, handshakes: Handshakes
    ) -> None:
        """Serve by these. Called once for each run, before anything else."""
        self._max_message = config.max_message_size
        self._opened = site.opened
        self._observer = site.observer
        self._metrics = site.metrics
        self._exchanges = exchanges
        self._handshakes = handshakes

    # Streams.

    def serve(self, conn: Any, exchange: Exchange) -> None:
        """Answer a GET by events."""
        request, match = exchange.request, exchange.match
        assert match is not None
        if request.method == "HEAD":
            self._exchanges.answer(conn, exchange, Response(b"", headers=_FIELDS))
        elif request._has_body:
            response = error_response(400, "a request for events has no body")
            self._exchanges.answer(conn, exchange, response)
        else:
            self._handshakes.open(conn, request, Match(self, match.pattern, match.params))

    def check(self, request: Request) -> Upgrade:
        """Read what a request asks for; HandshakeError 400 for too many rooms, or none."""
        try:
            names = rooms_of(request)
        except Reject:  # a thousand parameters
            names = ("",) * (MAX_ROOMS + 1)
        if not names and request.headers.get("session") != NEW:
            raise HandshakeError(400, "name a room: ?room=NAME")
        if len(names) > MAX_ROOMS:
            raise HandshakeError(400, f"a stream is of at most {MAX_ROOMS} rooms")
        return upgrade_of_stream(request)

    def let_in(
        self,
        conn: Any,
        request: Request,
        fields: Sequence[tuple[str, str]],
        expires_at: float | None,
    ) -> None:
        """The client may come in, if it may be in its rooms."""
        self._handshakes.keep_room(conn, request)
        self._handshakes.decide(conn, self._admit(conn, request, fields, expires_at))

    async def _admit(
        self,
        conn: Any,
        request: Request,
        fields: Sequence[tuple[str, str]],
        expires_at: float | None,
    ) -> None:
        handshakes, names = self._handshakes, rooms_of(request)
        try:
            try:
                await self._entrance.judge(conn, names)
            finally:
                handshakes.give_up_room(conn)
            if conn._phase >= ENDING:
                return
            handshakes.check_capacity()  # the server may have begun to drain
        except HandshakeError as exc:
            handshakes.reject(conn, request, exc, "room")
            return
        self._open(conn, request, names, fields, expires_at)

    def _open(
        self,
        conn: Any,
        request: Request,
        names: tuple[str, ...],
        fields: Sequence[tuple[str, str]],
        expires_at: float | None,
    ) -> None:
        is_chunked = request.http_version == "1.1"
        last_id = request.headers.get("last-event-id", "")
        since = read_id(last_id, names) if len(last_id) <= MAX_LAST_ID else {}
        joining = JoiningCodec(since, is_chunked)
        response = Response(b"", headers=[*_FIELDS, *fields])
        framing = "Transfer-Encoding: chunked" if is_chunked else ""
        head = encode_head(self._exchanges.with_cors(request, response), framing, keep_alive=False)
        told = dumps({"id": conn.id, "session": self._entrance.begin_session(conn)})
        first = block(told, joining.id, "open", random.randint(*RETRY_MS))
        conn._write(head + joining.whole(first))
        conn._use_codec(joining)
        self._handshakes.count(conn, request)
        if self._observer is not None:
            self._observer.accepting(conn, request)
        conn._upgrade(EVENTS)
        self._opened(conn, expires_at)
        self._entrance.join(conn, names, joining)
        if self._observer is not None:
            self._observer.accepted(conn)

    # Messages.

    def take(self, conn: Any, exchange: Exchange) -> None:
        """Answer a POST, which brings a message."""
        self._exchanges.go_on(conn, exchange, self._take(conn, exchange))

    async def _take(self, conn: Any, exchange: Exchange) -> None:
        request = exchange.request
        try:
            session = self._session(conn, request)
            fate = await self._entrance.take(session, await self._message(request))
            if fate == GONE and self._exchanges.keeps_alive:
                raise HandshakeError(404, "no such session")
            if fate == GONE:  # a successor may know it, who listens on the same sockets
                raise HandshakeError(503, "server is shutting down: try again")
            if fate != TAKEN:
                raise HandshakeError(429, "too many messages: try again", {"Retry-After": "1"})
            response = Response(status=204)
        except (HandshakeError, Reject) as exc:
            self._metrics.requests_refused[exc.status] += 1
            response = refusal_response(exc)
        except BrokerUnavailable:
            response = error_response(503, "try again")
        except ConnectionClosed:
            return  # with the body not here
        self._exchanges.answer(conn, exchange, response)

    def _session(self, conn: Any, request: Request) -> str:
        """The session that a request speaks in. HandshakeError for one that may not speak."""
        headers = request.headers
        self._handshakes.origins.check(conn, request, headers.get("origin"))
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise HandshakeError(415, "a message is sent as application/json")
        session = headers.get("session")
        if session is None:
            raise HandshakeError(400, "the field Session is missing")
        if self._exchanges.keeps_alive and not self._entrance.may_know(session):
            raise HandshakeError(404, "no such session")
        return session

    async def _message(self, request: Request) -> str:
        """The text of the message that a request brings."""
        limit = self._max_message
        if (request._content_length or 0) > limit:
            raise HandshakeError(413, f"a message is at most {limit} bytes")
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise HandshakeError(413, f"a message is at most {limit} bytes")
        try:
            text = body.decode()
            value = loads(text)
        except ValueError:
            raise HandshakeError(400, "a message is JSON") from None
        if not isinstance(value, dict):
            raise HandshakeError(400, "a message is an envelope, a JSON object")
        return text


def rooms_of(request: Request) -> tuple[str, ...]:
    """The rooms that a request names, in the order of their names."""
    return tuple(sorted({*request.query.getlist("room")}))


__all__ = ["EventStreams"]
