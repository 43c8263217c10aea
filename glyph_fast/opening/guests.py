"""WebSocket handshakes that an application decides about, which is mounted in the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import HandshakeError, Reject
from ..http.request import Request
from ..http.router import Match
from ..hub.metrics import Metrics
from ..logs import AccessLog
from ..websocket.handshake import Upgrade, accept_response
from ..wire import ENDING
from .admission import Admission
from .negotiation import Negotiation

if TYPE_CHECKING:
    from .mounting import Guest, GuestClosed


class Guests:
    """The part of `Handshakes` that has to do with them."""

    admission: Admission
    _access: AccessLog
    _guest_opened: Callable[[Any, GuestClosed], object] | None
    _is_proxied: bool
    _metrics: Metrics
    _negotiation: Negotiation
    _pending: dict[Any, Any]

    if TYPE_CHECKING:

        def open(self, conn: Any, request: Request, match: Match[Any]) -> None: ...
        def reject(
            self, conn: Any, request: Request, exc: Reject | HandshakeError, reason: str
        ) -> None: ...
        def keep_room(self, conn: Any, request: Request) -> None: ...
        def give_up_room(self, conn: Any) -> None: ...
        def check_capacity(self) -> None: ...

    def wait_for(self, conn: Any, request: Request, guest: Guest) -> None:
        """An application decides; `guest` hears when the client goes before that."""
        self.keep_room(conn, request)
        self._pending[conn] = guest

    def take_in(
        self,
        conn: Any,
        request: Request,
        upgrade: Upgrade,
        guest: Guest,
        subprotocol: str | None,
        fields: Sequence[tuple[str, str]],
    ) -> bool:
        """The application accepts: from now on `guest` gets the messages.

        False where the server has begun to drain meanwhile: it was refused. ValueError for a field
        that cannot be sent.
        """
        agreed = self._negotiation.agree_on_extensions(upgrade)
        extensions = None if agreed is None else agreed.header
        head = accept_response(upgrade.key, subprotocol, extensions, fields)
        self.give_up_room(conn)
        try:
            self.check_capacity()
        except HandshakeError as exc:
            self.reject(conn, request, exc, "handshake")
            return False
        conn.subprotocol = subprotocol
        if self._is_proxied:
            conn.remote = request.remote
        if self.admission.counts_connections:
            self.admission.opened(conn, request.remote)
        conn._write(head)
        if agreed is not None:
            conn._use_codec(agreed.codec)
        conn._inbox = guest
        conn._upgrade()
        if self._guest_opened is not None:
            self._guest_opened(conn, guest.closed)
        return True

    def refused(self, conn: Any, request: Request, match: Match[Any] | None) -> None:
        """The application does not accept; where `match` is another route, that is asked."""
        self.give_up_room(conn)
        if match is not None:
            self.open(conn, request, match)
        else:
            self.reject(conn, request, HandshakeError(403, "Forbidden"), "application")

    def failed(self, conn: Any, request: Request, exc: HandshakeError) -> None:
        """The application raised before it had decided."""
        self.give_up_room(conn)
        self.reject(conn, request, exc, "error")

    def answered(self, conn: Any, request: Request, status: int) -> None:
        """The application has refused in words of its own, which are written."""
        self.give_up_room(conn)
        self._metrics.connections_rejected["application"] += 1
        if conn._phase < ENDING:
            conn._finish()
        self._access.say_refused(
            "upgrade refused",
            target=request.raw_path,
            status=status,
            remote=request.remote,
            reason="application",
        )
