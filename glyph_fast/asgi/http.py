"""One request through an ASGI application.

An application that does not wait is answered within the turn, by one write and without a task. The
head of an answer waits for its first piece, so that what is whole leaves whole; where the piece is
late, the head goes at the end of the turn in which the application began to wait.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..errors import ConnectionClosed, Reject
from ..handlers.outcome import is_cancelled, is_failure, running_task
from ..http.pieces import Pieces
from ..http.response import Response, error_response, refusal_response
from ..opening.answering import LAST_CHUNK, MAX_PIECES
from ..wire import ANSWER_WINDOW, ENDING, MAX_FIELDS
from .answer import BEGUN, LEAVING, TRAILERS, WAITED_FOR, WHOLE, Answer, Message, as_bytes, route_of
from .endless import Vain
from .errors import ClientDisconnected, comes_of_disconnect
from .files import borrowed_pieces, file_pieces
from .head import encode_hints, encode_trailers
from .wakeup import wakeup


class HttpCall(Answer):
    """The call of an application for one request: what it is given, and how it ends."""

    __slots__ = ()

    async def run(self) -> None:
        """Call the application, and see to it that the request is answered."""
        try:
            await self._mount.app(self.scope, self.receive, self.send)
        except BaseException as exc:
            self._failed(exc)
        else:
            if self._state != WHOLE:
                self._returned_early()
        self._exchange.call = None  # no cycle: what a request leaves behind goes at once

    def lost(self) -> None:
        """The client is gone."""
        self._has_left = True
        self._wake()

    # What the application calls.

    async def receive(self) -> dict[str, Any]:
        """The next piece of the body, as it comes; then, once it is so, that all is over."""
        if not self._is_read and self._state != WHOLE:
            incoming = self._request._incoming
            if incoming is None:
                self._is_read = True
                return {"type": "http.request", "body": self._request._body, "more_body": False}
            try:
                piece = await incoming.read()
            except ConnectionClosed:
                self._has_left = True
            except Reject as exc:  # it is too large, or not what it says
                self._refuse(exc)
            else:
                self._is_read = incoming.is_ended
                more = not self._is_read
                return {"type": "http.request", "body": piece, "more_body": more}
        while not (self._has_left or self._state == WHOLE):
            waiter = wakeup()
            self._waiters = [*(self._waiters or ()), waiter]
            await waiter
        self._vain = self._vain or Vain()
        await self._vain.received()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take a part of the answer; returns when there is room for the next.

        Raises ClientDisconnected, an OSError, once nobody is there any more, RuntimeError for what
        cannot come now, and ValueError or TypeError for what cannot be sent.
        """
        try:
            if self.takes(message):
                return
            state, kind = self._state, message["type"]
            if kind == "http.response.body" and (state == BEGUN or state == LEAVING):
                body = message.get("body", b"")
                if body.__class__ is not bytes:
                    body = as_bytes(body)
                if message.get("more_body", False):
                    await self._send_piece(body)
                else:
                    await self._send_last(body)
            else:
                await self._send_rare(state, kind, message)
        except Exception:
            self._vain = self._vain or Vain()
            await self._vain.sent()
            raise

    async def _send_rare(self, state: int, kind: str, message: Message) -> None:
        if state == WAITED_FOR and kind == "http.response.early_hint":
            hints = encode_hints(message["links"])
            is_known = self._request.http_version == "1.1"
            await self._go_on(self._conn._write(hints) if is_known else True)
        elif state == BEGUN and kind == "http.response.pathsend":
            self._holds_head = True
            await self._send_pieces(await file_pieces(message["path"]), is_last=True)
            await self._send_last(b"")
        elif state in (BEGUN, LEAVING) and kind == "http.response.zerocopysend":
            pieces = borrowed_pieces(message["file"], message.get("offset"), message.get("count"))
            is_last = not message.get("more_body", False)
            await self._send_pieces(pieces, is_last=is_last)
            if is_last:
                await self._send_last(b"")
            else:
                await self._go_on(True)
        elif state == TRAILERS and kind == "http.response.trailers":
            assert self._trailers is not None
            self._trailers += message.get("headers", ())
            if len(self._trailers) > MAX_FIELDS:
                raise ValueError(f"more than {MAX_FIELDS} trailer fields")
            if not message.get("more_trailers", False):
                self._end_body()
            else:
                await self._go_on(True)
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r} {_STATES[state]}")

    # The answer.

    async def _send_piece(self, body: bytes) -> None:
        has_room = True
        if self._instead is None:
            if self._state == BEGUN:
                self._write_head(b"")
            if body and self._sends_body:
                has_room = self._write(body)
                self._at_once += len(body)
        await self._go_on(has_room)

    async def _go_on(self, has_room: bool) -> None:
        """Return once there is room for more, and others have had their turn.

        Pieces that nobody gets count as well, of an answer to HEAD for instance.
        """
        self._pieces_at_once += 1
        if not has_room:
            await self._conn._room()
        elif self._at_once >= ANSWER_WINDOW or self._pieces_at_once == MAX_PIECES:
            await asyncio.sleep(0)
        else:
            return
        self._at_once = self._pieces_at_once = 0
        if self._conn._phase >= ENDING:
            raise ClientDisconnected("the client is gone")

    def _write(self, body: bytes) -> bool:
        head = self._head
        assert head is not None
        self._sent += len(body)
        if 0 <= head.length < self._sent:
            raise RuntimeError(f"the body is longer than its content-length, {head.length}")
        if head.is_chunked:
            body = b"%x\r\n%b\r\n" % (len(body), body)
        has_room: bool = self._conn._write(body)
        return has_room

    async def _send_last(self, body: bytes) -> None:
        """The last piece of several."""
        if self._instead is not None:
            self._give_up(self._instead)
            return
        if self._state == BEGUN:
            self._write_head(b"")
        head = self._head
        assert head is not None
        if body and self._sends_body:
            self._write(body)
        if self._sends_body and self._sent < head.length:
            raise RuntimeError(f"the body is shorter than its content-length, {head.length}")
        if self._trailers is not None:
            self._state = TRAILERS
        else:
            self._end_body()

    async def _send_pieces(self, pieces: Pieces, *, is_last: bool) -> None:
        try:
            head = self._head
            assert head is not None
            if self._state == BEGUN and head.length < 0 and is_last:
                head.length = pieces.size or 0  # all of the body
            while self._sends_body and (piece := await pieces.read()):
                await self._send_piece(piece)
        finally:
            await pieces.close()

    def _end_body(self) -> None:
        head = self._head
        assert head is not None
        if head.is_chunked:
            asks = "trailers" in self._request.headers.tokens("te")  # RFC 9110 §6.5.1
            end = encode_trailers(self._trailers) if self._trailers and asks else LAST_CHUNK
            self._conn._write(end)
        self._finish()

    # What goes wrong.

    def _failed(self, exc: BaseException) -> None:
        if not is_failure(exc, self._exchange.task or running_task()):
            raise exc
        is_gone = self._has_left or self._conn._phase >= ENDING
        response = error_response(500, "internal server error")
        if is_cancelled(exc):
            response = error_response(503, "server is shutting down")
        elif not (is_gone and comes_of_disconnect(exc)):
            self._mount.failed(exc, route_of(self.scope))
        if self._state != WHOLE and not is_gone:
            self._give_up(response)

    def _returned_early(self) -> None:
        if self._has_left or self._conn._phase >= ENDING:
            return
        what = "without an answer" if self._head is None else "before its answer was whole"
        self._mount.failed(RuntimeError(f"the application returned {what}"), route_of(self.scope))
        self._give_up(error_response(500, "internal server error"))

    def _refuse(self, exc: Reject) -> None:
        """The body is not taken: whoever waits for it hears of the end."""
        self._give_up(refusal_response(exc))
        self._has_left = True

    def _give_up(self, response: Response) -> None:
        """Answer in the place of the application; or end the connection, where it has begun."""
        is_begun = self._state > BEGUN
        self._state = WHOLE
        self._wake()
        if not is_begun:
            self._mount.answer(self._conn, self._exchange, response)
            return
        head = self._head
        assert head is not None
        # So its client sees that it is not whole; where nothing follows the head, it is.
        if head.is_chunked or head.length >= 0 or not self._sends_body:
            self._conn._finish()
        else:
            self._conn.abort()
        if self._mount.answers.access.is_on:
            self._log()


_STATES = (
    "before the answer has begun", "after its beginning", "in the midst of the body",
    "where trailers are expected", "after the answer is complete",
)  # fmt: skip

__all__ = ["HttpCall", "route_of"]
