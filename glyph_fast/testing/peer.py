"""A client's half of the protocol in memory: a core connection that writes into a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..core import Connection, Limits
from .memory import Pipe

if TYPE_CHECKING:
    from .websocket import TestWebSocket

__tracebackhide__ = True  # pytest shows the test and the handlers, not this module

NO_LIMITS = Limits(
    max_message_size=1 << 40, queue_messages=1 << 40, queue_bytes=1 << 40, ping_interval=0
)


class CloseInfo(NamedTuple):
    """The end of a connection; 1006 without a close frame, 1005 with one that had no code."""

    code: int
    reason: str


class PeerConnection(Connection):
    """The client's half of the protocol."""

    __slots__ = ("socket",)
    socket: TestWebSocket


class PeerEvents:
    """The core's `Handler` of every client of a test."""

    def message(self, conn: PeerConnection, opcode: int, payload: str | bytes) -> None:
        """A message came."""
        conn.socket.heard(payload)

    def close(self, conn: PeerConnection, code: int, reason: str) -> None:
        """The connection is gone."""
        conn.socket.over(CloseInfo(code, reason))

    def full(self, conn: PeerConnection) -> None:
        """Never: there are no limits on this side."""

    drain = full

    def failed(self, conn: PeerConnection | None, exc: BaseException) -> None:
        """A defect of ours."""
        raise exc


class Outward:
    """The sink of the client's connection: the pipe to the server."""

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.shutdown = self.close = pipe.end
        self.abort = pipe.cut

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        data = b"".join(buffers)
        self._pipe.write(data)
        return len(data)

    def unsent(self) -> int:
        return 0

    def pause_reading(self) -> None:
        pass  # the connection keeps what comes meanwhile

    resume_reading = pause_reading


__all__ = ["NO_LIMITS", "CloseInfo", "Outward", "PeerConnection", "PeerEvents"]
