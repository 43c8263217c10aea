"""Servers that share a Redis Cluster: rooms on all of its primaries, and slots that move."""

from __future__ import annotations

import asyncio
import itertools
import re
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from glyph_fast import Position
from glyph_fast.broker.nodes.subjects import Subjects
from glyph_fast.broker.redis.cluster import routing
from glyph_fast.errors import BrokerRefused, BrokerUnavailable
from tests.broker.redis.nodes import (
    Client,
    Follower,
    Publisher,
    Watcher,
    node,
    nodes,
    program,
    served,
    until,
)
from tests.broker_servers import REDIS, VALKEY, redis_server
from tests.redis_cluster import Cluster, a_room_of_each, redis_cluster
from tests.serving import ROOT


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Three primaries. A slot that a test has moved stays where it is."""
    made = Cluster(VALKEY, 3, 0)
    try:
        asyncio.run(made.make())
        yield made
    finally:
        made.release()


class Crowd:
    """A follower on each of two nodes and a publisher on each, in each of some rooms."""

    def __init__(self, at: list[Any], rooms: list[str]) -> None:
        self.followers = {room: [Follower(each, room) for each in at] for room in rooms}
        self.publishers = {
            room: [Publisher(each, f"p{n}", room) for n, each in enumerate(at)] for room in rooms
        }

    async def __aenter__(self) -> Crowd:
        self._stack = AsyncExitStack()
        for each in (*self.followers.values(), *self.publishers.values()):
            for client in each:
                await self._stack.enter_async_context(client)
        for each in self.all_publishers:
            each.begin()
        return self

    @property
    def all_publishers(self) -> list[Publisher]:
        return [each for some in self.publishers.values() for each in some]

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def more(self, count: int, *rooms: str) -> None:
        chosen = [each for room in rooms for each in self.publishers[room]]
        await asyncio.gather(*(each.more(count) for each in chosen or self.all_publishers))

    async def end(self) -> None:
        """All are done, and all have come."""
        for room, publishers in self.publishers.items():
            last = [await each.end() for each in publishers]
            for follower in self.followers[room]:
                await asyncio.gather(*map(follower.follows, last))

    def check_that_nothing_was_lost(self, *rooms: str) -> None:
        for room in rooms or self.followers:
            a, b = self.followers[room]
            said = [text for each in self.publishers[room] for text in each.acknowledged]
            assert a.texts == b.texts
            assert sorted(a.texts) == sorted(said)
            assert a.resets == b.resets == 0
            for each in self.publishers[room]:
                assert [text for text in a.texts if text in each.acknowledged] == each.acknowledged


def test_members_of_all_nodes_get_all_messages_whatever_primary_has_the_room(run, cluster):
    async def main():
        async with nodes(cluster, 2) as at:
            rooms = a_room_of_each(cluster)
            async with Crowd(at, rooms) as crowd:
                await crowd.more(10)
                await crowd.end()
                crowd.check_that_nothing_was_lost()
                assert all(each.refused == 0 for each in crowd.all_publishers)
            for room, primary in zip(rooms, cluster.primaries, strict=True):
                assert len(primary.run("KEYS", "*.[ms].*")) == 2, room
            at[0].hub.get_room_manager().clear()
            await until(lambda: not any(each.run("KEYS", "*.[ms].*") for each in cluster.primaries))

    run(main())


def test_a_program_publishes_reads_and_removes_on_any_node(run, cluster):
    async def main():
        async with nodes(cluster, 2) as (one, two):
            for room in a_room_of_each(cluster, "kept:program"):
                first = await one.hub.publish(room, "a", idempotency_key="k")
                assert await two.hub.publish(room, "a", idempotency_key="k") == first
                assert one.hub.broadcast_json_to_room(room, {"n": 1}).pending
                async with Client(two, room) as client:
                    since = {"epoch": first.epoch, "offset": first.offset - 1}
                    answer = await client.join(since=since)
                    assert answer["resumed"] is True
                    assert answer["messages"][0]["data"] == "a"
                await two.hub.remove_history(room)
                assert (await one.hub.history(room)).messages == []
                one.server.hub.get_room_manager().delete_room(room)
                again = await one.hub.publish(room, "b")
                assert again.offset == 1 and again.epoch != first.epoch
            assert await one.hub.publish("plain:x", "a", idempotency_key="z") == Position("", 0)

    run(main())


def test_rooms_without_history_everybody_and_who_is_there(run, cluster):
    async def main():
        async with nodes(cluster, 2) as (one, two):

            class Listener(Client):
                def __init__(self, at: Any, room: str) -> None:
                    super().__init__(at, room)
                    self.got: list[Any] = []

                def take(self, message):
                    self.got.append(message)

            for room in a_room_of_each(cluster, "plain:"):
                async with Listener(two, room) as listener:
                    await listener.join()
                    while {"n": 1} not in listener.got:  # the subscription is under way
                        one.hub.broadcast_json_to_room(room, {"n": 1})
                        await asyncio.sleep(0.02)
                    assert await one.hub.count(room) == 1
                    assert one.hub.broadcast_json({"n": 2}).pending
                    while {"n": 2} not in listener.got:
                        await asyncio.sleep(0.02)
            async with Watcher(one) as watcher, Client(two) as other:
                await other.join()
                await until(lambda: len(watcher.present) == 2)
                found = await two.hub.presence(watcher.room)
                assert {each.id for each in found} == watcher.present

    run(main())


def slowly() -> None:
    """Let others go on meanwhile."""
    threading.Event().wait(0.03)


def test_nothing_is_lost_while_the_slot_of_a_room_moves(run, cluster):
    async def main():
        async with nodes(cluster, 2) as at:
            rooms = a_room_of_each(cluster, "kept:moving")[:2]
            async with Crowd(at, rooms) as crowd:
                await crowd.more(10)
                for to in (1, 2, 0):
                    to = cluster.primaries[to]
                    await asyncio.to_thread(cluster.move, rooms[0], to, slowly)
                    await crowd.more(5)
                await crowd.end()
                crowd.check_that_nothing_was_lost()

    run(main())


def test_members_of_a_silent_room_hear_what_comes_after_its_slot_has_moved(run, cluster):
    async def main():
        async with nodes(cluster, 2) as at:
            room = a_room_of_each(cluster, "kept:silent")[0]
            async with Follower(at[0], room) as silent:
                await at[1].hub.publish(room, "before")
                await silent.follows("before")
                await asyncio.to_thread(cluster.move, room, cluster.primaries[1])
                await at[1].hub.publish(room, "after")
                await silent.follows("after")
                assert silent.resets == 0

    run(main())


def test_a_room_that_has_moved_and_is_silent_goes_on_for_who_is_started_later(run, cluster):
    async def main():
        room = a_room_of_each(cluster, "kept:idle")[0]
        to = cluster.primaries[1]
        async with node(cluster) as at:
            first = await at.hub.publish(room, "a")
            await asyncio.to_thread(cluster.move, room, to)
            run_id = re.search(r"run_id:(\w+)", to.run("INFO").decode())[1].encode()
            key = Subjects().of(b"m", room)
            await until(lambda: to.run("HGET", key, "r") == run_id)
        async with node(cluster) as later:
            assert await later.hub.publish(room, "b") == (first.epoch, 2)

    run(main())


def test_what_moves_for_too_long_is_refused_and_not_done(run, cluster, monkeypatch):
    monkeypatch.setattr(routing, "HELD_S", 0.3)

    async def main():
        async with node(cluster) as at:
            room = a_room_of_each(cluster, "kept:long")[0]
            first = await at.hub.publish(room, "0")
            release = threading.Event()
            move = (cluster.move, room, cluster.primaries[1], lambda: release.wait(20))
            moving = asyncio.create_task(asyncio.to_thread(*move))
            done = 1
            with pytest.raises(BrokerUnavailable):
                for n in itertools.count(1):
                    await at.hub.publish(room, f"{n}", idempotency_key=f"{n}")
                    done += 1
            release.set()
            await moving
            page = await at.hub.history(room)
            assert page.position == (first.epoch, done)
            assert [each.data for each in page.messages] == [f"{n}" for n in range(done)]
            assert (await at.hub.publish(room, "last")).offset == done + 1

    run(main())


def test_members_of_all_workers_and_machines_get_one_order(run, cluster):
    async def main():
        async with served(cluster) as one, node(cluster) as two:
            rooms = a_room_of_each(cluster, "kept:workers")
            async with Crowd([one, two], rooms) as crowd:
                await crowd.more(5)
                await asyncio.to_thread(cluster.move, rooms[0], cluster.primaries[1], slowly)
                await crowd.more(5)
                await crowd.end()
                crowd.check_that_nothing_was_lost()
            assert (await one.get("/readyz"))["broker"] == "up"

    run(main())


def test_a_primary_that_dies_resets_its_rooms_and_no_others(run, caplog):
    async def main():
        async with redis_cluster(3, 1, binary=REDIS) as cluster, nodes(cluster, 2) as at:
            rooms = a_room_of_each(cluster)
            async with Crowd(at, rooms) as crowd:
                await crowd.more(10)
                await asyncio.to_thread(cluster.move, rooms[1], cluster.primaries[2], slowly)
                others = [each for room in rooms[1:] for each in crowd.publishers[room]]
                refused = [each.refused for each in others]
                cluster.primaries[0].kill()
                await until(lambda: not at[0].figures["broker_up"])
                assert f"127.0.0.1:{cluster.primaries[0].port}: " in caplog.text
                await crowd.more(5, *rooms[1:])
                await crowd.more(5, rooms[0])
                await crowd.end()
                crowd.check_that_nothing_was_lost(*rooms[1:])
                for follower in crowd.followers[rooms[0]]:
                    assert follower.resets == 1
                    assert len(set(follower.texts)) == len(follower.texts)
                assert [each.refused for each in others] == refused
            await until(lambda: at[0].figures["broker_up"])

    run(main())


def test_a_user_with_the_rights_that_the_page_names_can_do_all(run, cluster):
    page = (ROOT / "docs/scaling.md").read_text()
    named = re.findall(r"needs\s+(?:the commands )?`([A-Z|\s]+)`", page)
    assert len(named) == 2
    rights = [f"+{each.lower()}" for each in " ".join(named).split()]
    for each in cluster.primaries:
        each.run("ACL", "SETUSER", "chat", "on", ">word", "~glyph*", "&glyph*", *rights)
        each.run("ACL", "LOG", "RESET")

    async def main():
        url = cluster.url.replace("//", "//chat:word@")
        running = program()
        leads = asyncio.Event()
        running.background(lambda: leads.set(), on="cluster")
        async with node(cluster, running, broker=url) as one, node(cluster) as two:
            room = a_room_of_each(cluster, "kept:rights")[0]
            async with Follower(one, room) as follower, Publisher(two, "p", room) as publisher:
                await one.hub.publish(room, "a", idempotency_key="k")
                await asyncio.to_thread(cluster.move, room, cluster.primaries[2])
                await publisher.publish("b")
                await follower.follows("b")
                assert await one.hub.count(room) == 2
                await leads.wait()
            one.hub.get_room_manager().clear()
        assert not any(each.run("ACL", "LOG") for each in cluster.primaries)

    run(main())


def test_a_url_of_the_other_kind_ends_the_start_with_one_line(run, cluster):
    async def main():
        async with redis_server() as alone:
            url = f"redis://127.0.0.1:{cluster.primaries[0].port}"
            with pytest.raises(BrokerRefused, match=r"redis\+cluster://"):
                await program().serve(broker=url, port=0)
            url = f"redis+cluster://127.0.0.1:{alone.port}"
            with pytest.raises(BrokerRefused, match="it is no cluster"):
                await program().serve(broker=url, port=0)

    run(main())
