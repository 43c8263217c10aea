"""Places, pages and ids of rooms that remember, by scripts in real servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from glyph_fast.broker.history import Ask, Histories, Page
from glyph_fast.broker.nodes.subjects import Subjects
from glyph_fast.broker.ordering import order, parts_of, read_placed
from glyph_fast.broker.redis.bus import RedisBus
from glyph_fast.broker.redis.connection import settle
from glyph_fast.broker.redis.link import Link
from glyph_fast.broker.redis.streams import Placed, RedisStreams
from glyph_fast.dialects.publication import ROOM, publication
from glyph_fast.dialects.stream import payload_of
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.options.broker import read_broker_url
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.wire import Position
from tests.broker_servers import BINARIES, RedisServer, redis_server

ROOMS = "rö{om}.*"


class Node:
    """The streams of one node, and what it hears of rooms."""

    def __init__(self, url: str, **terms: Any) -> None:
        self.link = Link(read_broker_url(url))
        self.bus = RedisBus(self.link)
        self.heard: list[bytes] = []
        self.bus.attach(lambda subject, payload: self.heard.append(payload), lambda is_up: None)
        self.streams = RedisStreams(self.link, Subjects())
        declared = RoomDeclaration(pattern="*", **{"history_size": 100, **terms})
        self.streams.terms_of = lambda name: declared
        opened = self.link.opened

        async def both() -> None:
            await self.streams.opened()
            await opened()

        self.link.opened = both

    async def publish(self, text: str, id: str = "", room: str = ROOMS, **more: Any) -> Placed:
        made = publication(ROOM, room, text, **more)
        future: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        self.streams.publish(room, order(made, "ann"), id, lambda got: settle(future, got))
        return await future

    async def texts(self, ask: Ask, room: str = ROOMS) -> list[str]:
        return texts(await self.streams.read(room, ask))


def texts(page: Page) -> list[str]:
    return [payload_of(kept[0]).decode() for _, kept in page.messages]


@asynccontextmanager
async def node(redis: RedisServer, **terms: Any) -> AsyncIterator[Node]:
    made = Node(redis.url, **terms)
    await made.bus.start()
    try:
        yield made
    finally:
        await made.bus.close()


@pytest.mark.parametrize("binary", BINARIES.values(), ids=BINARIES)
def test_messages_get_their_places_in_one_order_for_all_nodes(run, binary):
    async def main():
        async with redis_server(binary=binary) as redis, node(redis) as one, node(redis) as two:
            channel = one.streams.keys(ROOMS).stream
            two.bus.subscribe(channel)
            await two.bus.subscribed(channel)
            answers = await asyncio.gather(*(
                (one, two)[n % 2].publish(f"{n}", exclude=["x", "y"]) for n in range(40)
            ))  # fmt: skip
            epochs = {answer.position.epoch for answer in answers}
            assert len(epochs) == 1
            assert sorted(answer.position.offset for answer in answers) == list(range(1, 41))
            by_offset = {a.position.offset: f"{n}" for n, a in enumerate(answers)}
            while len(two.heard) < 40:
                await asyncio.sleep(0.005)
            placed = [read_placed(each) for each in two.heard]
            assert [each.offset for each in placed] == list(range(1, 41))
            assert {each.offset: each.payload.decode() for each in placed} == by_offset
            assert {each.name for each in placed} == {ROOMS}
            assert {each.exclude for each in placed} == {frozenset(("x", "y"))}
            assert {each.kept[4] for each in placed} == {"ann"}
            at = redis.run("TIME")
            assert all(abs(each.kept[1] - int(at[0])) < 60 for each in placed)
            page = await one.streams.read(ROOMS, Ask())
            assert page.messages == [(each.offset, each.kept) for each in placed]
            assert await two.streams.position(ROOMS) == page.position == (*epochs, 40)

    run(main())


def test_what_is_told_gets_places_and_an_answer_only_where_an_epoch_begins(run):
    async def main():
        async with redis_server() as redis, node(redis) as one:
            streams, failed, got = one.streams, [], []
            streams.failed = failed.append
            streams._telling = lambda answer: (got.append(answer), streams._told(answer))
            drawn = streams._epoch

            async def tell(*texts):
                for text in texts:
                    streams.tell(ROOMS, parts_of(publication(ROOM, ROOMS, text), None, ""))
                await one.link.commands.ask("PING")

            await tell("a")
            await tell("b", "c")
            assert got == [[drawn.encode(), 1], 0, 0] and streams._epoch != drawn
            assert (await one.publish("d")).position == (drawn, 4)
            assert await one.texts(Ask()) == ["a", "b", "c", "d"]
            redis.run("SET", streams.keys("other").meta, "no hash")
            streams.tell("other", parts_of(publication(ROOM, "other", "e"), None, ""))
            await one.link.commands.ask("PING")
            assert len(failed) == 1 and "WRONGTYPE" in str(failed[0])

    run(main())


def test_the_same_id_gets_the_first_place_and_sends_nothing(run):
    async def main():
        async with redis_server() as redis, node(redis) as one, node(redis) as two:
            first = await one.publish("a", id="u\0k")
            assert first.is_new and first.position.offset == 1
            await one.publish("b")
            assert await two.publish("a", id="u\0k") == (first.position, False)
            assert (await two.publish("c", id="v\0k")).is_new
            assert (await two.publish("d", id="u\0k", room="other")).is_new
            assert await one.texts(Ask()) == ["a", "b", "c"]
            assert 0 < redis.run("PTTL", one.streams.keys(ROOMS).id + b".bdQBr") <= 300_000
            assert await one.streams.claim(ROOMS, "u\0z")
            assert not await two.streams.claim(ROOMS, "u\0z")

    run(main())


def test_what_is_too_much_or_too_old_goes_and_positions_stay(run):
    async def main():
        async with redis_server() as redis, node(redis, history_size=3) as few:
            for n in range(5):
                await few.publish(f"{n}")
            assert await few.texts(Ask()) == ["2", "3", "4"]
            keys = few.streams.keys(ROOMS)
            assert 0 < redis.run("PTTL", keys.stream) <= 300_000
            assert 86_400_000 < redis.run("PTTL", keys.meta) <= 30 * 86_400_000
            await few.streams.empty(ROOMS)
            assert await few.texts(Ask()) == []
            last = await few.publish("5")
            assert last.position.offset == 6
            few.streams.forget(ROOMS)
            again = await few.publish("6")
            assert again.position.offset == 1 and again.position.epoch != last.position.epoch
        async with redis_server() as redis, node(redis, history_bytes=400) as few:
            for n in range(9):
                await few.publish(f"{n}" * 50)
            page = await few.streams.read(ROOMS, Ask())
            kept = redis.run("LRANGE", few.streams.keys(ROOMS).stream, 0, -1)
            assert 1 < len(page.messages) == len(kept) < 9 and sum(map(len, kept)) <= 400
            assert int(redis.run("HGET", few.streams.keys(ROOMS).meta, "n")) == sum(map(len, kept))
            assert [offset for offset, _ in page.messages][-1] == 9
            await few.publish("x" * 500)  # more than all of it
            assert (await few.streams.read(ROOMS, Ask())).messages == []

    run(main())


def test_pages_are_those_of_the_memory_broker(run, monkeypatch):
    monkeypatch.setattr("glyph_fast.broker.redis.streams.CHUNK", 4)
    asks = [
        dict(since=since, before=before, limit=limit, most=most, most_bytes=size, without=without,
             is_whole=whole)
        for since in (None, 0, 2, 5, 9, 15, 16)
        for before in (None, 1, 7, 16)
        for limit in (None, 0, 1, 3, 50)
        for most, size, whole in ((10**9, 10**9, False), (3, 10**9, True), (10**9, 12, False))
        for without in (frozenset(), frozenset("x"))
        if since is None or before is None
    ]  # fmt: skip

    async def main():
        memory = Histories()
        declared = RoomDeclaration(pattern="*", history_size=12)
        memory.terms_of = lambda name: declared
        async with redis_server() as redis, node(redis, history_size=12) as at:
            for n in range(15):
                exclude = "x" if n % 3 == 0 else None
                made = publication(ROOM, "r", f"{n}", exclude)
                await at.publish(f"{n}", room="r", exclude=exclude)
                memory.append("r", made.data, 1, exclude)
            here, there = memory.find("r").epoch, (await at.streams.position("r")).epoch
            for each in asks:
                since = each.pop("since")
                ask = [
                    Ask(since=None if since is None else Position(epoch, since), **each)
                    for epoch in (here, there)
                ]
                expected, found = memory.read("r", ask[0]), await at.streams.read("r", ask[1])
                assert found.position == Position(there, 15)
                assert [o for o, _ in found.messages] == [o for o, _ in expected.messages], ask
                assert found[2:] == expected[2:], ask
            page = await at.streams.read("r", Ask(Position("other", 3)))
            assert page.is_lost and not page.messages

    run(main())


def test_another_run_of_the_server_begins_a_new_epoch_though_its_memory_was_kept(run):
    async def main():
        async with redis_server() as redis, node(redis) as one:
            before = (await one.publish("a")).position
            for keep in (True, False):
                redis.restart(keep=keep)
                await redis.ready()
                while not one.bus.is_up or one.link.server.run_id not in str(redis.run("INFO")):
                    await asyncio.sleep(0.01)
                page = await one.streams.read(ROOMS, Ask(before))
                assert page.is_lost and page.position.offset == 0
                after = (await one.publish("b")).position
                assert after.offset == 1 and after.epoch == page.position.epoch != before.epoch
                before = after

    run(main())


def test_scripts_that_were_flushed_are_loaded_again_and_nothing_changes_its_place(run):
    async def main():
        async with redis_server() as redis, node(redis, history_size=10_000) as one:
            await one.publish("first")
            redis.run("SCRIPT", "FLUSH")
            sent = [asyncio.ensure_future(one.publish(f"{n}")) for n in range(20)]
            while not sent[0].done():
                await asyncio.sleep(0)
                sent.append(asyncio.ensure_future(one.publish(f"{len(sent)}")))
            await asyncio.gather(*sent)
            assert await one.texts(Ask()) == ["first"] + [f"{n}" for n in range(len(sent))]

    run(main())


def test_a_full_memory_fails_what_is_published_and_changes_nothing(run):
    async def main():
        async with redis_server() as redis, node(redis) as one:
            first = await one.publish("a")
            redis.run("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(BrokerUnavailable, match="OOM"):
                await one.publish("b", id="u\0i")
            assert await one.texts(Ask()) == ["a"]  # and reading goes on
            redis.run("CONFIG", "SET", "maxmemory", "0")
            assert (await one.publish("b", id="u\0i")).position.offset == 2
            assert first.position.epoch == (await one.streams.position(ROOMS)).epoch

    run(main())


def test_names_reach_nothing_else_and_all_that_is_ours_can_be_forgotten(run):
    async def main():
        async with redis_server() as redis, node(redis) as one:
            redis.run("SET", "theirs", "1")
            names = ["a", "a}", "{a", "*", "x" * 1000, "\udcff", "a b\r\nDEL theirs"]
            for name in names:
                await one.publish("hello", room=name)
            keys = redis.run("KEYS", "*")
            assert len(keys) == 2 * len(names) + 1
            allowed = rb"glyph\.1\.[ms]\.\{[A-Za-z0-9_-]+\}"
            assert all(re.fullmatch(allowed, key) for key in keys if key != b"theirs")
            await one.streams.forget_all()
            assert redis.run("KEYS", "*") == [b"theirs"]

    run(main())


def test_what_cannot_be_done_says_so(run):
    async def main():
        async with redis_server() as redis, node(redis) as one:
            redis.run("SET", one.streams.keys(ROOMS).meta, "no hash")
            with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
                await one.publish("a")
            with pytest.raises(BrokerUnavailable, match="WRONGTYPE"):
                await one.streams.read(ROOMS, Ask())
            redis.kill()
            while one.bus.is_up:
                await asyncio.sleep(0.01)
            one.streams.forget(ROOMS)
            at = one.streams
            for work in (
                one.publish("a"), at.read(ROOMS, Ask()), at.claim("a", "b"), at.empty(ROOMS),
                at.forget_all(),
            ):  # fmt: skip
                with pytest.raises(BrokerUnavailable):
                    await work

    run(main())
