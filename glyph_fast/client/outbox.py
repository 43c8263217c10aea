"""What is published in a room, until it has its place: sent again with every connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..wire import Position
from .clock import now
from .questions import Done, Found
from .types import ClientError, position_of

IDS_COUNT_FOR = 240.0  # seconds; a minute less than a server remembers them


class Ask(Protocol):
    """Sends a text under its id, until it is answered or `until` has passed."""

    def __call__(self, id: str, text: str, done: Done, until: float) -> object: ...


class _Outgoing:
    __slots__ = ("result", "sent_at", "text")

    def __init__(self, text: str, result: asyncio.Future[Position | None]) -> None:
        self.text = text
        self.sent_at = 0.0  # first; 0: never
        self.result = result


class Outbox:
    """Messages in the order in which they were published. `placed` is told where one came to be."""

    def __init__(self, ask: Ask, placed: Callable[[Position], object]) -> None:
        self._ask = ask
        self._placed = placed
        self._waiting: dict[str, _Outgoing] = {}

    async def publish(self, id: str, text: str, *, is_joined: bool) -> Position | None:
        """Send `text`, which has the id, and wait for its place. Raises ClientError."""
        result: asyncio.Future[Position | None] = asyncio.get_running_loop().create_future()
        self._waiting[id] = _Outgoing(text, result)
        if is_joined:
            self._send(id)
        try:
            return await result
        finally:
            self._waiting.pop(id, None)  # nobody waits any more: it is not sent again

    def send_all(self) -> None:
        """One is a member: send what waits, in its order."""
        for id in list(self._waiting):
            if id in self._waiting:
                self._send(id)

    def give_up(self, why: str, *, only_sent: bool = False) -> None:
        """Let those who wait wait no longer."""
        for id, out in list(self._waiting.items()):
            if out.sent_at or not only_sent:
                self._end(id, ClientError(why, maybe_sent=out.sent_at > 0))

    def _send(self, id: str) -> None:
        out = self._waiting[id]
        first, out.sent_at = out.sent_at, out.sent_at or now()
        if first and now() > first + IDS_COUNT_FOR:
            self._end(id, ClientError("no answer in time", maybe_sent=True))
        else:
            done = self._answer_to(id)
            self._ask(id, out.text, done, out.sent_at + IDS_COUNT_FOR)

    def _answer_to(self, id: str) -> Done:
        def done(error: ClientError | None, found: Found) -> None:
            if error is not None:
                self._end(id, error)
                return
            position = position_of(found)
            if position is not None:
                self._placed(position)
            self._end(id, position)

        return done

    def _end(self, id: str, end: ClientError | Position | None) -> None:
        out = self._waiting.pop(id, None)
        if out is None or out.result.done():
            return
        if isinstance(end, ClientError):
            out.result.set_exception(end)
        else:
            out.result.set_result(end)
