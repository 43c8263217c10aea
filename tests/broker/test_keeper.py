"""What main keeps for its workers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glyph_fast.broker.frames import HEAD, Kind, frame
from glyph_fast.broker.held import Held
from glyph_fast.broker.history import Ask, Page
from glyph_fast.broker.keeper import Keeper, read_position
from glyph_fast.broker.onward import Onward
from glyph_fast.broker.ordering import order, read_placed
from glyph_fast.broker.questions import Questions
from glyph_fast.dialects.publication import ROOM, publication
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.options.rooms import Declarations, RoomDeclaration
from glyph_fast.wire import NOWHERE, Position
from tests.wired import spin

Run = Callable[[Coroutine[Any, Any, None]], None]


class Worker:
    """One worker's link to main, whose answers reach its questions."""

    is_open = True

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.questions = Questions(_Wire(self))  # type: ignore[arg-type]
        self.others: list[bytes] = []

    def send_always(self, frame: bytes) -> None:
        if frame[4] == Kind.ANSWER:
            self.questions.heard(frame)
        else:
            self.others.append(frame)

    async def order(self, room: str, text: str, id: str = "") -> Any:
        number, future = self.questions.number()
        asked = order(publication(ROOM, room, text), None, number=number, id=id)
        self.keeper.order(self, asked)  # type: ignore[arg-type]
        return await future


class _Wire:
    is_open = True

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def send_always(self, frame: bytes) -> None:
        self.worker.keeper.ask(self.worker, frame)  # type: ignore[arg-type]

    def flush(self) -> None:
        pass


def made() -> tuple[Keeper, Worker, list[tuple[bytes, bytes]]]:
    forwarded: list[tuple[bytes, bytes]] = []

    async def ask_others(source: object, call: str, *args: object) -> list[Any]:
        return [2, 3] if call == "count" else []

    async def ask_one(number: int, *question: object) -> Any:
        return [number, *question]

    forward: Any = lambda name, frame: forwarded.append((name, frame))  # noqa: E731
    keeper = Keeper(forward, ask_others, ask_one=ask_one)
    declared = Declarations(in_program=[RoomDeclaration(pattern="kept", history_size=10)])
    keeper.remember(declared.history_of, 1_000_000)
    return keeper, Worker(keeper), forwarded


def test_each_order_gets_the_next_place_and_goes_to_all_members(run: Run) -> None:
    async def main() -> None:
        keeper, worker, forwarded = made()
        for n in (1, 2, 3):
            position, is_new = await worker.order("kept", str(n))
            assert (position.offset, is_new) == (n, True)
        assert [name for name, _ in forwarded] == [b"kept"] * 3
        came = [read_placed(frame) for _, frame in forwarded]
        assert [(each.offset, each.payload) for each in came] == [(1, b"1"), (2, b"2"), (3, b"3")]
        page = await worker.questions.ask("history", "kept", Ask(since=Position(position.epoch, 1)))
        assert [offset for offset, _ in page.messages] == [2, 3]

    run(main())


def test_an_id_counts_once(run: Run) -> None:
    async def main() -> None:
        keeper, worker, forwarded = made()
        first = await worker.order("kept", "x", id="ann\0one")
        again = await worker.order("kept", "x", id="ann\0one")
        other = await worker.order("kept", "x", id="bob\0one")
        assert again == (first[0], False)
        assert other[0].offset == 2 and len(forwarded) == 2
        assert await worker.questions.ask("claim", "plain", "k") is True
        assert await worker.questions.ask("claim", "plain", "k") is False

    run(main())


def test_rooms_are_emptied_and_forgotten(run: Run) -> None:
    async def main() -> None:
        keeper, worker, _ = made()
        position, _ = await worker.order("kept", "x")
        await worker.questions.ask("remove_history", "kept")
        page = await worker.questions.ask("history", "kept", Ask())
        assert (page.position, page.messages) == (position, [])
        worker.questions.order("forget", "kept")
        again, _ = await worker.order("kept", "x")
        assert again.epoch != position.epoch and again.offset == 1
        worker.questions.order("forget_all")
        assert (await worker.order("kept", "x"))[0].epoch != again.epoch
        page = await worker.questions.ask("history", "plain", Ask())
        assert page.position == NOWHERE

    run(main())


def test_what_others_have_is_asked_of_them(run: Run) -> None:
    async def main() -> None:
        _, worker, _ = made()
        assert await worker.questions.ask("count", None) == 5
        assert await worker.questions.ask("gather", "room", False) == []

    run(main())


def test_a_worker_hears_where_a_room_is(run: Run) -> None:
    async def main() -> None:
        keeper, worker, _ = made()
        position, _ = await worker.order("kept", "x")
        keeper.tell_position(worker, b"kept")  # type: ignore[arg-type]
        keeper.tell_position(worker, b"plain")  # type: ignore[arg-type]
        assert [read_position(each) for each in worker.others] == [("kept", position)]

    run(main())


def test_what_is_no_order_and_no_question_is_passed_over(run: Run) -> None:
    async def main() -> None:
        keeper, worker, forwarded = made()
        for each in (frame(Kind.ORDER, b"x"), frame(Kind.ASK, b"\1\0\0\0no pickle")):
            (keeper.order if each[4] == Kind.ORDER else keeper.ask)(worker, each)  # type: ignore[arg-type]
        keeper.presence(worker, frame(Kind.PRESENCE, b"no pickle"))  # type: ignore[arg-type]
        assert forwarded == [] and len(frame(Kind.ORDER)) == HEAD.size
        try:
            await worker.questions.ask("nonsense")
        except BrokerUnavailable as exc:
            assert "does not know nonsense" in str(exc)
        await asyncio.sleep(0)

    run(main())


def test_what_is_asked_before_the_order_is_here_waits_for_it(run: Run) -> None:
    async def main() -> None:
        keeper, worker, forwarded = made()
        keeper.held = Held()
        first = asyncio.ensure_future(worker.order("kept", "a", id="ann\0k"))
        page = asyncio.ensure_future(worker.questions.ask("history", "kept", Ask()))
        claim = asyncio.ensure_future(worker.questions.ask("claim", "other", "ann\0k"))
        counted = await worker.questions.ask("count", None)
        assert counted == 5  # nobody waits who asks the others
        keeper.tell_position(worker, b"kept")  # type: ignore[arg-type]
        await spin()
        assert not (first.done() or page.done() or claim.done() or forwarded or worker.others)
        now = time.time()
        keeper.memory.histories.adopt("kept", Position("e", 7), (now, now), [])
        keeper.memory.ids.adopt("other", "ann", "k", now + 9, NOWHERE)
        keeper.held.release(lambda: setattr(keeper, "held", None))
        assert await first == (Position("e", 8), True)
        assert [offset for offset, _ in (await page).messages] == [8]
        assert await claim is False
        assert len(forwarded) == 1
        # Both kinds of server know an id by the user and the id.
        assert keeper.memory.ids.find("kept", "ann", "k") == Position("e", 8)
        assert await worker.order("kept", "a", id="ann\0k") == (Position("e", 8), False)

    run(main())


def test_a_worker_that_starts_does_not_wait(run: Run) -> None:
    async def main() -> None:
        keeper, worker, forwarded = made()
        keeper.held = Held()
        keeper.serves = lambda link: False
        assert await worker.order("kept", "a") == (NOWHERE, True)
        ask = worker.questions.ask
        assert await ask("history", "kept", Ask()) == Page(NOWHERE, [])
        assert (await ask("history", "kept", Ask(since=Position("e", 1)))).is_lost
        assert await ask("claim", "other", "\0k") is True
        assert await ask("remove_history", "kept") is None
        assert forwarded == []
        keeper.held.release(lambda: setattr(keeper, "held", None))
        assert len(forwarded) == 1
        assert await ask("claim", "other", "\0k") is False

    run(main())


def test_too_much_that_waits_is_refused(run: Run) -> None:
    async def main() -> None:
        keeper, worker, _ = made()
        keeper.held = Held(limit=100)
        with pytest.raises(BrokerUnavailable, match="has not handed over yet"):
            await worker.order("kept", "x" * 100)

    run(main())


def test_when_the_order_has_moved_on_all_is_asked_there(run: Run) -> None:
    async def main() -> None:
        there, other, forwarded = made()
        here, worker, _ = made()
        over = Questions(_Over(there, lambda frame: over.heard(frame)))  # type: ignore[arg-type]
        here.onward = Onward(over._link, over)
        assert (await worker.order("kept", "a", id="\0k"))[0].offset == 1
        assert (await worker.order("kept", "a", id="\0k"))[1] is False
        assert (await other.order("kept", "b"))[0].offset == 2
        page = await worker.questions.ask("history", "kept", Ask())
        assert len(page.messages) == len(forwarded) == 2
        here.tell_position(worker, b"kept")  # type: ignore[arg-type]
        assert worker.others == [] and len(here.memory.histories) == 0
        worker.questions.order("forget", "kept")
        worker.questions.order("forget_all")
        assert there.memory.histories.messages == 2  # it goes on though this process ends
        await worker.questions.ask("remove_history", "kept")
        assert there.memory.histories.messages == 0

    run(main())


class _Over:
    """The link to a successor, which answers at once."""

    is_open = has_room = True

    def __init__(self, keeper: Keeper, heard: Callable[[bytes], None]) -> None:
        self.keeper, self.heard = keeper, heard

    def send_always(self, frame: bytes) -> None:
        back: Any = _Back(self.heard)
        (self.keeper.order if frame[4] == Kind.ORDER else self.keeper.ask)(back, frame)


class _Back:
    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self.send_always = heard


def test_a_worker_is_asked_for_another(run: Run) -> None:
    async def main() -> None:
        _, worker, _ = made()
        answer = await worker.questions.ask("ask worker", 2, "take", "session", "text")
        assert answer == [2, "take", "session", "text"]

    run(main())
