"""What was asked of the server under an id: until it is answered, too late, or the link is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from math import inf
from typing import Any, TypeAlias

from .clock import now
from .types import ClientError, Envelope, object_of

AGAIN_AFTER = 10.0  # seconds without an answer: it may have been dropped on the way
TRY_AGAIN = "try again"  # says a server that cannot do it now
_FIRST_PAUSE = 0.5  # seconds, of which "try again" makes a second or so
_LONGEST_PAUSE = 5.0

Found: TypeAlias = Any  # `data` of an answer
Done: TypeAlias = Callable[[ClientError | None, Found], object]


def longer(pause: float) -> float:
    """The next pause after "try again": about a second, then longer, up to five."""
    return min((pause or _FIRST_PAUSE) * (1.5 + random.random()), _LONGEST_PAUSE)


def _never() -> bool:
    return False


class Question:
    """Something sent that is answered under its id. `done` is called once, unless it is over."""

    __slots__ = ("asked_at", "done", "is_call", "is_over", "pause", "text", "timer", "until")

    def __init__(self, text: str, done: Done, until: float, is_over: Callable[[], bool]) -> None:
        self.text = text
        self.done = done
        self.until = until  # when asking again would be too late
        self.is_over = is_over  # whether the answer is nobody's business any more
        self.is_call = False  # asked once at most, and only of a server that lets us in
        self.asked_at = 0.0  # the latest time; 0: not yet
        self.pause = 0.0  # the latest after "try again"
        self.timer: asyncio.TimerHandle | None = None  # asks again after it


class Questions:
    """All of one client. `send` says whether the socket took a text."""

    def __init__(self, send: Callable[[str], bool]) -> None:
        self._send = send
        self._open: dict[str, Question] = {}
        self._timer: asyncio.TimerHandle | None = None  # one for all: answers mostly come

    def __len__(self) -> int:
        return len(self._open)

    def ask(
        self,
        id: str,
        text: str,
        done: Done,
        until: float = inf,
        is_over: Callable[[], bool] = _never,
    ) -> None:
        """Send `text`, which has the id, and again while nobody answers.

        It is sent again after "try again" as well; but `done` is told where there is an `until`,
        so that who asks can keep an order.
        """
        question = self._open[id] = Question(text, done, until, is_over)
        self._put(id, question)

    def call(self, id: str, text: str, done: Done, *, is_open: bool) -> Question:
        """Send `text`, which has the id, once: now, or with the next `opened`."""
        question = self._open[id] = Question(text, done, inf, _never)
        question.is_call = True
        if is_open:
            self._put(id, question)
        return question

    def forget(self, id: str) -> None:
        """Whoever asked does not wait any more."""
        question = self._open.pop(id, None)
        if question is not None and question.timer is not None:
            question.timer.cancel()

    def has(self, id: object) -> bool:
        """Whether somebody waits for an answer under this id."""
        return isinstance(id, str) and id in self._open

    def answered(self, id: str, envelope: Envelope) -> None:
        """An answer came."""
        question = self._open[id]
        error, data = "", envelope.get("data")
        if envelope.get("type") == "error":
            said = object_of(data).get("error")
            error = said if isinstance(said, str) and said else "error"
        if error == TRY_AGAIN and not question.is_call and question.until == inf:
            self._put_later(id, question)
        else:
            self._end(id, question, ClientError(error) if error else None, data)

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
                error = ClientError("connection lost", maybe_sent=question.is_call)
                self._end(id, question, error)

    def close(self, reason: str) -> None:
        """Nothing more will be answered."""
        self._stop()
        for id, question in list(self._open.items()):
            self._end(id, question, ClientError(reason))

    def _put(self, id: str, question: Question) -> None:
        question.timer = None
        if (question.asked_at and now() > question.until) or question.is_over():
            self._end(id, question, ClientError("no answer in time", maybe_sent=True))
        elif self._send(question.text):
            question.asked_at = now()
            if not question.is_call:
                self._start()

    def _put_later(self, id: str, question: Question) -> None:
        if question.timer is None:
            question.pause = longer(question.pause)
            loop = asyncio.get_running_loop()
            question.timer = loop.call_later(question.pause, self._put, id, question)

    def _again(self) -> None:
        """Ask again what was not answered: whatever is no call may be asked twice."""
        self._timer = None
        waiting = [each for each in self._open.items() if not each[1].is_call]
        for id, question in waiting:
            is_due = question.timer is None and now() - question.asked_at >= AGAIN_AFTER
            if is_due and id in self._open:
                self._put(id, question)
            self._start()

    def _start(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(AGAIN_AFTER, self._again)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(
        self, id: str, question: Question, error: ClientError | None, found: Found = None
    ) -> None:
        self.forget(id)
        if not question.is_over():
            question.done(error, found)


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
