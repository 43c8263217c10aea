"""The seam for whoever watches connections open: tracing.

An opening has one observer or none, and without one asks nothing. Nothing that an observer does
decides anything.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..http.request import Request
from ..http.router import Match
from .exchange import HttpRoute


class Observer(Protocol):
    """Hears of every handshake, and may wrap what answers HTTP requests."""

    def route(self, match: Match[HttpRoute]) -> Match[HttpRoute]:
        """The match to be served in place of `match`, with the same parameters."""
        ...

    def handshake(self, conn: Any, request: Request, route: str) -> AbstractContextManager[object]:
        """A handshake for a route begins; what decides at once, the authenticator say, runs in it.

        One that waits goes on outside, in a task whose context is a copy of this one.
        """
        ...

    def accepting(self, conn: Any, request: Request) -> None:
        """It is accepted; the program is told next."""
        ...

    def accepted(self, conn: Any) -> None:
        """The program was told, and the connection has its id."""
        ...

    def refused(self, conn: Any, request: Request, status: int) -> None:
        """It is refused; or there is no route, and so was no `handshake` before.

        The connection may have ended by itself meanwhile.
        """
        ...

    def left(self, conn: Any) -> None:
        """A connection is gone that never became a WebSocket, perhaps in the midst of it."""
        ...
