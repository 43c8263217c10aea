"""The opening of a connection: what a request head leads to.

A head becomes an HTTP exchange, or a WebSocket after these questions, in this order: is there such
a route; is there room (503); has its address had its share (429); is the handshake sound (400, 405,
426); may pages of that origin connect (403); who is it (`authenticate`). Only an authenticator that
waits costs a task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable
from typing import Any

from ..config import Config
from ..core import Turn
from ..deflate import Agreement, Deflate
from ..errors import HandshakeError, Reject
from ..handshake import (
    Upgrade,
    accept_response,
    check_upgrade,
    choose_subprotocol,
    is_upgrade,
    parse_extensions,
)
from ..http.forwarded import Proxies
from ..http.head import parse_head
from ..http.request import Request
from ..http.response import encode_response, error_response, phrase, refusal_response
from ..http.router import Match, Router
from ..http.static import StaticFiles
from ..logs import SERVER, AccessLog, ErrorLog, log
from ..metrics import Metrics
from ..wire import BODY, ENDING, OPEN
from .admission import Admission, Refusal
from .cors import Cors
from .exchange import Exchanges, HttpRoute, Start
from .origins import Origins
from .proxy_protocol import ProxyGate

Authenticate = Callable[[Request], Any]


class Opening:
    """The methods `request`, `refuse` and `data` of the core's `Handler`.

    `start` runs a coroutine up to its first wait; `opened(conn)` is told of each WebSocket, whose
    attributes are set by then; `count()` says how many there are, `count_user(identity)` how many
    of one user. `cors` are fields for every HTTP answer in place of those that the allowed origins
    lead to. `subprotocols` are offered instead of the options'.
    """

    def __init__(
        self,
        config: Config,
        *,
        routes: Router[HttpRoute],
        websockets: Router[bool],
        statics: Sequence[StaticFiles] = (),
        cors: Mapping[str, str] | None = None,
        authenticate: Authenticate | None = None,
        subprotocols: Sequence[str] | None = None,
        start: Start,
        opened: Callable[[Any], object],
        count: Callable[[], int],
        count_user: Callable[[Any], int],
        metrics: Metrics,
        errors: ErrorLog,
        access: AccessLog | None = None,
    ) -> None:
        self._access = access = access or AccessLog()
        self.exchanges = Exchanges(
            routes,
            websockets,
            statics,
            cors=Cors(config.allowed_origins, cors),
            start=start,
            upgrade=self._upgrade,
            metrics=metrics,
            errors=errors,
            access=access,
        )
        self._routes = routes
        self._websockets = websockets
        self._authenticate = authenticate
        self._opened = opened
        self._count = count
        self._count_user = count_user
        self._metrics = metrics
        self._errors = errors
        self._subprotocols = config.subprotocols if subprotocols is None else subprotocols
        self._deflate = None
        if config.compression != "off":
            self._deflate = Deflate(config.compression, config.compression_min_size)
        self._max_connections = config.max_connections
        self._max_per_user = config.max_connections_per_user
        self._scheme = "https" if config.is_tls else "http"
        self._proxies = Proxies(config.trusted_proxies)
        self._origins = Origins(config, self._proxies)
        self._is_proxied = bool(config.trusted_proxies)
        self._admission = Admission(config)
        # Whose authenticator waits, and its task; they count as connections.
        self._pending: dict[Any, asyncio.Task[Any] | None] = {}
        # Where the PROXY protocol is spoken, what reads its headers.
        self.gate = ProxyGate(self._proxies, self._unproxied) if config.proxy_protocol else None

    # What the core calls.

    def request(self, conn: Any, head: bytes) -> None:
        """A request head came."""
        try:
            request = parse_head(head, conn.remote)
            if self._scheme == "https":
                request.scheme = "https"
                request.tls = getattr(conn.sink, "tls", None)
            if self._is_proxied:
                request.forward(*self._proxies.client(request, conn.remote))
        except HandshakeError as exc:
            self.exchanges.refuse(conn, exc)
            return
        try:
            self._begin(conn, request)
        except Exception as exc:  # a defect of ours; the client is told, the others go on
            log(SERVER, logging.ERROR, "internal error", exc_info=exc, target=request.raw_path)
            self.exchanges.refuse(conn, HandshakeError(500, "internal server error"))

    def refuse(self, conn: Any, status: int) -> None:
        """No acceptable head came, or no body; or no PROXY header, which nobody is told of."""
        if self._awaits_header(conn):
            self._unproxied(conn, "no PROXY header in time")
            conn.abort()
            return
        self.exchanges.refuse(conn, HandshakeError(status, phrase(status)))

    def data(self, conn: Any, chunk: bytes) -> int:
        """Bytes of a request body came, or of a PROXY header."""
        if not self._awaits_header(conn):
            return self.exchanges.feed(conn, chunk)
        assert self.gate is not None
        size = self.gate.read(conn, chunk)
        if size < 0:
            conn.abort()
        elif size:
            conn.expect_head()
        return size

    def _awaits_header(self, conn: Any) -> bool:
        """Whether the connection has yet to begin: the core takes its PROXY header for a body."""
        return self.gate is not None and conn.phase == BODY and not self.exchanges.is_reading(conn)

    def _unproxied(self, conn: Any, reason: str) -> None:
        """A connection is not served: no proxy that counts has said whose it is."""
        self._metrics.connections_rejected["proxy"] += 1
        self._access.say_refused("connection refused", remote=conn.remote, reason=reason)

    def sweep(self, turn: Turn) -> None:
        """Close idle connections of addresses that have too many. After each sweep of the turn."""
        trusts = self._proxies.trusts
        for conn in self._admission.too_many_idle(turn, self._count(), trusts):
            self._metrics.connections_rejected["address"] += 1
            reason = "too many idle connections from this address"
            self._access.say_refused("connection refused", remote=conn.remote, reason=reason)
            conn.abort()

    def closed(self, conn: Any) -> None:
        """A connection is gone that never became a WebSocket; nor need its authenticator go on."""
        task = self._pending.get(conn)
        self._give_up_room(conn)
        if task is not None:
            task.cancel()
        self.exchanges.forget(conn)

    @property
    def left(self) -> Callable[[Any], object] | None:
        """To be told of each WebSocket that is gone; None where nobody counts them."""
        return self._admission.closed if self._admission.counts_connections else None

    # Draining.

    @property
    def is_draining(self) -> bool:
        """Whether upgrades are refused and `/healthz` says so."""
        return self.exchanges.is_draining

    def drain(self) -> None:
        """From now on refuse upgrades, and close each connection after its next answer."""
        self.exchanges.keeps_alive = False
        self.exchanges.is_draining = True

    def finish(self) -> None:
        """From now on close each connection after its next answer; upgrades are still served."""
        self.exchanges.keeps_alive = False

    def is_waited_for(self, conn: Any) -> bool:
        """Whether the first request of a connection is still to be heard, or one to be answered."""
        return conn.phase < OPEN and (not conn.bytes_sent or self.exchanges.is_busy(conn))

    # WebSockets.

    def _begin(self, conn: Any, request: Request) -> None:
        if is_upgrade(request):
            match = self._websockets.match(None, request.raw_path)
            if match is not None:
                self._open(conn, request, match)
                return
            if self._routes.match(request.method, request.raw_path) is None:
                body: dict[str, object] = {"error": "Route not found", "path": request.path}
                self._reject(conn, request, Reject(404, body), "route")
                return
            # An HTTP handler may still open a WebSocket by `handle_websocket`. What decides whether
            # it does, say cookies, must not be what a foreign page's visitor brings.
            try:
                self._origins.check(conn, request, request.headers.get("origin"))
            except HandshakeError as exc:
                self._reject(conn, request, exc)
                return
        self.exchanges.begin(conn, request)

    def _upgrade(self, conn: Any, request: Request, match: Match[Any]) -> None:
        """An HTTP handler wants a WebSocket. So does the client, or it is told."""
        if is_upgrade(request):
            self._open(conn, request, match)
            return
        try:
            self._check_capacity()
            raise HandshakeError(426, "ask for an upgrade", {"Upgrade": "websocket"})
        except HandshakeError as exc:
            self._reject(conn, request, exc)

    def _open(self, conn: Any, request: Request, match: Match[Any]) -> None:
        if match.params:
            request.path_params = match.params
        try:
            self._check_capacity()
            if self._admission.is_needed:
                self._admission.check_rate(request.remote, conn.turn.clock())
                self._admission.check_count(request.remote)
            upgrade = check_upgrade(request)
            self._origins.check(conn, request, upgrade.origin)
        except HandshakeError as exc:
            self._reject(conn, request, exc)
            return
        if self._authenticate is None:
            identity = None if request.tls is None else request.tls.identity
            self._accept(conn, request, match, upgrade, identity)
            return
        try:
            identity = self._authenticate(request)
        except Exception as exc:
            self._deny(conn, request, exc)
            return
        if isawaitable(identity):
            # Who ends its side now cannot want a WebSocket, whose end is a frame: it is gone. So
            # uvicorn and aiohttp have it, for which it is true of any request; ours are answered.
            waiting = self._wait(conn, request, match, upgrade, identity)
            task = self.exchanges.go_on(conn, waiting, until_end=True)
            if conn in self._pending:
                self._pending[conn] = task
        else:
            self._accept(conn, request, match, upgrade, identity)

    async def _wait(
        self, conn: Any, request: Request, match: Match[Any], upgrade: Upgrade, identity: Any
    ) -> None:
        self._keep_room(conn, request)
        try:
            try:
                identity = await identity
            finally:  # what follows does not wait, so nobody else takes it
                self._give_up_room(conn)
        except asyncio.CancelledError:
            if conn.phase >= ENDING:  # the client is gone, and nobody was refused
                return
            self._deny(conn, request, Refusal("draining", 503, "server is shutting down"))
        except Exception as exc:
            self._deny(conn, request, exc)
        else:
            self._accept_late(conn, request, match, upgrade, identity)

    def _accept_late(
        self, conn: Any, request: Request, match: Match[Any], upgrade: Upgrade, identity: Any
    ) -> None:
        """Accept after a wait, if the client is still there; room was kept for it."""
        if conn.phase >= ENDING:
            return
        try:
            self._check_capacity()  # the server may have begun to drain
        except HandshakeError as exc:
            self._reject(conn, request, exc)
        else:
            self._accept(conn, request, match, upgrade, identity)

    def _keep_room(self, conn: Any, request: Request) -> None:
        """Count an upgrade as a connection while it waits: waiting ones need a limit, too."""
        self._pending[conn] = None
        if self._admission.counts_connections:
            self._admission.opened(conn, request.remote)

    def _give_up_room(self, conn: Any) -> None:
        """Count it no more. One that is not counted is no error."""
        if conn in self._pending:
            del self._pending[conn]
            self._admission.closed(conn)

    def _check_capacity(self) -> None:
        if self.exchanges.is_draining:
            raise Refusal("draining", 503, "server is shutting down")
        if self._count() + len(self._pending) >= self._max_connections:
            raise Refusal("full", 503, "too many connections")

    def _accept(
        self, conn: Any, request: Request, match: Match[Any], upgrade: Upgrade, identity: Any
    ) -> None:
        if identity is not None and not self._may_have_another(conn, request, identity):
            return
        try:
            subprotocol = agreed = None
            if upgrade.subprotocols:
                subprotocol = choose_subprotocol(upgrade.subprotocols, self._subprotocols)
            if upgrade.extensions:
                agreed = self._agree(upgrade.extensions)
        except HandshakeError as exc:
            self._reject(conn, request, exc)
            return
        conn._kept = request.kept
        if match.params:  # else it keeps the one that is everybody's
            conn.path_params = match.params
        conn.route_pattern = match.pattern
        conn.identity = identity
        conn.subprotocol = subprotocol
        if self._is_proxied:
            conn.remote = request.remote
        if self._admission.counts_connections:
            self._admission.opened(conn, request.remote)
        if agreed is None:
            conn.write(accept_response(upgrade.key, subprotocol))
        else:
            conn.write(accept_response(upgrade.key, subprotocol, agreed.header))
            conn.use_codec(agreed.codec)
        conn.upgrade()
        self._opened(conn)

    def _may_have_another(self, conn: Any, request: Request, identity: Any) -> bool:
        """Whether that user may have one more connection; else it was refused."""
        try:
            # Asked without a limit too: an identity that cannot be looked up must fail before the
            # 101. What it raises is the application's, as if the authenticator had raised it.
            count = self._count_user(identity)
            if self._max_per_user is not None and count >= self._max_per_user:
                raise Refusal("user", 429, "too many connections of this user")
        except Exception as exc:
            self._deny(conn, request, exc)
            return False
        return True

    def _agree(self, offers: list[str]) -> Agreement | None:
        """What is agreed on extensions; offers that break the grammar are refused in any case."""
        if self._deflate is not None:
            return self._deflate.agree(offers)
        parse_extensions(offers)
        return None

    def _deny(self, conn: Any, request: Request, exc: Exception) -> None:
        """The authenticator raised."""
        if isinstance(exc, Reject | HandshakeError):
            self._reject(conn, request, exc, "authentication")
            return
        self._metrics.handler_errors += 1
        assert self._authenticate is not None
        self._errors.record(self._authenticate, exc, target=request.raw_path)
        self._reject(conn, request, HandshakeError(500, "internal server error"), "error")

    def _reject(
        self, conn: Any, request: Request, exc: Reject | HandshakeError, reason: str = "handshake"
    ) -> None:
        """Answer an upgrade that is refused, and close."""
        self._metrics.connections_rejected[getattr(exc, "metric", reason)] += 1
        try:
            response = refusal_response(exc)
        except (TypeError, ValueError) as bad:  # what the application put into a Reject
            log(SERVER, logging.ERROR, "a Reject cannot be sent", exc_info=bad)
            response = error_response(500, "internal server error")
        if conn.phase < ENDING:
            conn.write(encode_response(response, keep_alive=False))
            conn.finish()
        self._access.say_refused(
            "upgrade refused",
            target=request.raw_path,  # without the query, which may be secret
            status=response.status,
            remote=request.remote,
        )


__all__ = ["Authenticate", "Opening"]
