"""Answers on their way: whole ones at once, others piece by piece, as their clients read.

A piece is asked for when the core has room for it, so an answer of any size takes the memory of
some pieces. The head waits for the first of them until the end of the turn: what fails before it
gave anything is still a proper error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias

from ..handlers.outcome import is_cancelled, is_failure, running_task
from ..http.pieces import IteratedPieces, Pieces
from ..http.response import Response, encode_head, encode_response, error_response, has_body
from ..logs import SERVER, AccessLog, log
from ..wire import ANSWER_WINDOW, ENDING
from .cors import Cors

if TYPE_CHECKING:
    from ..core import Connection
    from .pending import Exchange

MAX_IN_A_ROW = 64  # requests of one connection handled before others have their turn
MAX_PIECES = 64  # of an answer that waits for nothing, before others have their turn
LAST_CHUNK = b"0\r\n\r\n"  # RFC 9112 §7.1, without trailers

GoOn: TypeAlias = "Callable[[Connection, Exchange, Coroutine[Any, Any, None]], object]"
Failed: TypeAlias = "Callable[[Exchange, BaseException], Response]"


class Answers:
    """Sends what requests are answered with, and lets each connection go on or end.

    `go_on(conn, exchange, coro)` runs what may wait; `failed(exchange, exc)` notes what a program
    raised and tells the answer for it; `ended(conn)` hears of each answer that is written; `dumps`
    writes JSON.
    """

    def __init__(
        self,
        *,
        cors: Cors,
        access: AccessLog,
        go_on: GoOn,
        failed: Failed,
        ended: Callable[[Connection], object],
        dumps: Callable[[object], bytes],
    ) -> None:
        self.cors = cors if cors else None
        self.access = access
        self._go_on = go_on
        self._failed = failed
        self._ended = ended
        self._dumps = dumps
        self._latest: Connection | None = None  # that was answered
        self._in_a_row = 0  # answers it got with no other connection's between
        self.keeps_alive = True  # whether a connection may bring another request after the next

    def forget(self, conn: Connection) -> None:
        """The connection is gone."""
        if self._latest is conn:
            self._latest = None

    def send(self, conn: Connection, exchange: Exchange, response: Response) -> None:
        """Answer a request; what leaves in pieces goes on by itself."""
        try:
            size = len(response._encoded(self._dumps))
        except BaseException as exc:  # a value that is none for JSON, or what `json_default` raised
            self.send(conn, exchange, self._failed(exchange, exc))
            return
        if self.cors is not None:
            response = self.cors.apply(exchange.request, response)
        if response._pieces is not None:
            exchange.in_pieces = True
            sending = self._send_pieces(conn, exchange, response, response._pieces)
            self._go_on(conn, exchange, sending)
            return
        if conn._phase < ENDING:  # else the client is gone
            keep_alive = self._keeps_alive(exchange, response)
            head_only = exchange.request.method == "HEAD"
            try:
                data = encode_response(response, keep_alive=keep_alive, head_only=head_only)
            except ValueError as exc:  # what a handler added to an answer that was sound when made
                self.send(conn, exchange, self._failed(exchange, exc))
                return
            exchange.is_answering = True
            conn._write(data)
            self.end(conn, keep_alive)
        self.log(conn, exchange, response.status, size)

    def _keeps_alive(self, exchange: Exchange, response: Response) -> bool:
        return (
            self.keeps_alive
            and not response._wants_close
            and exchange.request._keep_alive
            and exchange.is_read
        )

    def end(self, conn: Connection, keep_alive: bool) -> None:
        """The answer is written: read the next request, or end the connection."""
        self._ended(conn)
        if not keep_alive:
            conn._finish()
        elif self._may_go_on(conn):
            conn._expect_head()
        else:
            conn._hold()
            conn._turn.post(conn._expect_head)

    def _may_go_on(self, conn: Connection) -> bool:
        """Return whether the next request of a pipelining client may be handled at once."""
        if self._latest is not conn or self._in_a_row == MAX_IN_A_ROW:
            self._latest, self._in_a_row = conn, 0
        self._in_a_row += 1
        return self._in_a_row < MAX_IN_A_ROW

    # In pieces.

    async def _send_pieces(
        self, conn: Connection, exchange: Exchange, response: Response, pieces: Pieces
    ) -> None:
        task = running_task()
        try:
            if conn._phase < ENDING:
                await self._stream(conn, exchange, response, pieces)
        finally:
            try:
                await pieces.close()
            except BaseException as exc:
                if not is_failure(exc, task):
                    raise
                self._failed(exchange, exc)

    async def _stream(
        self, conn: Connection, exchange: Exchange, response: Response, pieces: Pieces
    ) -> None:
        request = exchange.request
        is_chunked = pieces.size is None and request.http_version == "1.1"
        keep_alive = self._keeps_alive(exchange, response)
        keep_alive = keep_alive and (is_chunked or pieces.size is not None)
        framing = "Transfer-Encoding: chunked" if is_chunked else ""
        if pieces.size is not None:
            framing = f"Content-Length: {pieces.size}"
        try:
            head = encode_head(response, framing, keep_alive=keep_alive)
        except ValueError as exc:
            self.send(conn, exchange, self._failed(exchange, exc))
            return
        stream = _Stream(conn, exchange, head, pieces, is_chunked)
        if request.method == "HEAD" or not has_body(response.status):
            stream.begin()
        else:
            exchange.is_endless = pieces.is_endless
            conn._turn.post(stream.begin)
            if not await self._send_all(exchange, stream):
                return
        if conn._phase < ENDING:
            self.end(conn, keep_alive and self.keeps_alive)
        self.log(conn, exchange, response.status, stream.sent)

    async def _send_all(self, exchange: Exchange, stream: _Stream) -> bool:
        """Send every piece; whether the answer is whole. What raised before the first is told."""
        conn, task = stream.conn, running_task()
        try:
            await stream.send_all()
            return True
        except BaseException as exc:
            if not is_failure(exc, task):
                raise
            if is_cancelled(exc):
                response = error_response(503, "server is shutting down")
            elif isinstance(stream.pieces, IteratedPieces):
                response = self._failed(exchange, exc)
            else:
                log(SERVER, logging.WARNING, "a file was not sent whole", reason=str(exc))
                response = error_response(500, "internal server error")
        if stream.may_be_told():
            self.send(conn, exchange, response)
        else:
            stream.cut()
            self.log(conn, exchange, response.status, stream.sent)
        return False

    def log(
        self, conn: Connection, exchange: Exchange, status: int, size: int, **more: object
    ) -> None:
        """Write the line about a request that was answered, with `more` fields."""
        if self.access.is_on:
            request = exchange.request
            self.access.say(
                "request",
                method=request.method,
                target=request.raw_path,  # without the query, which may be secret
                status=status,
                bytes=size,
                remote=request.remote,
                seconds=round(conn._turn.clock() - exchange.started, 3),
                **more,
            )


class _Stream:
    """One answer in pieces, from its head to its end."""

    __slots__ = ("_begun", "_exchange", "_head", "_is_chunked", "conn", "pieces", "sent")

    def __init__(
        self, conn: Connection, exchange: Exchange, head: bytes, pieces: Pieces, is_chunked: bool
    ) -> None:
        self.conn: Any = conn  # the application's kind, which one can wait for
        self._exchange = exchange
        self.pieces = pieces
        self.sent = 0  # bytes of pieces
        self._head = head
        self._is_chunked = is_chunked
        self._begun = False  # the head is written; or another answer is

    def begin(self) -> None:
        """Write the head, unless that was done."""
        if not self._begun:
            self._begun = self._exchange.is_answering = True
            self.conn._write(self._head)

    def may_be_told(self) -> bool:
        """Return whether another answer can take the place of this one; from then on it does."""
        before, self._begun = self._begun, True
        return not before

    async def send_all(self) -> None:
        """Send the pieces as they come and as the client reads, and the end of the body.

        ValueError when they are not as many bytes as their size. Ends early when the client does.
        """
        conn, pieces = self.conn, self.pieces
        at_once = pieces_at_once = 0  # since it last waited
        while piece := await pieces.read():
            if conn._phase >= ENDING:
                return
            self.begin()
            self.sent += len(piece)
            if pieces.size is not None and self.sent > pieces.size:
                raise ValueError(f"an answer is longer than the {pieces.size} bytes it announced")
            at_once += len(piece)
            pieces_at_once += 1
            if not self._write(piece):
                await conn._room()
            elif at_once >= ANSWER_WINDOW or pieces_at_once == MAX_PIECES:
                await asyncio.sleep(0)
            else:
                continue
            at_once = pieces_at_once = 0
        if pieces.size is not None and self.sent < pieces.size:
            raise ValueError(f"an answer is shorter than the {pieces.size} bytes it announced")
        self.begin()
        if self._is_chunked:
            conn._write(LAST_CHUNK)

    def _write(self, piece: bytes) -> bool:
        if self._is_chunked:
            piece = b"%x\r\n%b\r\n" % (len(piece), piece)
        has_room: bool = self.conn._write(piece)
        return has_room

    def cut(self) -> None:
        """End the connection so that its client sees that the answer is not whole."""
        if self._is_chunked or self.pieces.size is not None:
            self.conn._finish()
        else:  # only its end says where the answer ends
            self.conn.abort()


__all__ = ["MAX_IN_A_ROW", "Answers"]
