"""The answer by HTTP of an application that does not take a WebSocket.

Of one in a single piece the length is told; another leaves in chunks, as its client reads.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ..opening.answering import LAST_CHUNK, MAX_PIECES
from ..wire import ENDING
from .answer import Message, as_bytes
from .errors import ClientDisconnected
from .head import Head


class Denial:
    """One such answer. ValueError or TypeError for a head that cannot be sent."""

    __slots__ = ("_conn", "_head", "_pieces_at_once", "has_begun")

    def __init__(self, conn: Any, message: Message) -> None:
        self._conn = conn
        self._head = Head(message["status"], message.get("headers") or ())
        self._pieces_at_once = 0  # since it last waited
        self.has_begun = False  # its head is written

    @property
    def status(self) -> int:
        """The status."""
        return self._head.status

    async def send(self, message: Message) -> bool:
        """Send a piece, and return whether it was the last; else once there is room for more.

        Raises ClientDisconnected when nobody is there any more.
        """
        body, is_last = as_bytes(message.get("body", b"")), not message.get("more_body", False)
        if not self._head.has_body:
            body = b""
        has_room = self._write_on(body, is_last) if self.has_begun else self._begin(body, is_last)
        if not is_last:
            await self._go_on(has_room)
        return is_last

    def _begin(self, body: bytes, is_last: bool) -> bool:
        head = self._head
        head.length = len(body) if is_last else -1
        data = head.encode("1.1", False, False, body if is_last else b"")
        self.has_begun = True
        has_room: bool = self._conn._write(data)
        return has_room if is_last else self._write_on(body, False)

    def _write_on(self, body: bytes, is_last: bool) -> bool:
        if not self._head.is_chunked:
            return True
        data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        if is_last:
            data += LAST_CHUNK
        has_room: bool = self._conn._write(data) if data else True
        return has_room

    async def _go_on(self, has_room: bool) -> None:
        self._pieces_at_once += 1
        if not has_room:
            await self._conn._room()
        elif self._pieces_at_once == MAX_PIECES:
            await asyncio.sleep(0)
        else:
            return
        self._pieces_at_once = 0
        if self._conn._phase >= ENDING:
            raise ClientDisconnected("the client is gone")


__all__ = ["Denial"]
