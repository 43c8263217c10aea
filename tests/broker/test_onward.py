"""Questions that are passed on keep their askers apart, and their answers come back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from glyph_fast.broker.frames import Kind, frame
from glyph_fast.broker.onward import TOO_MUCH, Onward
from glyph_fast.broker.ordering import order, read_order
from glyph_fast.broker.questions import Questions, answer, read_question, refusal
from glyph_fast.dialects.publication import ROOM, publication
from tests.wired import spin

Run = Callable[[Coroutine[Any, Any, None]], None]


class Wire:
    """A link that keeps what is sent."""

    is_open = has_room = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_always(self, frame: bytes) -> None:
        self.sent.append(frame)

    send = send_always


def asked(number: int, text: str) -> bytes:
    return order(publication(ROOM, "kept", text), "ann", number=number, id="k")


def test_answers_go_to_who_asked_under_the_number_it_gave(run: Run) -> None:
    async def main() -> None:
        there, one, other = Wire(), Wire(), Wire()
        questions = Questions(there)  # type: ignore[arg-type]
        onward = Onward(there, questions)  # type: ignore[arg-type]
        onward.ask(one, asked(7, "a"), 7)  # type: ignore[arg-type]
        onward.ask(other, asked(7, "b"), 7)  # type: ignore[arg-type]
        onward.ask(other, asked(0, "c"), 0)  # type: ignore[arg-type]
        passed = [read_order(each) for each in there.sent]
        assert [each.number for each in passed] == [1, 2, 0]
        assert passed[0]._replace(number=7) == read_order(asked(7, "a"))
        questions.heard(answer(2, ("b", True)))
        questions.heard(refusal(1, "no"))
        await spin()
        assert other.sent == [answer(7, ("b", True))]
        assert one.sent == [refusal(7, "no")]

    run(main())


def test_a_process_that_follows_and_does_not_read_is_given_no_more(run: Run) -> None:
    async def main() -> None:
        there, one = Wire(), Wire()
        onward = Onward(there, Questions(there))  # type: ignore[arg-type]
        there.has_room = False
        onward.ask(one, asked(7, "a"), 7)  # type: ignore[arg-type]
        onward.ask(one, asked(0, "b"), 0)  # type: ignore[arg-type]
        assert there.sent == [] and one.sent == [refusal(7, TOO_MUCH)]

    run(main())


def test_when_nobody_answers_any_more_all_are_told(run: Run) -> None:
    async def main() -> None:
        there, one = Wire(), Wire()
        questions = Questions(there)  # type: ignore[arg-type]
        onward = Onward(there, questions)  # type: ignore[arg-type]
        Questions(_To(onward, one)).order("forget", "kept")  # type: ignore[arg-type]
        assert read_question(there.sent.pop()) == (0, "forget", ("kept",))
        onward.ask(one, asked(7, "a"), 7)  # type: ignore[arg-type]
        onward.pass_on(frame(Kind.TELL, b"x"))
        assert there.sent[1:] == [frame(Kind.TELL, b"x")]
        questions.end()
        await spin()
        assert one.sent == [refusal(7, "the main process is gone")]
        gone, future = questions.number()
        future.cancel()

    run(main())


class _To(Wire):
    def __init__(self, onward: Onward, asker: Wire) -> None:
        super().__init__()
        self.onward, self.asker = onward, asker

    def send_always(self, frame: bytes) -> None:
        self.onward.ask(self.asker, frame, 0)  # type: ignore[arg-type]

    def flush(self) -> None:
        pass
