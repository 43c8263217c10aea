"""What is said of a slot is said in its order, whatever server has it meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from glyph_fast.broker.redis.cluster import routing
from glyph_fast.broker.redis.cluster.routing import Routing
from glyph_fast.errors import BrokerUnavailable

MOVED = BrokerUnavailable("MOVED 0 127.0.0.1:1")


class Shard:
    """A server that answers when it is told to."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked: list[tuple[str, Any]] = []
        self.done: list[str] = []

    def answer(self, count: int, error: Exception | None = None) -> None:
        """Do what was asked for first, or refuse it."""
        for _ in range(count):
            text, answer = self.asked.pop(0)
            if error is None:
                self.done.append(text)
            answer(text if error is None else error)


class Shards:
    """One slot, at one of two servers."""

    def __init__(self) -> None:
        self.one, self.two = Shard(), Shard()
        self.at: list[Shard | None] = [self.one]
        self.looks = 0

    async def looked_again(self) -> None:
        self.looks += 1
        await asyncio.sleep(0.005)


class Case:
    def __init__(self) -> None:
        self.shards = Shards()
        self.routing = Routing(cast(Any, self.shards))
        self.answers: list[Any] = []

    def send(self, *texts: str) -> None:
        for text in texts:

            def work(shard: Any, answer: Any, text: str = text) -> None:
                shard.asked.append((text, answer))

            self.routing.send(0, work, self.answers.append)


async def until(condition: Any) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


def test_what_was_refused_comes_before_what_was_said_since():
    async def main():
        case = Case()
        shards = case.shards
        case.send("1", "2", "3")
        shards.one.answer(1)
        shards.one.answer(1, MOVED)
        case.send("4")  # while the third is not answered
        shards.at[0] = shards.two
        assert not shards.two.asked
        shards.one.answer(1, MOVED)
        case.send("5")
        await until(lambda: len(shards.two.asked) == 4)
        shards.two.answer(2)
        shards.two.answer(2, MOVED)  # and back again
        shards.at[0] = shards.one
        case.send("6")
        await until(lambda: len(shards.one.asked) == 3)
        shards.one.answer(3)
        assert shards.one.done + shards.two.done == ["1", "4", "5", "6", "2", "3"]
        assert case.answers == ["1", "2", "3", "4", "5", "6"]

    asyncio.run(main())


def test_a_slot_that_was_seen_to_move_waits_for_what_is_not_answered():
    async def main():
        case = Case()
        shards = case.shards
        case.send("1")
        shards.at[0] = shards.two
        case.routing.moved([0, 1])
        case.send("2")
        assert not shards.two.asked
        shards.one.answer(1, MOVED)
        await until(lambda: [text for text, _ in shards.two.asked] == ["1", "2"])
        shards.two.answer(2)
        case.send("3")
        shards.two.answer(1)
        assert case.answers == ["1", "2", "3"]

    asyncio.run(main())


def test_nothing_waits_for_ever_and_what_ends_is_said(monkeypatch):
    monkeypatch.setattr(routing, "HELD_S", 0.05)

    async def main():
        case = Case()
        shards = case.shards
        case.send("1")
        shards.one.answer(1, MOVED)
        shards.one.is_up = False
        case.send("2")
        await until(lambda: len(case.answers) == 2)
        assert all(isinstance(each, BrokerUnavailable) for each in case.answers)
        case.send("3")
        assert len(case.answers) == 3
        shards.one.is_up = True
        case.send("4")
        shards.one.answer(1, MOVED)
        case.send("5")
        case.routing.close()
        assert len(case.answers) == 5

        async def refuse(shard: Any) -> None:
            raise MOVED

        with pytest.raises(BrokerUnavailable, match="MOVED"):
            await case.routing.ask(0, refuse)
        shards.at[0] = None
        with pytest.raises(BrokerUnavailable, match="away"):
            await case.routing.ask(0, refuse)

    asyncio.run(main())
