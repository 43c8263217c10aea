"""What is published in a room, until it has its place: sent again with every connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ..wire import Position
from .clock import now
from .questions import TRY_AGAIN, Done, Found, longer
from .types import ClientError, position_of

IDS_COUNT_FOR = 240.0  # seconds; a minute less than a server remembers them


class Ask(Protocol):
    """Sends a text under its id, until it is answered or `until` has passed."""

    def __call__(self, id: str, text: str, done: Done, until: float) -> object: ...


class _Outgoing:
    __slots__ = ("is_asked", "result", "sent_at", "text")

    def __init__(self, text: str, result: asyncio.Future[Position | None]) -> None:
        self.text = text
        self.sent_at = 0.0  # first; 0: never
        self.is_asked = False  # on this connection, and not answered yet
        self.result = result


class Outbox:
    """Messages in the order in which they were published. `placed` is told where one came to be.

    A server that cannot take a message now says "try again". Then what is published waits behind
    the first that waits, which alone is sent until the server takes it.
    """

    def __init__(self, ask: Ask, placed: Callable[[Position], object]) -> None:
        self._ask = ask
        self._placed = placed
        self._waiting: dict[str, _Outgoing] = {}
        self._pause = 0.0  # seconds; more than 0 while the server refuses
        self._timer: asyncio.TimerHandle | None = None  # sends the first again

    async def publish(self, id: str, text: str, *, is_joined: bool) -> Position | None:
        """Send `text`, which has the id, and wait for its place. Raises ClientError."""
        result: asyncio.Future[Position | None] = asyncio.get_running_loop().create_future()
        self._waiting[id] = _Outgoing(text, result)
        if is_joined and not self._pause:
            self._send(id)
        try:
            return await result
        finally:
            self._waiting.pop(id, None)  # nobody waits any more: it is not sent again

    def send_all(self) -> None:
        """One is a member: send what waits, in its order."""
        self._send_on(0.0)

    def down(self) -> None:
        """The socket is lost, and with it all answers."""
        self._stop()
        for out in self._waiting.values():
            out.is_asked = False

    def give_up(self, why: str, *, only_sent: bool = False) -> None:
        """Let those who wait wait no longer."""
        for id, out in list(self._waiting.items()):
            if out.sent_at or not only_sent:
                self._end(id, ClientError(why, maybe_sent=out.sent_at > 0))

    def _send_on(self, pause: float) -> None:
        """Send what waits and was not sent; the first alone where there is a pause."""
        self._stop()
        self._pause = pause if self._waiting else 0.0
        for id in list(self._waiting):
            if id in self._waiting and not self._waiting[id].is_asked:
                self._send(id)
            if self._pause:
                break

    def _send(self, id: str) -> None:
        out = self._waiting[id]
        first, out.sent_at = out.sent_at, out.sent_at or now()
        if first and now() > first + IDS_COUNT_FOR:
            self._end(id, ClientError("no answer in time", maybe_sent=True))
            self._taken()
        else:
            out.is_asked = True
            self._ask(id, out.text, self._answer_to(id, out), out.sent_at + IDS_COUNT_FOR)

    def _answer_to(self, id: str, out: _Outgoing) -> Done:
        def done(error: ClientError | None, found: Found) -> None:
            out.is_asked = False
            if error is not None and str(error) == TRY_AGAIN:
                self._refused()
                return
            position = position_of(found) if error is None else None
            if position is not None:
                self._placed(position)
            self._end(id, error or position)
            self._taken()

        return done

    def _refused(self) -> None:
        if self._timer is None:
            self._pause = pause = longer(self._pause)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(pause, self._send_on, pause)

    def _taken(self) -> None:
        """One was answered: what waits behind it goes on, unless a pause has just begun."""
        if self._pause and self._timer is None:
            self._send_on(0.0)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, id: str, end: ClientError | Position | None) -> None:
        out = self._waiting.pop(id, None)
        if out is None or out.result.done():
            return
        if isinstance(end, ClientError):
            out.result.set_exception(end)
        else:
            out.result.set_result(end)
