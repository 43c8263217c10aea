"""Two main processes with workers that share a Redis: one order for the members of all."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from glyph_fast.broker.history import Ask
from glyph_fast.broker.link import Link as WorkerLink
from glyph_fast.broker.nodes.subjects import Subjects
from glyph_fast.broker.redis.bus import RedisBus
from glyph_fast.broker.redis.keeping import RedisKeeping
from glyph_fast.broker.redis.link import Link
from glyph_fast.broker.redis.streams import RedisStreams
from glyph_fast.broker.switchboard import Switchboard
from glyph_fast.broker.workers import WorkersBroker
from glyph_fast.dialects.publication import ROOM, json_publication
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.options.broker import read_broker_url
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.wire import NOBODY
from tests.broker.redis.nodes import until
from tests.broker_servers import RedisServer, redis_server

NAME = "kept"
TERMS = RoomDeclaration(pattern="kept*", history_size=1000)


def terms_of(name: str) -> RoomDeclaration | None:
    return TERMS if name.startswith("kept") else None


class Machine:
    """A main process, in its parts, and workers, each with what it has delivered."""

    def __init__(self, url: str) -> None:
        self.board = Switchboard()
        self.link = Link(read_broker_url(url))
        self.bus = RedisBus(self.link)
        streams = RedisStreams(self.link, Subjects())
        streams.terms_of = terms_of
        self.bus.preparing = streams.opened
        self.keeping = RedisKeeping(self.bus, streams, self.board._to_members, self.board.links_of)
        self.bus.streams = self.keeping
        self.bus.attach(lambda subject, payload: None, lambda is_up: None)
        self.board.keeper.remember(terms_of, 0)
        self.board.keeper.placing = self.keeping
        self.workers: list[Worker] = []

    def worker(self) -> Worker:
        made = Worker(self)
        self.workers.append(made)
        return made

    def close(self) -> None:
        for each in self.workers:
            each.theirs.close()
            each.ours.close()
        self.keeping.close()


class Worker:
    """A worker's broker, over a socket pair to its main process."""

    def __init__(self, machine: Machine) -> None:
        ours, theirs = socket.socketpair()
        heard: list[Any] = []
        self.got: list[tuple[str, int]] = []
        self.resets: list[Any] = []
        self.theirs = WorkerLink(theirs, lambda frames: heard[0](frames), list)
        self.broker = WorkersBroker(self.theirs)
        heard.append(self.broker.heard)
        self.broker.attach(self._deliver, lambda call, args: self.resets.append(args))
        self.broker.remember(terms_of, 0, lambda publication: None)
        board = machine.board
        self.ours = WorkerLink(ours, lambda runs: board.heard(self.ours, runs), list, joins=True)
        board.add(self.ours)

    def _deliver(self, publication: Any) -> Any:
        self.got.append((publication.payload.decode(), publication.offset))
        return NOBODY

    async def publish(self, text: str, id: str = "") -> Any:
        return await self.broker.publish_once(json_publication(ROOM, NAME, text), id, "ann")


@asynccontextmanager
async def machines(redis: RedisServer) -> AsyncIterator[list[Machine]]:
    """Two, whose workers all have members of the room."""
    made = [Machine(redis.url) for _ in range(2)]
    try:
        for each in made:
            await each.bus.start()
            for _ in range(2):
                each.worker().broker.subscribe(NAME)
        # Each is asked once more than needed: by then its main process has joined.
        for each in made:
            for worker in each.workers:
                await worker.broker.history(NAME, Ask(limit=0))
            each.keeping.subscribe(NAME)
        for each in made:
            await each.bus.subscribed(next(iter(each.keeping.rooms)))
        yield made
    finally:
        for each in made:
            each.close()
            await each.bus.close()


def test_members_of_all_workers_on_all_machines_get_one_order(run):
    async def main():
        async with redis_server() as redis, machines(redis) as found:
            workers = [worker for each in found for worker in each.workers]
            first = await workers[0].publish('"a"', "id")
            again = await workers[3].publish('"a"', "id")
            assert again.position == first.position and not again.is_new
            await asyncio.gather(*(
                workers[n % 4].publish(f"{n}") for n in range(40)
            ))  # fmt: skip
            await until(lambda: all(len(each.got) == 41 for each in workers))
            assert all(each.got == workers[0].got for each in workers)
            assert [offset for _, offset in workers[0].got] == list(range(1, 42))
            page = await workers[2].broker.history(NAME, Ask(limit=2))
            assert [offset for offset, _ in page.messages] == [40, 41]
            await workers[1].broker.remove_history(NAME)
            assert not (await workers[3].broker.history(NAME, Ask())).messages
            workers[1].broker.forget(NAME)
            await until(lambda: not redis.run("EXISTS", "glyph.1.m.{ba2VwdA}"))
            assert (await workers[0].publish("1")).position.offset == 1

    run(main())


def test_what_workers_missed_while_redis_was_cut_off_or_gone_they_get_or_are_told(run):
    async def main():
        async with redis_server() as redis, machines(redis) as (one, two):
            here, there = one.workers[0], two.workers[0]
            await here.publish('"a"')
            await until(lambda: there.got)
            two.link.lose("the test says so")
            await here.publish('"b"')
            await until(lambda: len(there.got) == 2)
            assert there.got == here.got and not there.resets
            redis.restart()
            await until(lambda: not one.bus.is_up)
            with pytest.raises(BrokerUnavailable):
                await here.publish('"c"')
            with pytest.raises(BrokerUnavailable):
                await here.broker.history(NAME, Ask())
            assert one.keeping.lost == 1
            await until(lambda: one.bus.is_up and two.bus.is_up)
            await until(lambda: here.resets and there.resets)
            await here.publish('"d"')
            await until(lambda: there.got[-1] == ('"d"', 1))

    run(main())


def test_a_room_without_members_is_left_and_strange_frames_are_counted(run):
    async def main():
        async with redis_server() as redis, machines(redis) as (one, _):
            channel = next(iter(one.keeping.rooms))
            redis.run("PUBLISH", channel, b"strange")
            await until(lambda: one.keeping.invalid == 1)
            assert await one.workers[0].broker.questions.ask("claim", "plain", "u\0i")
            assert not await one.workers[1].broker.questions.ask("claim", "plain", "u\0i")
            one.keeping.unsubscribe(NAME)
            assert not one.keeping.rooms
            await until(lambda: redis.run("PUBSUB", "NUMSUB", channel)[1] == 1)

    run(main())
