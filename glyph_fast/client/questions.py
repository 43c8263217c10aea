"""What was asked of the server under an id: until it is answered, too late, or the link is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any, TypeAlias

from .clock import now
from .types import ClientError, Envelope

AGAIN_AFTER = 10.0  # seconds without an answer: it may have been dropped on the way

Found: TypeAlias = Any  # `data` of an answer
Done: TypeAlias = Callable[[ClientError | None, Found], object]


class Question:
    """Something sent that is answered under its id. `done` is called once."""

    __slots__ = ("asked_at", "done", "is_call", "text", "until")

    def __init__(self, text: str, done: Done, until: float, *, is_call: bool = False) -> None:
        self.text = text
        self.done = done
        self.asked_at = 0.0  # 0: not yet
        self.until = until  # when asking again would be too late
        self.is_call = is_call  # asked once at most, and only of a server that lets us in


class Questions:
    """All of one client. `send` says whether the socket took a text."""

    def __init__(self, send: Callable[[str], bool]) -> None:
        self._send = send
        self._open: dict[str, Question] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._open)

    def ask(self, id: str, text: str, done: Done, until: float = inf) -> None:
        """Send `text`, which has the id, and again while nobody answers."""
        question = self._open[id] = Question(text, done, until)
        self._put(id, question)

    def call(self, id: str, text: str, done: Done, *, is_open: bool) -> Question:
        """Send `text`, which has the id, once: now, or with the next `opened`."""
        question = self._open[id] = Question(text, done, inf, is_call=True)
        if is_open:
            self._put(id, question)
        return question

    def forget(self, id: str) -> None:
        """Whoever asked does not wait any more."""
        self._open.pop(id, None)

    def has(self, id: object) -> bool:
        """Whether somebody waits for an answer under this id."""
        return isinstance(id, str) and id in self._open

    def answered(self, id: str, envelope: Envelope) -> None:
        """An answer came."""
        question = self._open[id]
        error, data = "", envelope.get("data")
        if envelope.get("type") == "error":
            error = str(data.get("error", "error") if isinstance(data, dict) else "error")
        if error == "try again" and not question.is_call:
            return  # `_again` does
        del self._open[id]
        question.done(ClientError(error) if error else None, data)

    def opened(self) -> None:
        """The server lets us in: make the calls that waited for it."""
        for id, question in list(self._open.items()):
            if question.is_call and id in self._open:
                self._put(id, question)

    def down(self) -> None:
        """The socket is lost, and with it all answers; calls that were not made wait on."""
        self._stop()
        for id, question in list(self._open.items()):
            if not question.is_call or question.asked_at:
                self.forget(id)
                question.done(ClientError("connection lost", maybe_sent=question.is_call), None)

    def close(self, reason: str) -> None:
        """Nothing more will be answered."""
        self._stop()
        while self._open:
            _, question = self._open.popitem()
            question.done(ClientError(reason), None)

    def _put(self, id: str, question: Question) -> None:
        if question.asked_at and now() > question.until:
            self.forget(id)
            question.done(ClientError("no answer in time", maybe_sent=True), None)
        elif self._send(question.text):
            question.asked_at = now()
            if not question.is_call:
                self._start()

    def _again(self) -> None:
        """Ask again what was not answered: whatever is no call may be asked twice."""
        self._timer = None
        waiting = [each for each in self._open.items() if not each[1].is_call]
        for id, question in waiting:
            if now() - question.asked_at >= AGAIN_AFTER and id in self._open:
                self._put(id, question)
            self._start()

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_AFTER, self._again)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def into(result: asyncio.Future[Found]) -> Done:
    """Makes an answer the result of a future that may be cancelled meanwhile."""

    def done(error: ClientError | None, found: Found) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(found)

    return done
