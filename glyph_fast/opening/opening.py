"""The opening of a connection: what a request head leads to.

A head becomes an HTTP exchange, or a handshake where there is a route for WebSockets.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core import Turn
from ..errors import HandshakeError
from ..http.forwarded import Proxies
from ..http.head import parse_head
from ..http.request import Request
from ..http.response import phrase
from ..logs import SERVER, log
from ..options.config import Config
from ..websocket.handshake import is_upgrade
from ..wire import BODY, OPEN
from .cors import Cors
from .exchange import Exchanges
from .handshakes import Handshakes
from .origins import Origins
from .redirects import Redirects
from .site import Site

if TYPE_CHECKING:
    from .proxy_protocol import ProxyGate


class Opening:
    """The methods `request`, `refuse`, `data` and `ended` of the core's `Handler`."""

    def __init__(self, config: Config, site: Site) -> None:
        self._access = site.access
        self._redirects = Redirects(config.redirect_slashes, site)
        self._mounts = site.mounts
        self._routes = site.routes
        self._websockets = site.websockets
        self._count = site.count_connections
        self._metrics = site.metrics
        self._observer = site.observer
        # Where it is not http, the connection's sink knows more.
        self._scheme = "hosted" if site.is_hosted else "https" if config.is_tls else "http"
        self._proxies = Proxies(config.trusted_proxies)
        self._is_proxied = bool(config.trusted_proxies)
        self._handshakes = Handshakes(
            config,
            site,
            origins=Origins(config, self._proxies),
            is_proxied=self._is_proxied,
        )
        self._admission = self._handshakes.admission
        self._is_shared = site.whole is not None
        self.exchanges = self._handshakes.exchanges = Exchanges(
            site,
            cors=Cors(config.allowed_origins, site.cors),
            redirects=self._redirects,
            upgrade=self._handshakes.upgrade,
            config=config,
        )
        if site.mounts is not None:
            site.mounts.attach(self.exchanges, self._handshakes)
        if site.events is not None:
            site.events.attach(config, site, self.exchanges, self._handshakes)
        for door in site.doors:
            door.attach(self._handshakes)
        # Where the PROXY protocol is spoken, what reads its headers.
        self.gate: ProxyGate | None = None
        if config.proxy_protocol:
            from .proxy_protocol import ProxyGate  # for those who stand behind one

            self.gate = ProxyGate(self._proxies, self._unproxied)

    # What the core calls.

    def request(self, conn: Any, head: bytes) -> None:
        """A request head came."""
        try:
            request = parse_head(head, conn.remote)
            if self._scheme != "http":
                request.scheme = getattr(conn._sink, "scheme", self._scheme)
                request.tls = getattr(conn._sink, "tls", None)
            if self._is_proxied:
                request._forward(*self._proxies.client(request, conn.remote))
        except HandshakeError as exc:
            self.exchanges.refuse(conn, exc)
            return
        try:
            self._begin(conn, request)
        except Exception as exc:  # a defect of ours; the client is told, the others go on
            log(SERVER, logging.ERROR, "internal error", exc_info=exc, target=request.raw_path)
            self.exchanges.refuse(conn, HandshakeError(500, "internal server error"))

    def _begin(self, conn: Any, request: Request) -> None:
        if is_upgrade(request):
            match = self._websockets.match(None, request.raw_path)
            if match is not None:
                self._handshakes.open(conn, request, match)
                return
            if self._routes.match(request.method, request.raw_path) is None:
                if self._mounts is not None and (mount := self._mounts.find(request.raw_path)):
                    self._handshakes.open(conn, request, mount.websocket)
                    return
                refusal = self._redirects.rejection(request)
                self._handshakes.reject(conn, request, refusal, "route")
                return
            # An HTTP handler may still open a WebSocket by `handle_websocket`. What decides whether
            # it does, say cookies, must not be what a foreign page's visitor brings.
            if not self._handshakes.check_origin(conn, request):
                return
        self.exchanges.begin(conn, request)

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
            conn._expect_head()
        return size

    def ended(self, conn: Any) -> None:
        """The client has ended its side while its request is being answered."""
        # Who does that now cannot want a WebSocket, whose end is a frame: it is gone. So uvicorn
        # and aiohttp have it, for which it is true of any request; ours are answered.
        if self._handshakes.waits(conn):
            conn._lost()
        else:
            self.exchanges.ended(conn)

    def _awaits_header(self, conn: Any) -> bool:
        """Return whether it has yet to begin: the core takes its PROXY header for a body."""
        return self.gate is not None and conn._phase == BODY and not self.exchanges.is_reading(conn)

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
        """A connection is gone that never became a WebSocket."""
        self._handshakes.closed(conn)
        if self._observer is not None:
            self._observer.left(conn)
        self.exchanges.forget(conn)

    @property
    def left(self) -> Callable[[Any], object] | None:
        """To be told of each WebSocket that is gone; None where nobody counts them."""
        is_counted = self._admission.counts_connections or self._is_shared
        return self._handshakes.gone if is_counted else None

    def listens(self, host: str, port: int | None) -> None:
        """Tell applications where the server listens; without a port, at a Unix socket."""
        if self._mounts is not None:
            self._mounts.listens(host, port)

    # Draining.

    @property
    def is_draining(self) -> bool:
        """Return whether upgrades are refused and `/healthz` says so."""
        return self.exchanges.is_draining

    def drain(self) -> None:
        """From now on refuse upgrades, and close each connection after its next answer."""
        self.exchanges.drain()

    def finish(self) -> None:
        """From now on close each connection after its next answer; upgrades are still served."""
        self.exchanges.finish_connections()

    def is_waited_for(self, conn: Any) -> bool:
        """Return whether its first request is still to be heard, or one to be answered."""
        return conn._phase < OPEN and (not conn.bytes_sent or self.exchanges.is_busy(conn))
