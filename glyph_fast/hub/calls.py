"""Calls of the server to a client: questions that wait for a reply.

A call is an envelope with an event and an `id` of ours, which the client's `reply` brings back. Ids
count up within a connection, so that a late reply, or a second one, is known for what it is.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..dialects.message import Message
from ..errors import CallFailed, CallTimeout, GlyphFastError
from ..json import dumps, loads
from ..wire import MessageType

if TYPE_CHECKING:
    from .connection import Connection

_PREFIX = "call-"  # of ids; behind it a number from 1


class Calls:
    """The calls to one connection: `open` are the ids of those that wait for their reply."""

    __slots__ = ("_issued", "open")

    def __init__(self) -> None:
        self._issued = 0
        self.open: dict[str, asyncio.Future[Any]] = {}

    async def ask(self, conn: Connection, event: str, data: Any, timeout: float | None) -> Any:
        """Ask and wait, as `Connection.call` does; `conn` is the one whose calls these are."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        id = f"{_PREFIX}{self._issued + 1}"
        if conn.send(Message(MessageType.JSON, data, event=event, id=id)).dropped:
            raise CallFailed("the send queue of the connection is full")
        self._issued += 1
        self.open[id] = answer
        timer = None
        if timeout is not None:
            timer = loop.call_later(timeout, _fail, answer, CallTimeout(event, timeout))
        conn._plan.paced(conn)  # it may read on
        try:
            return await answer
        finally:
            if timer is not None:
                timer.cancel()
            self.open.pop(id, None)

    def is_id(self, id: object) -> bool:
        """Return whether a call to this connection has, or had, that id."""
        if not isinstance(id, str) or not id.startswith(_PREFIX):
            return False
        digits = id[len(_PREFIX) :]
        # No more digits than ours have: what a client sends is not turned into any large number.
        if not digits.isascii() or not digits.isdigit() or len(digits) > len(str(self._issued)):
            return False
        return digits[0] != "0" and int(digits) <= self._issued

    def take(self, payload: str) -> bool:
        """Take a text that is the reply to a call to this connection; False when it is none.

        A second reply, or one that comes too late, is taken, and nothing comes of it.
        """
        if '"reply"' not in payload and "\\u" not in payload:  # an escape could hide the word
            return False
        try:
            value = loads(payload)
        except ValueError:
            return False
        if not isinstance(value, dict) or value.get("type") != MessageType.REPLY.value:
            return False
        if not self.is_id(value.get("id")):
            return False
        answer = self.open.pop(value["id"], None)
        if answer is None or answer.done():
            return True
        if "error" in value:
            error = value["error"]
            answer.set_exception(
                CallFailed(error if isinstance(error, str) else dumps(error).decode())
            )
        else:
            answer.set_result(value.get("data"))
        return True

    def fail(self, *reason: Any, kind: type[GlyphFastError] = CallFailed) -> None:
        """End every open call with an error of its own."""
        failing, self.open = self.open, {}
        for answer in failing.values():
            _fail(answer, kind(*reason))


def _fail(answer: asyncio.Future[Any], exc: GlyphFastError) -> None:
    if not answer.done():
        answer.set_exception(exc)
