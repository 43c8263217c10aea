"""A connection of either core between a recording handler and a sink that can be made slow."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from types import ModuleType
from typing import Any

from glyph_fast.wire import ABNORMAL, CLIENT, SERVER

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Sink:
    """Takes as many bytes a call as `takes` says, one number after the other; then everything."""

    def __init__(self, takes: Iterable[int] = ()) -> None:
        self.takes = list(takes)
        self.out = b""  # since the last `read`
        self.written = b""  # ever
        self.writes = 0
        self.events: list[str] = []
        self.is_gone = False

    def writev(self, buffers: list[bytes]) -> int:
        if self.is_gone:
            raise OSError(errno.EPIPE, "broken pipe")
        self.writes += 1
        data = b"".join(buffers)
        taken = min(self.takes.pop(0), len(data)) if self.takes else len(data)
        self.out += data[:taken]
        self.written += data[:taken]
        return taken

    def read(self) -> bytes:
        """What came since the last call."""
        out, self.out = self.out, b""
        return out

    def unsent(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.events.append("pause")

    def resume_reading(self) -> None:
        self.events.append("resume")

    def shutdown(self) -> None:
        self.events.append("shutdown")

    def close(self) -> None:
        self.events.append("close")

    def abort(self) -> None:
        self.events.append("abort")


STALLED = [0] * 10_000  # for a sink that takes nothing


class Handler:
    """Writes down what it is told; `on_message` may be replaced."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.heads: list[bytes] = []
        self.refused: list[int] = []
        self.bodies: list[bytes] = []
        self.closed: list[tuple[int, str]] = []
        self.drained = 0
        self.ends = 0  # of peers that were held
        self.full_calls = 0
        self.failures: list[BaseException] = []
        self.on_message: Any = None
        self.on_request: Any = None
        self.on_data: Any = None
        self.on_ended: Any = None
        self.on_closing: Any = None
        self.asked: list[tuple[int, str]] = []  # closes of peers of connections that hold them

    def request(self, conn: Any, head: bytes) -> None:
        self.heads.append(head)
        if self.on_request:
            self.on_request(conn, head)

    def refuse(self, conn: Any, status: int) -> None:
        self.refused.append(status)

    def data(self, conn: Any, chunk: bytes) -> int:
        self.bodies.append(chunk)
        return self.on_data(conn, chunk) if self.on_data else len(chunk)

    def ended(self, conn: Any) -> None:
        self.ends += 1
        if self.on_ended:
            self.on_ended(conn)

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        self.messages.append(payload)
        if self.on_message:
            self.on_message(conn, opcode, payload)

    def full(self, conn: Any) -> None:
        self.full_calls += 1

    def drain(self, conn: Any) -> None:
        self.drained += 1

    def close(self, conn: Any, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def closing(self, conn: Any, code: int, reason: str) -> None:
        self.asked.append((code, reason))
        if self.on_closing:
            self.on_closing(conn)

    def failed(self, conn: Any, exc: BaseException) -> None:
        self.failures.append(exc)


class Peer:
    """One open connection with everything around it; `peer.feed(bytes)` is a turn of its own."""

    def __init__(
        self,
        core: ModuleType,
        *,
        role: int = SERVER,
        takes: Iterable[int] = (),
        is_open: bool = True,
        **limits: Any,
    ) -> None:
        self.now = 100.0
        self.handler = Handler()
        self.sink = Sink(takes)
        self.is_woken = False
        self.turn = core.Turn(
            core.Limits(**limits), self.handler, clock=lambda: self.now, wake=self._wake
        )
        self.conn = core.Connection(self.turn, self.sink, role)
        self.conn.id = "one"
        if is_open:
            self.conn._upgrade()

    def join(self, *, takes: Iterable[int] = (), name: str = "other") -> tuple[Any, Sink]:
        """Another open connection of the same turn, with its sink."""
        sink = Sink(takes)
        conn = type(self.conn)(self.turn, sink)
        conn.id = name
        conn._upgrade()
        return conn, sink

    def feed(self, data: bytes) -> bytes:
        """A turn in which `data` comes; returns what left."""
        self.conn._feed(data)
        return self.flush()

    def flush(self) -> bytes:
        """The end of a turn, and those that follow by themselves; returns what left."""
        self.is_woken = True
        while self.is_woken:
            self.is_woken = False
            self.turn.flush()
        return self.sink.read()

    def _wake(self) -> None:
        self.is_woken = True

    def sweep(self, seconds: float) -> bytes:
        """Time passes, a second a sweep as in a server; returns what left."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 1.0, end)
            self.turn.sweep(self.now)
            self.turn.flush()
        return self.sink.read()


def close_code(out: bytes) -> int:
    """The code of the unmasked close frame that `out` ends with; ABNORMAL when there is none."""
    start = out.rfind(b"\x88")
    return int.from_bytes(out[start + 2 : start + 4], "big") if start >= 0 else ABNORMAL


__all__ = ["CLIENT", "HEAD", "SERVER", "STALLED", "Handler", "Peer", "Sink", "close_code"]
