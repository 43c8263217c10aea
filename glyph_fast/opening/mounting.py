"""The seam for applications that answer in a way of their own where the program has no route."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ..http.request import Request
from ..http.router import Match
from ..websocket.handshake import Upgrade

if TYPE_CHECKING:
    from .exchange import Exchanges, HttpRoute
    from .handshakes import Handshakes

GuestClosed: TypeAlias = "Callable[[int, str], object]"  # with code and reason


class Call(Protocol):
    """A request that an application answers."""

    def lost(self) -> None:
        """The client is gone."""
        ...


class Guest(Protocol):
    """A WebSocket of an application's: the inbox of its connection."""

    def put(self, opcode: int, payload: str | bytes) -> None:
        """A message came."""
        ...

    def closed(self, code: int, reason: str) -> None:
        """The connection is gone."""
        ...

    def cancel(self) -> None:
        """It is gone before anybody had decided whether it may come in."""
        ...


class Mount:
    """An application at its place.

    Its requests are matched with `http`, its WebSockets with `websocket`, whose target it is.
    """

    http: Match[HttpRoute]
    websocket: Match[Any]

    def connect(self, conn: Any, request: Request, upgrade: Upgrade, identity: Any) -> None:
        """Decide about a sound handshake of one who is `identity`, where that was asked."""
        raise NotImplementedError


class Door:
    """A way in that is no WebSocket, and whose requests are judged as upgrades are.

    It is the target of their match.
    """

    def check(self, request: Request) -> Upgrade:
        """Read what a request asks for. HandshakeError for an unsound one."""
        raise NotImplementedError

    def let_in(
        self,
        conn: Any,
        request: Request,
        fields: Sequence[tuple[str, str]],
        expires_at: float | None,
    ) -> None:
        """Open the connection, whose attributes are set, or reject it for a reason of one's own."""
        raise NotImplementedError


class OwnDoor(Protocol):
    """A door that is attached by itself."""

    def attach(self, handshakes: Handshakes) -> None:
        """Serve by these. Called once for each run, before anything else."""
        ...


class Mounts(Protocol):
    """The applications of a server."""

    @property
    def authenticate(self) -> Callable[[Request], Any] | None:
        """Return who judges their WebSockets besides themselves."""
        ...

    def attach(self, exchanges: Exchanges, handshakes: Handshakes) -> None:
        """Serve by these. Called once, before anything else."""
        ...

    def find(self, path: str) -> Mount | None:
        """The application of a path, as sent."""
        ...

    def listens(self, host: str, port: int | None) -> None:
        """Note where the server listens; without a port, at a Unix socket."""
        ...


__all__ = ["Call", "Door", "Guest", "GuestClosed", "Mount", "Mounts", "OwnDoor"]
