"""A request's body while it comes: what was read and not taken yet, and who waits for more.

Little is kept: with `BODY_WINDOW` bytes that nobody takes the connection is read no more, so a
client sends as fast as its body is used.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from ..errors import ConnectionClosed, Reject
from ..wire import ABNORMAL
from .body import BodyReader

BODY_WINDOW = 64 * 1024  # bytes kept for a handler that does not take them

_CUT_OFF = "the client sent no whole body"


class Source(Protocol):
    """The source of a body's bytes."""

    def ask(self) -> None:
        """A client that waits for it is to be told to send (RFC 9110 §10.1.1)."""
        ...

    def go_on(self) -> None:
        """There is room for more."""
        ...

    def refuse(self, status: int) -> None:
        """The body is refused, and will not be read to its end."""
        ...


class IncomingBody:
    """The body of one request, for a handler that runs before it has come.

    `limit` is that of `whole`, in bytes; None: none.
    """

    __slots__ = (
        "_is_cut_off", "_is_streamed", "_limit", "_reader", "_refusal", "_source", "_taken",
        "_waiter", "_whole",
    )  # fmt: skip

    def __init__(self, reader: BodyReader, source: Source, limit: int | None) -> None:
        self._reader = reader
        self._source = source
        self._limit = limit
        self._whole = bytearray()  # what `whole` has taken so far
        self._taken = 0  # bytes that `read_bounded` gave
        self._is_streamed = False  # some of it was given to whoever takes pieces
        self._waiter: asyncio.Future[None] | None = None
        # Why there will be no more. No exception is kept: its frames hold who reads, and so itself.
        self._is_cut_off = False
        self._refusal: tuple[int, str] | None = None  # status, reason

    @property
    def is_ended(self) -> bool:
        """Return whether all of it was taken."""
        return self._reader.is_complete and not self._reader.held

    @property
    def is_full(self) -> bool:
        """Return whether no more should be read for now."""
        return self._reader.held >= BODY_WINDOW

    def came(self) -> None:
        """More was read, or the end."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    @property
    def has_failed(self) -> bool:
        """Return whether there will be no more, though the end has not come."""
        return self._is_cut_off or self._refusal is not None

    def cut_off(self) -> None:
        """The client has gone: whoever reads on gets ConnectionClosed."""
        self._is_cut_off = self._refusal is None
        self.came()

    def refuse(self, status: int, reason: str) -> None:
        """There will be no more: whoever reads on gets a Reject."""
        if not self.has_failed:
            self._refusal = (status, reason)
        self.came()

    def tells_of_cut(self, exc: BaseException) -> bool:
        """Return whether `exc` says no more than that the client has gone."""
        return self._is_cut_off and isinstance(exc, ConnectionClosed) and exc.reason == _CUT_OFF

    async def read(self) -> bytes:
        """The next piece, empty at the end. Raises what ended the body before that."""
        self._is_streamed = True
        return await self._next()

    async def read_bounded(self) -> bytes:
        """As `read`, but Reject 413 where all of it is more than `whole` would take."""
        self._check(max(self._taken, self._reader.announced or 0))
        piece = await self.read()
        self._taken += len(piece)
        self._check(self._taken)
        return piece

    async def whole(self) -> bytes:
        """All of it. Reject 413 where that is too much; RuntimeError once `read` was called."""
        if self._is_streamed:
            raise RuntimeError("the body was read as a stream, and is not kept")
        self._check(self._reader.announced or 0)
        while piece := await self._next():
            self._whole += piece
            self._check(len(self._whole))
        return bytes(self._whole)

    async def _next(self) -> bytes:
        if self._waiter is not None:
            raise RuntimeError("another task already reads the body of this request")
        while not (piece := self._reader.take()):
            self._check_refusal()
            if self._is_cut_off:
                raise ConnectionClosed(ABNORMAL, _CUT_OFF)
            if self._reader.is_complete:
                return b""
            if self._reader.needs_continue:
                self._reader.continue_sent()
                self._source.ask()
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._source.go_on()
        return piece

    def _check(self, size: int) -> None:
        if not self.has_failed and self._limit is not None and size > self._limit:
            self._whole.clear()
            self._refusal = (413, f"request body is larger than {self._limit} bytes")
            self._source.refuse(413)
        self._check_refusal()

    def _check_refusal(self) -> None:
        if self._refusal is not None:
            status, reason = self._refusal
            raise Reject(status, {"error": reason})


__all__ = ["BODY_WINDOW", "IncomingBody", "Source"]
