"""Questions over a link, and what becomes of those that nobody answers."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glyph_fast.broker.history import Ask
from glyph_fast.broker.questions import Questions, answer, own_classes, read_question, refusal
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.wire import Position

Run = Callable[[Coroutine[Any, Any, None]], None]


class Wire:
    """A link that keeps what is sent over it."""

    is_open = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_always(self, frame: bytes) -> None:
        self.sent.append(frame)

    def flush(self) -> None:
        pass


def test_each_question_gets_its_own_answer(run: Run) -> None:
    async def main() -> None:
        wire: Any = Wire()
        questions = Questions(wire)
        asked = [asyncio.ensure_future(questions.ask("history", room)) for room in "ab"]
        await asyncio.sleep(0)
        (first, second) = map(read_question, wire.sent)
        assert [first[1:], second[1:]] == [("history", ("a",)), ("history", ("b",))]
        questions.heard(answer(second[0], "of b"))
        questions.heard(refusal(first[0], "not now"))
        questions.heard(answer(first[0], "too late"))
        assert await asked[1] == "of b"
        with pytest.raises(BrokerUnavailable, match="not now"):
            await asked[0]

    run(main())


def test_an_order_wants_no_answer() -> None:
    wire: Any = Wire()
    Questions(wire).order("forget", "room")
    assert read_question(wire.sent[0]) == (0, "forget", ("room",))


def test_nobody_waits_for_who_is_gone(run: Run) -> None:
    async def main() -> None:
        wire: Any = Wire()
        questions = Questions(wire)
        asked = asyncio.ensure_future(questions.ask("history", "a"))
        await asyncio.sleep(0)
        wire.is_open = False
        questions.end()
        with pytest.raises(BrokerUnavailable, match="gone"):
            await asked
        with pytest.raises(BrokerUnavailable, match="gone"):
            await questions.ask("history", "a")

    run(main())


@pytest.mark.parametrize("value", [Position("e", 1), Ask(limit=3), frozenset("ab"), {"a": [1.5]}])
def test_what_is_of_this_package_is_made(value: object) -> None:
    assert own_classes(pickle.dumps(value)) == value


@pytest.mark.parametrize("value", [os.getcwd, eval, Wire], ids=str)
def test_nothing_else_is(value: object) -> None:
    with pytest.raises(pickle.UnpicklingError, match="not for the main process"):
        own_classes(pickle.dumps(value))
