"""A worker that misses messages of a room gets them, each once and in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glyph_fast.broker import catching_up
from glyph_fast.broker.catching_up import CatchingUp
from glyph_fast.broker.history import Ask, Histories, Page
from glyph_fast.broker.ordering import order, placed, read_placed
from glyph_fast.broker.questions import GONE
from glyph_fast.dialects.publication import ROOM, Publication, publication
from glyph_fast.dialects.stream import kept_frame
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.options.rooms import RoomDeclaration

Run = Callable[[Coroutine[Any, Any, None]], None]


class Main:
    """The order and the history of one room, as the main process has them."""

    def __init__(self, size: int = 1000) -> None:
        self.histories = Histories()
        terms = RoomDeclaration(pattern="*", history_size=size)
        self.histories.terms_of = lambda name: terms
        self.is_gone = False

    def publish(self, text: str) -> Publication:
        made = publication(ROOM, "room", text)
        frame, kind = kept_frame(made)
        stream = self.histories.append("room", frame, kind)
        return read_placed(placed(order(made, None), stream.epoch, stream.offset, 0.0))

    async def read(self, room: str, ask: Ask) -> Page:
        await asyncio.sleep(0)
        if self.is_gone:
            raise BrokerUnavailable(GONE)
        return self.histories.read(room, ask)


@pytest.mark.parametrize("seed", range(20))
def test_what_was_dropped_on_the_way_comes_in_its_place(run: Run, seed: int) -> None:
    async def main() -> None:
        draw = random.Random(seed)
        of, delivered = Main(), []
        worker = CatchingUp(lambda each: delivered.append(each.payload.decode()), of.read)
        worker.is_at("room", of.histories.stream("room").position)
        is_losing = False
        for n in range(200):
            if draw.random() < 0.1:
                is_losing = not is_losing
            message = of.publish(str(n))
            if not is_losing:
                worker.placed(message)
            if draw.random() < 0.3:
                await asyncio.sleep(0)
        worker.is_at("room", of.histories.stream("room").position)  # when it reads again
        for _ in range(10):
            await asyncio.sleep(0)
        assert delivered == [str(n) for n in range(200)]

    run(main())


@pytest.mark.parametrize("read_first", [False, True])
def test_what_waits_while_it_is_read_takes_no_more_than_its_bytes(
    run: Run, read_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read as well, be it after what was asked for, as where two connections bring them."""
    monkeypatch.setattr(catching_up, "MOST", 1000)

    async def main() -> None:
        of, delivered = Main(), []
        answered = asyncio.Event()

        async def read(room: str, ask: Ask) -> Page:
            page = await of.read(room, ask) if read_first else None
            await answered.wait()
            return page or await of.read(room, ask)

        worker = CatchingUp(lambda each: delivered.append(each.payload.decode()), read)
        worker.placed(of.publish("first"))
        of.publish("missed")
        worker.placed(of.publish("1"))
        await asyncio.sleep(0.001)
        for n in range(2, 50):
            worker.placed(of.publish(f"{n:0100}"))
            assert worker._waiting["room"]._nbytes <= 1000
        answered.set()
        await worker.caught_up("room")
        await worker.caught_up("room")
        worker.placed(of.publish("last"))
        assert [each.lstrip("0") for each in delivered] == [
            "first", "missed", *map(str, range(1, 50)), "last",
        ]  # fmt: skip

    run(main())


def test_what_is_no_longer_kept_is_a_gap_that_members_see(run: Run) -> None:
    async def main() -> None:
        of, delivered = Main(size=2), []
        worker = CatchingUp(lambda each: delivered.append(each.offset), of.read)
        worker.placed(of.publish("1"))
        for n in range(5):
            of.publish(str(n))
        worker.placed(of.publish("7"))
        for _ in range(5):
            await asyncio.sleep(0)
        worker.placed(of.publish("8"))
        assert delivered == [1, 8]

    run(main())


def test_a_new_epoch_is_no_gap_and_a_room_without_members_is_forgotten(run: Run) -> None:
    async def main() -> None:
        of, delivered = Main(), []
        worker = CatchingUp(lambda each: delivered.append(each.offset), of.read)
        worker.placed(of.publish("1"))
        of.histories.forget("room")
        worker.placed(of.publish("1"))
        worker.forget("room")
        of.publish("2")
        worker.placed(of.publish("3"))
        assert delivered == [1, 1, 3]

    run(main())


def test_without_main_nothing_more_is_delivered(run: Run) -> None:
    async def main() -> None:
        of, delivered = Main(), []
        worker = CatchingUp(lambda each: delivered.append(each.offset), of.read)
        worker.placed(of.publish("1"))
        of.publish("2")
        of.is_gone = True
        worker.placed(of.publish("3"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert delivered == [1]

    run(main())


def test_who_wants_to_is_told_of_what_is_lost(run: Run) -> None:
    async def main() -> None:
        of, delivered, resets = Main(size=2), [], []
        worker = CatchingUp(
            lambda each: delivered.append(each.offset), of.read, lambda *what: resets.append(what)
        )
        worker.placed(of.publish("1"))
        for n in range(5):
            of.publish(str(n))
        position = of.histories.stream("room").position
        worker.is_at("room", position)
        assert not worker.has("room", position)
        await worker.caught_up("room")
        assert delivered == [1] and resets == [("room", position)]
        assert worker.has("room", position)
        of.histories.forget("room")  # what is whole in a new epoch is delivered
        for n in range(2):
            of.publish(str(n))
        worker.is_at("room", of.histories.stream("room").position)
        await worker.caught_up("room")
        assert delivered == [1, 1, 2] and len(resets) == 1
        of.histories.forget("room")
        position = of.histories.stream("room").position  # where nothing came yet
        worker.is_at("room", position)
        await worker.caught_up("room")
        assert delivered == [1, 1, 2] and resets[1:] == [("room", position)]
        of.histories.forget("room")
        for n in range(3):  # more than is kept
            of.publish(str(n))
        worker.is_at("room", of.histories.stream("room").position)
        await worker.caught_up("room")
        assert delivered == [1, 1, 2] and resets[2:] == [("room", worker._at["room"])]

    run(main())


def test_what_is_read_for_members_who_have_left_reaches_nobody(run: Run) -> None:
    async def main() -> None:
        of, delivered = Main(), []
        worker = CatchingUp(lambda each: delivered.append(each.offset), of.read)
        worker.placed(of.publish("1"))
        of.publish("2")
        worker.placed(of.publish("3"))
        worker.forget("room")
        worker.placed(of.publish("4"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert delivered == [1, 4]

    run(main())


def test_places_that_nobody_has_given_cost_one_reading(run: Run) -> None:
    async def main() -> None:
        of, delivered = Main(), []
        worker = CatchingUp(lambda each: delivered.append(each.payload), of.read)
        worker.placed(of.publish("1"))
        forged = of.publish("forged")
        real = read_placed(placed(order(forged, None), forged.epoch, 2, 0.0))
        forged.offset = 1000
        worker.placed(forged)
        await worker.caught_up("room")  # the real one is read
        await worker.caught_up("room")
        other = read_placed(placed(order(forged, None), "other", 9, 0.0))
        worker.placed(other)
        await worker.caught_up("room")
        worker.placed(real)
        worker.placed(of.publish("3"))
        assert delivered == [b"1", b"forged", b"3"]

    run(main())
