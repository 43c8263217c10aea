# cython: annotation_typing=False
"""A request until it is answered; compiled where the core is, with its types in `pending.pxd`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..http.body import BodyReader
    from ..http.incoming import IncomingBody
    from ..http.request import Request
    from ..http.router import Match
    from .exchange import HttpRoute
    from .mounting import Call


class Exchange:
    """One request until it is answered."""

    __slots__ = (
        "body", "call", "grace", "has_client_ended", "in_pieces", "is_answered", "is_answering",
        "is_endless", "is_read", "match", "reader", "request", "started", "task", "__weakref__",
    )  # fmt: skip

    def __init__(self, request: Request, started: float) -> None:
        self.request = request
        self.started = started  # clock reading
        self.match: Match[HttpRoute] | None = None  # None: static files
        self.reader: BodyReader | None = None  # while its body is being read
        self.body: IncomingBody | None = None  # where a handler runs before that has come
        self.call: Call | None = None  # of an application, which is told and never cancelled
        self.is_answered = False  # while what has answered may go on
        self.is_answering = False  # some of the answer is on its way
        self.is_read = not request._has_body  # whether what comes next is another request
        self.task: asyncio.Task[Any] | None = None  # of what answers it and waits
        self.grace: asyncio.TimerHandle | None = None  # until that is cancelled
        self.in_pieces = False  # the answer leaves so
        self.is_endless = False  # the answer leaves in pieces, and may never end by itself
        self.has_client_ended = False  # its side of the connection

    def after(self, grace: float, call: Callable[..., object], *args: object) -> None:
        """Call it in `grace` seconds, in place of what was to be called, if the task still runs."""
        self.stop_waiting()
        if self.task is not None:
            self.grace = self.task.get_loop().call_later(grace, call, *args)

    def stop_waiting(self) -> None:
        """A timer that went on would hold the connection until it fires."""
        if self.grace is not None:
            self.grace.cancel()
            self.grace = None


__all__ = ["Exchange"]
