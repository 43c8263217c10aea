"""The core's calls about a connection, each sent to the part of the server that answers it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..handlers.dispatcher import Dispatcher
from ..opening.opening import Opening


class ConnectionHandler:
    """The core's `Handler`: what the opening and the dispatcher do, one look-up away."""

    __slots__ = (
        "_closed", "_dispatcher", "_left", "_opening",
        "closing", "data", "drain", "ended", "failed", "full", "message", "refuse", "request",
    )  # fmt: skip

    def __init__(
        self, opening: Opening, dispatcher: Dispatcher, closed: Callable[[], object]
    ) -> None:
        self.request = opening.request
        self.refuse = opening.refuse
        self.data = opening.data
        self.ended = opening.ended
        self.message, self.failed = dispatcher.message, dispatcher.failed
        self.full, self.drain = dispatcher.full, dispatcher.drain
        self.closing = dispatcher.closing
        self._opening = opening
        self._dispatcher = dispatcher
        self._closed = closed
        self._left = opening.left

    def close(self, conn: Any, code: int, reason: str) -> None:
        """A connection is gone."""
        if conn._opened:
            if self._left is not None:
                self._left(conn)
            self._dispatcher.close(conn, code, reason)
        else:
            self._opening.closed(conn)
        self._closed()
