"""WebSocket handshakes: from a request whose route is known to an open connection, or a refusal.

These questions are asked, in this order: is there room (503); has its address had its share (429);
is the handshake sound (400, 405, 426); may pages of that origin connect (403); who is it
(`authenticate`). Only an authenticator that waits costs a task.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from ..errors import HandshakeError, Reject
from ..handlers.outcome import is_cancelled, is_failure, running_task
from ..handlers.telling import failure_of
from ..http.request import Request
from ..http.response import error_response, refusal_response
from ..http.router import Match
from ..hub.identity import Identity
from ..logs import SERVER, log
from ..options.config import Config
from ..websocket.handshake import Accept, Upgrade, accept_response, check_upgrade, is_upgrade
from ..wire import ENDING
from .admission import Admission, Refusal, reason_of
from .guests import Guests
from .mounting import Door, Mount
from .negotiation import Negotiation
from .origins import Origins
from .refusals import encode_refusal
from .site import Site

if TYPE_CHECKING:
    from .exchange import Exchanges
    from .whole import Whole


class Handshakes(Guests):
    """Opens WebSockets for requests.

    `exchanges`, which are set once there are any, run what waits.
    """

    exchanges: Exchanges

    def __init__(self, config: Config, site: Site, *, origins: Origins, is_proxied: bool) -> None:
        self._access = site.access
        self._websockets = site.websockets
        self._authenticate = site.authenticate
        self._authenticators = site.authenticators  # by route, in the place of that
        self._opened = site.opened
        self._count = site.count_connections
        self._count_user = site.count_user
        self._check_user = site.check_user
        self._metrics = site.metrics
        self._errors = site.errors
        self._observer = site.observer
        self._negotiation = Negotiation(config, site.subprotocols)
        self._is_development = config.is_development
        self._max_connections = config.max_connections
        self._max_per_user = config.max_connections_per_user
        self.origins = origins
        self._is_proxied = is_proxied
        self.admission = Admission(config)
        # Whose authenticator waits, and its task; they count as connections.
        self._pending = {}
        self._mounts = site.mounts
        self._has_doors = site.events is not None or bool(site.doors)
        self._guest_opened = site.guest_opened
        self._has_origins = bool(config.allowed_origins)
        self._whole = site.whole
        if site.whole is not None:
            site.whole.used = self._used

    def waits(self, conn: Any) -> bool:
        """Return whether an authenticator waits for that connection."""
        return conn in self._pending

    def closed(self, conn: Any) -> None:
        """A connection is gone that never became a WebSocket; nor need its authenticator go on."""
        task = self._pending.get(conn)
        self.give_up_room(conn)
        if self._whole is not None:
            self._whole.release(conn)
        if task is not None:
            task.cancel()

    def check_origin(self, conn: Any, request: Request) -> bool:
        """Return whether pages of the origin that asks may connect; else it was refused."""
        try:
            self.origins.check(conn, request, request.headers.get("origin"))
        except HandshakeError as exc:
            self.reject(conn, request, exc)
            return False
        return True

    def upgrade(
        self, conn: Any, request: Request, match: Match[Any], fields: Sequence[tuple[str, str]]
    ) -> None:
        """An HTTP handler wants a WebSocket. So does the client, or it is told."""
        if is_upgrade(request):
            self.open(conn, request, match, fields)
            return
        try:
            self.check_capacity()
            raise HandshakeError(426, "ask for an upgrade", {"Upgrade": "websocket"})
        except HandshakeError as exc:
            self.reject(conn, request, exc)

    def open(
        self,
        conn: Any,
        request: Request,
        match: Match[Any],
        fields: Sequence[tuple[str, str]] = (),
    ) -> None:
        if self._observer is None:
            self._judge(conn, request, match, fields)
            return
        with self._observer.handshake(conn, request, match.pattern):
            self._judge(conn, request, match, fields)

    def _judge(
        self, conn: Any, request: Request, match: Match[Any], fields: Sequence[tuple[str, str]]
    ) -> None:
        if match.params:
            request.path_params = match.params
        whole = self._whole
        if whole is None or self.exchanges.is_draining or not whole.must_ask(request.remote):
            waiting = self._judge_here(conn, request, match, fields)
        else:
            waiting = self._judge_later(whole, conn, request, match, fields)
        if waiting is not None:
            self.decide(conn, waiting)

    async def _judge_later(
        self,
        whole: Whole,
        conn: Any,
        request: Request,
        match: Match[Any],
        fields: Sequence[tuple[str, str]],
    ) -> None:
        """Ask main whether there may be one more, and go on from there."""
        self.keep_room(conn, request)
        task = running_task()
        try:
            try:
                await whole.admit(conn, request.remote)
            finally:
                self.give_up_room(conn)
        except BaseException as exc:
            self._deny_late(conn, request, exc, task)
            return
        if conn._phase < ENDING:
            waiting = self._judge_here(conn, request, match, fields)
            if waiting is not None:
                await waiting

    def _judge_here(
        self, conn: Any, request: Request, match: Match[Any], fields: Sequence[tuple[str, str]]
    ) -> Coroutine[Any, Any, None] | None:
        """Judge a handshake by what this process knows; what it returns has to be awaited."""
        try:
            self.check_capacity()
            if self.admission.is_needed:
                self.admission.check_rate(request.remote, conn._turn.clock())
                self.admission.check_count(request.remote)
            if self._has_doors and isinstance(match.target, Door):
                upgrade = match.target.check(request)
            else:
                upgrade = check_upgrade(request)
            if fields:
                upgrade = upgrade._replace(fields=fields)
            if self._has_origins or self._mounts is None or not isinstance(match.target, Mount):
                self.origins.check(conn, request, upgrade.origin)
        except HandshakeError as exc:
            self.reject(conn, request, exc)
            return None
        authenticate = self._authenticators.get(match.pattern, self._authenticate)
        if self._mounts is not None and isinstance(match.target, Mount):
            authenticate = self._mounts.authenticate
        try:
            if authenticate is not None:
                identity = authenticate(request)
            else:
                identity = None if request.tls is None else request.tls.identity
        except BaseException as exc:
            self._deny(conn, request, exc)
            return None
        if self._whole is not None and identity is not None:
            identity = self._whole.checked(conn, identity)
        if isawaitable(identity):
            return self._wait(conn, request, match, upgrade, identity)
        self._accept(conn, request, match, upgrade, identity)
        return None

    def decide(self, conn: Any, work: Coroutine[Any, Any, None]) -> None:
        """Run what decides whether a connection opens, and may wait; it ends with its client."""
        task = self.exchanges.go_on(conn, None, work)
        if conn in self._pending:
            self._pending[conn] = task

    async def _wait(
        self, conn: Any, request: Request, match: Match[Any], upgrade: Upgrade, identity: Any
    ) -> None:
        task = running_task()
        self.keep_room(conn, request, task)
        try:
            try:
                identity = await identity
            finally:  # what follows does not wait, so nobody else takes it
                self.give_up_room(conn)
        except BaseException as exc:
            self._deny_late(conn, request, exc, task)
        else:
            self._accept_late(conn, request, match, upgrade, identity)

    def _deny_late(self, conn: Any, request: Request, exc: BaseException, task: Any) -> None:
        """Deny an upgrade whose authenticator has raised after a wait."""
        if not is_failure(exc, task):
            raise exc
        if is_cancelled(exc):
            if conn._phase >= ENDING:  # the client is gone, and nobody was refused
                return
            exc = Refusal("draining", 503, "server is shutting down")
        self._deny(conn, request, exc)

    def _accept_late(
        self, conn: Any, request: Request, match: Match[Any], upgrade: Upgrade, identity: Any
    ) -> None:
        """Accept after a wait, if the client is still there; room was kept for it."""
        if conn._phase >= ENDING:
            return
        try:
            self.check_capacity()  # the server may have begun to drain
        except HandshakeError as exc:
            self.reject(conn, request, exc)
        else:
            self._accept(conn, request, match, upgrade, identity)

    def count(self, conn: Any, request: Request) -> None:
        """A connection is about to be open."""
        if self.admission.counts_connections:
            self.admission.opened(conn, request.remote)

    def keep_room(self, conn: Any, request: Request, task: Any = None) -> None:
        """Count an upgrade as a connection while it waits: waiting ones need a limit, too."""
        self._pending[conn] = task
        if self.admission.counts_connections:
            self.admission.opened(conn, request.remote)

    def give_up_room(self, conn: Any) -> None:
        """Count it no more. One that is not counted is no error."""
        if conn in self._pending:
            del self._pending[conn]
            self.admission.closed(conn)

    def _used(self) -> int:
        return self._count() + len(self._pending)

    def gone(self, conn: Any) -> None:
        """A WebSocket is gone."""
        self.admission.closed(conn)
        if self._whole is not None:
            self._whole.release(conn)

    def check_capacity(self) -> None:
        if self.exchanges.is_draining:
            raise Refusal("draining", 503, "server is shutting down")
        limit = self._max_connections
        if (whole := self._whole) is not None:
            limit = whole.lent + whole.waiting
        if self._used() >= limit:
            raise Refusal("full", 503, "too many connections")

    def _accept(
        self, conn: Any, request: Request, match: Match[Any], upgrade: Upgrade, identity: Any
    ) -> None:
        if self._mounts is not None and isinstance(match.target, Mount):
            if isinstance(identity, Accept):
                identity = identity.identity
            try:
                self._negotiation.check(upgrade)
            except HandshakeError as exc:
                self.reject(conn, request, exc)
                return
            match.target.connect(conn, request, upgrade, identity)
            return
        fields = upgrade.fields
        if isinstance(identity, Accept):
            identity, fields = identity.identity, [*fields, *identity.headers]
        info, expires_at = None, None
        if isinstance(identity, Identity):
            info, expires_at = identity._info, identity.expires_at
            identity = identity.user
        if identity is not None and not self._may_have_another(conn, request, identity):
            return
        is_door = self._has_doors and isinstance(match.target, Door)
        subprotocol, agreed = None, None
        if not is_door:
            try:
                subprotocol, agreed = self._negotiation.agree(upgrade)
            except HandshakeError as exc:
                self.reject(conn, request, exc)
                return
        conn._kept = request._kept
        if match.params:  # else it keeps the one that is everybody's
            conn.path_params = match.params
        conn.route_pattern = match.pattern
        conn.identity = identity
        conn._info = info
        conn.subprotocol = subprotocol
        if self._is_proxied:
            conn.remote = request.remote
        if is_door:
            match.target.let_in(conn, request, fields, expires_at)
            return
        self.count(conn, request)
        if agreed is None:
            conn._write(accept_response(upgrade.key, subprotocol, None, fields))
        else:
            conn._write(accept_response(upgrade.key, subprotocol, agreed.header, fields))
            conn._use_codec(agreed.codec)
        if self._observer is not None:
            self._observer.accepting(conn, request)
        conn._upgrade()
        self._opened(conn, expires_at)
        if self._observer is not None:
            self._observer.accepted(conn)

    def _may_have_another(self, conn: Any, request: Request, identity: Any) -> bool:
        """Return whether that user may have one more connection; else it was refused."""
        try:
            # Asked without a limit too: an identity that cannot be looked up must fail before the
            # 101. What it raises is the application's, as if the authenticator had raised it.
            count = self._count_user(identity)
            if self._check_user is not None:
                self._check_user(identity)
            if self._max_per_user is not None and count >= self._max_per_user:
                raise Refusal("user", 429, "too many connections of this user")
        except BaseException as exc:
            self._deny(conn, request, exc)
            return False
        return True

    def _deny(self, conn: Any, request: Request, exc: BaseException) -> None:
        """The authenticator raised."""
        if isinstance(exc, KeyboardInterrupt):
            raise exc
        if isinstance(exc, Reject | HandshakeError):
            self.reject(conn, request, exc, "authentication")
            return
        self._metrics.handler_errors += 1
        match = self._websockets.match(None, request.raw_path)
        pattern = "" if match is None else match.pattern
        asked = self._authenticators.get(pattern, self._authenticate)
        self._errors.record(asked or "authenticate", exc, target=request.raw_path)
        why = failure_of("", exc)["error"] if self._is_development else "internal server error"
        self.reject(conn, request, HandshakeError(500, why), "error")

    def reject(
        self, conn: Any, request: Request, exc: Reject | HandshakeError, reason: str = "handshake"
    ) -> None:
        """Answer an upgrade that is refused, and close."""
        if self._whole is not None:
            self._whole.release(conn)
        self._metrics.connections_rejected[getattr(exc, "metric", reason)] += 1
        try:
            response = refusal_response(exc)
            response._encoded(self.exchanges.dumps)
        except Exception as bad:  # what the application put into a Reject
            log(SERVER, logging.ERROR, "a Reject cannot be sent", exc_info=bad)
            response = error_response(500, "internal server error")
        if self._has_doors and not is_upgrade(request):
            response = self.exchanges.with_cors(request, response)
        if self._observer is not None:
            self._observer.refused(conn, request, response.status)
        if conn._phase < ENDING:
            conn._write(encode_refusal(request, exc, response))
            conn._finish()
        self._access.say_refused(
            "upgrade refused",
            target=request.raw_path,  # without the query, which may be secret
            status=response.status,
            remote=request.remote,
            reason=reason_of(exc, reason),
            **getattr(exc, "compared", {}),
        )
