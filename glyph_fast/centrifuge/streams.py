"""The ways in by HTTP: requests that become streams, and those of clients that read one.

A request is judged as an upgrade is, and answered by a stream; who its client is it has said in the
body, or in the query. What such a client says afterwards comes to `/emulation`, on whatever
connection and to whatever worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import BrokerUnavailable, HandshakeError
from ..handlers.entering import Entrance
from ..http.request import Request
from ..http.response import Response, encode_head, error_response, refusal_response
from ..http.router import Match, Router
from ..hub.sessions import GONE, TAKEN
from ..opening.exchange import HttpRoute
from ..opening.mounting import Door
from ..opening.origins import upgrade_of_stream
from ..opening.pending import Exchange
from ..websocket.handshake import Upgrade
from ..wire import TRANSLATED_EVENTS
from .codes import BAD_CONNECTION, DISCONNECTS
from .door import protobuf
from .server import CentrifugeServer
from .session import Session
from .streaming import Framing, StreamSession, UniSession, event, line, sized
from .wireformat import BadFrame, Json, WireFormat

if TYPE_CHECKING:
    from ..opening.handshakes import Handshakes

MAX_FIRST = 65_536  # bytes of a request that becomes a stream, as of others' servers
ESCAPED = 3  # times its size that a message takes as a string in JSON: a `"`, an emoji
BESIDE = 1024  # bytes of the rest of such a request
EMULATION = "/emulation"
CONNECT = "cf_connect"  # of the query
PROTOBUF = "application/octet-stream"  # the type of a body
_FIELDS = (
    ("Cache-Control", "no-cache, no-transform"),  # a proxy that compressed would gather first
    ("X-Accel-Buffering", "no"),  # as nginx wants to be asked
)


class Stream(NamedTuple):
    """A way in: at the path beside that of WebSockets with this last part."""

    name: str
    methods: tuple[str, ...]
    is_events: bool
    is_uni: bool


STREAMS = (
    Stream("http_stream", ("POST",), False, False),
    Stream("sse", ("GET", "POST"), True, False),
    Stream("uni_http_stream", ("POST",), False, True),
    Stream("uni_sse", ("GET", "POST"), True, True),
)


class StreamDoor:
    """Makes streams of requests."""

    def __init__(self, server: CentrifugeServer, stream: Stream) -> None:
        self._server = server
        self._stream = stream

    def attach(self, handshakes: Handshakes) -> None:
        """Serve by these. Called once for each run, before anything else."""
        self._handshakes = handshakes

    def add_to(self, routes: Router[HttpRoute], beside: str) -> None:
        """Serve at the path of that name below `beside`."""
        name = self._stream.name
        route = HttpRoute(_nothing, f"Centrifuge, {name}", max_body=MAX_FIRST, serve=self.serve)
        for method in self._stream.methods:
            routes.add(method, f"{beside}/{name}", route)

    def serve(self, conn: Any, exchange: Exchange) -> None:
        """Answer a request, whose body is there."""
        request, match = exchange.request, exchange.match
        assert match is not None
        exchanges = self._handshakes.exchanges
        try:
            wire = self._wire_of(request)
            first = self._first_of(request)
        except HandshakeError as exc:
            exchanges.answer(conn, exchange, refusal_response(exc))
            return
        exchanges.streams(conn)
        entry = _Entry(self, wire, first)
        self._handshakes.open(conn, request, Match(entry, match.pattern, match.params))

    def _wire_of(self, request: Request) -> type[WireFormat]:
        is_binary = request.headers.get("content-type", "") == PROTOBUF
        if not is_binary or self._stream.is_events or self._stream.is_uni:
            return Json
        return protobuf()

    def _first_of(self, request: Request) -> bytes:
        """Return what the client says first."""
        if request.method == "POST":
            first = request._body
        else:
            first = request.query.get(CONNECT, "").encode()
        if not first and self._stream.is_uni:
            return b"{}"
        if not first:
            raise HandshakeError(400, "there is no connect command")
        return first

    def open(
        self,
        conn: Any,
        request: Request,
        fields: Sequence[tuple[str, str]],
        wire: type[WireFormat],
        first: bytes,
    ) -> None:
        """Begin the answer, and take what the client says first."""
        handshakes, stream = self._handshakes, self._stream
        is_chunked = request.http_version == "1.1"
        framing: Framing = event if stream.is_events else line if wire is Json else sized
        codec = self._server.body_codec(wire, framing, is_uni=stream.is_uni, is_chunked=is_chunked)
        type_ = "text/event-stream" if stream.is_events else "application/json"
        type_ = PROTOBUF if wire is not Json else type_
        head = Response(b"", headers=[("Content-Type", type_), *_FIELDS, *fields])
        encoded = encode_head(
            handshakes.exchanges.with_cors(request, head),
            "Transfer-Encoding: chunked" if is_chunked else "",
            keep_alive=False,
        )
        conn._write(encoded + (codec.whole(b"\r\n") if stream.is_events else b""))
        conn._use_codec(codec)
        handshakes.count(conn, request)
        conn._upgrade(TRANSLATED_EVENTS)
        kind: type[Session] = UniSession if stream.is_uni else StreamSession
        self._server.open(conn, codec, kind=kind)
        try:
            conn._receive(first.decode() if wire is Json else first)
        except UnicodeDecodeError:
            conn.close(BAD_CONNECTION, DISCONNECTS[BAD_CONNECTION])


class _Entry(Door):
    """One request on its way to a stream."""

    def __init__(self, door: StreamDoor, wire: type[WireFormat], first: bytes) -> None:
        self._door = door
        self._wire = wire
        self._first = first

    def check(self, request: Request) -> Upgrade:
        """Its origin. HandshakeError for an unsound one."""
        return upgrade_of_stream(request)

    def let_in(
        self,
        conn: Any,
        request: Request,
        fields: Sequence[tuple[str, str]],
        expires_at: float | None,
    ) -> None:
        """Open the stream."""
        self._door.open(conn, request, fields, self._wire, self._first)


class Emulation:
    """Takes what clients say that read a stream."""

    def __init__(self, server: CentrifugeServer) -> None:
        self._server = server
        self._entrance = Entrance(server.hub, server.dispatcher)

    def attach(self, handshakes: Handshakes) -> None:
        """Serve by these. Called once for each run, before anything else."""
        self._handshakes = handshakes

    def add_to(self, routes: Router[HttpRoute]) -> None:
        """Serve at its path."""
        route = HttpRoute(_nothing, "Centrifuge, what clients of streams say", serve=self.take)
        routes.add("POST", EMULATION, route)

    def take(self, conn: Any, exchange: Exchange) -> None:
        """Answer a POST, whose body is there."""
        exchanges = self._handshakes.exchanges
        exchanges.go_on(conn, exchange, self._take(conn, exchange))

    async def _take(self, conn: Any, exchange: Exchange) -> None:
        request, exchanges = exchange.request, self._handshakes.exchanges
        try:
            self._handshakes.origins.check(conn, request, request.headers.get("origin"))
            session, message = _read(request, self._server.hub._config.max_message_size)
            fate = await self._entrance.take(session, message)
            if fate == GONE and exchanges.keeps_alive:
                raise HandshakeError(404, "no such session")
            if fate == GONE:  # a successor may know it, who listens on the same sockets
                raise HandshakeError(503, "server is shutting down: try again")
            if fate != TAKEN:
                raise HandshakeError(429, "too many messages: try again", {"Retry-After": "1"})
            response = Response(status=204)
        except HandshakeError as exc:
            self._server.hub.metrics.requests_refused[exc.status] += 1
            response = refusal_response(exc)
        except BrokerUnavailable:
            response = error_response(503, "try again")
        exchanges.answer(conn, exchange, response)


def _nothing(request: Request) -> None:
    """In the place of a handler, which nobody calls."""


def _read(request: Request, most: int) -> tuple[str, str | bytes]:
    """The session of a request, and what its client says there, of at most so many bytes.

    HandshakeError for what is none of these, or longer.
    """
    type_ = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if type_ not in ("application/json", PROTOBUF):
        raise HandshakeError(415, f"a message is sent as application/json or {PROTOBUF}")
    wire = protobuf() if type_ == PROTOBUF else Json
    if len(request._body) > ESCAPED * most + BESIDE:
        raise HandshakeError(413, f"a message is at most {most} bytes")
    try:
        fields = wire().read_one("EmulationRequest", request._body)
    except BadFrame as exc:
        raise HandshakeError(400, str(exc)) from None
    data = fields.get("data")
    if not isinstance(data, str if wire is Json else bytes):
        raise HandshakeError(400, "data is missing, or is no frame of the protocol")
    if len(data if isinstance(data, bytes) else data.encode()) > most:
        raise HandshakeError(413, f"a message is at most {most} bytes")
    return fields.get("session", ""), data


__all__ = ["Emulation", "STREAMS", "Stream", "StreamDoor"]
