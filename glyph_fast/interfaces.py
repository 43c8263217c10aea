"""The three seams between the core, the engines and the rest.

A `Sink` takes bytes for one peer, a `Handler` hears what a peer did, an `Engine` owns the sockets.
The core knows the first two by these methods only; it never sees a loop, a room name or a log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from socket import socket
    from typing import Any


class Sink(Protocol):
    """Where the bytes of one connection go. All calls come from the loop's thread."""

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Take bytes in order and return how many were taken.

        Fewer than offered means "full": the sink calls the connection's `flush` once it can take
        more. Raises OSError when the peer is gone.
        """
        ...

    def unsent(self) -> int:
        """Bytes taken by `writev` that the kernel has not taken yet."""
        ...

    def pause_reading(self) -> None:
        """Deliver no more input until `resume_reading`. May be called twice."""
        ...

    def resume_reading(self) -> None:
        """Deliver input again. May be called twice."""
        ...

    def shutdown(self) -> None:
        """End the writing side once what was taken has left; keep reading."""
        ...

    def close(self) -> None:
        """Close once what was taken has left. The connection hears nothing more."""
        ...

    def abort(self) -> None:
        """Close at once and lose what has not left."""
        ...


class Handler(Protocol):
    """What a connection tells its owner. Called in the loop's thread, never from within `publish`.

    A method that raises ends that message, never the turn: the exception goes to `failed`.
    """

    def request(self, conn: Any, head: bytes) -> None:
        """A complete request head came, with the empty line that ends it.

        Answer by `conn.write`, then leave the phase as it is (the next head is read), or call
        `conn.upgrade`, `conn.expect_body`, `conn.hold` or `conn.finish`.
        """
        ...

    def refuse(self, conn: Any, status: int) -> None:
        """No acceptable head came: 408 too slow, 414 request line too long, 431 head too long."""
        ...

    def data(self, conn: Any, chunk: bytes) -> int:
        """Bytes of a request body came; return how many belonged to it.

        With 0 they come again, with what follows them, and the head timeout goes on.
        """
        ...

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        """A whole message came: TEXT with a str, BINARY with bytes."""
        ...

    def full(self, conn: Any) -> None:
        """Policy `block`: the queue of `conn` is over its limits; whoever feeds it should pause."""
        ...

    def drain(self, conn: Any) -> None:
        """The queue of `conn`, full or waited for before, has room again."""
        ...

    def close(self, conn: Any, code: int, reason: str) -> None:
        """The connection is gone. The last call, exactly one for each connection.

        `code` is ours when we began the close, else the peer's; 1005 when its frame had none,
        1006 when there was no close frame (RFC 6455 §7.1.5).
        """
        ...

    def failed(self, conn: Any, exc: BaseException) -> None:
        """One of the methods above raised `exc`."""
        ...


class Engine(Protocol):
    """Who owns the sockets of a server."""

    also: Callable[[], object] | None  # called after each sweep, for what else passes with time

    async def listen(self, sock: socket) -> None:
        """Accept connections on a bound, listening, non-blocking socket, and own it."""
        ...

    def stop_listening(self) -> None:
        """Close the listening sockets; connections go on."""
        ...

    async def settle(self) -> None:
        """Return when every socket accepted before has its connection."""
        ...

    async def close(self) -> None:
        """Abort what is left and release every descriptor; return when none is open."""
        ...
