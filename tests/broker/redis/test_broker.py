"""Servers that share a Redis: one order, one history, all members reached."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from glyph_fast import HistoryLost, Position
from glyph_fast.errors import BrokerUnavailable
from tests.broker.redis.nodes import (
    APP,
    ROOM,
    Client,
    Follower,
    Publisher,
    Watcher,
    node,
    nodes,
    program,
    until,
)
from tests.broker_servers import BINARIES, redis_server
from tests.serving import serving

PAGE = (Path(__file__).parents[3] / "docs/scaling.md").read_text()


@pytest.mark.parametrize("binary", BINARIES.values(), ids=BINARIES)
def test_members_of_all_nodes_get_all_messages_in_one_order(run, binary):
    async def main():
        async with redis_server(binary=binary) as redis, nodes(redis, 2) as (one, two):
            async with (
                Follower(one) as a, Follower(two) as b,
                Publisher(one, "p") as p, Publisher(two, "q") as q,
            ):  # fmt: skip
                for each in (p, q):
                    each.begin()
                await asyncio.gather(p.more(50), q.more(50))
                last = [await p.end(), await q.end()]
                for each in (a, b):
                    await asyncio.gather(*map(each.follows, last))
                assert a.texts == b.texts
                assert sorted(a.texts) == sorted(p.acknowledged + q.acknowledged)
                assert a.resets == b.resets == p.refused == q.refused == 0
                assert [t for t in a.texts if t[0] == "p"] == p.acknowledged

    run(main())


def test_a_program_publishes_reads_and_removes_on_any_node(run):
    async def main():
        async with redis_server() as redis, nodes(redis, 2) as (one, two):
            hub, other = one.hub, two.hub
            first = await hub.publish(ROOM, {"n": 1}, idempotency_key="k")
            assert first.offset == 1
            assert await other.publish(ROOM, {"n": 1}, idempotency_key="k") == first
            assert hub.broadcast_json_to_room(ROOM, {"n": 2}).pending
            third = await other.publish(ROOM, "drei")
            found = await other.history(ROOM)
            assert found.position in (third, (first.epoch, 3))
            assert sorted(str(each.data) for each in found.messages) == [
                "drei", "{'n': 1}", "{'n': 2}",
            ]  # fmt: skip
            assert len((await hub.history(ROOM, since=first)).messages) == 2
            await other.remove_history(ROOM)
            assert (await hub.history(ROOM)).messages == []
            with pytest.raises(HistoryLost):
                await hub.history(ROOM, since=first)
            two.server.hub.get_room_manager().delete_room(ROOM)
            again = await other.publish(ROOM, "neu")
            assert again.offset == 1 and again.epoch != first.epoch
            other.get_room_manager().clear()
            await until(lambda: not redis.run("KEYS", "*.[ms].*"))
            assert await hub.publish("plain:x", "a", idempotency_key="z") == Position("", 0)

    run(main())


def test_a_client_resumes_on_another_node(run):
    async def main():
        async with redis_server() as redis, nodes(redis, 2) as (one, two):
            async with Client(one) as client:
                start = await client.join()
            for n in range(5):
                await two.hub.publish(ROOM, f"{n}")
            since = {"epoch": start["epoch"], "offset": start["offset"] + 1}
            async with Client(two) as client:
                answer = await client.join(since=since)
                assert answer["resumed"] is True
                assert [each["data"] for each in answer["messages"]] == ["1", "2", "3", "4"]

    run(main())


def test_a_joining_client_misses_nothing_and_gets_nothing_twice(run):
    """It joins while messages come: those of the answer and those behind it are all there are."""

    async def main():
        async with redis_server() as redis, nodes(redis, 2) as (one, two):
            async with Publisher(one) as publisher:
                publisher.begin()
                for _ in range(20):
                    async with Follower(two) as follower:
                        await publisher.more(3)
                        await until(lambda f=follower: len(f.texts) > 2)
                await publisher.end()

    run(main())


def test_members_of_rooms_without_history_users_and_everybody_are_reached(run):
    async def main():
        async with redis_server() as redis, nodes(redis, 2) as (one, two):
            got: list[object] = []

            class Listener(Client):
                def take(self, message):
                    got.append(message)

            async with Listener(two, "plain:1") as listener:
                await listener.join()
                await until(lambda: redis.run("PUBSUB", "CHANNELS", "*.r.*"))
                assert one.hub.broadcast_json_to_room("plain:1", {"n": 1}).pending
                assert one.hub.broadcast_json({"n": 2}).pending
                rooms = ("plain:1", "plain:2", ROOM)
                one.hub._publish_to_rooms(rooms, json.dumps({"n": 3}))
                await until(lambda: len(got) == 3)
                assert got == [{"n": 1}, {"n": 2}, {"n": 3}]

    run(main())


def test_a_server_serves_again_without_its_broker(run):
    async def main():
        server = program()
        async with redis_server() as redis:
            async with node(redis, server) as at:
                assert (await at.hub.publish(ROOM, "a")).offset == 1
            async with node(redis, server, broker=None) as at:
                assert at.figures.get("broker_up") is None
                assert (await at.hub.publish(ROOM, "a")).offset == 1

    run(main())


def test_who_is_there_and_how_many_is_known_on_all_nodes(run):
    async def main():
        async with redis_server() as redis, nodes(redis, 2) as (one, two):
            async with Watcher(one) as watcher:
                async with Client(two) as other:
                    await other.join()
                    await until(lambda: len(watcher.present) == 2)
                    assert await one.hub.count(ROOM) == await two.hub.count(ROOM) == 2
                    assert await two.hub.count() == 2
                    assert {each.id for each in await two.hub.presence(ROOM)} == watcher.present
                await until(lambda: len(watcher.left) == 1)
                one.hub.get_room_manager().get_or_create_room("plain:1").set_metadata("a", 1)
                await until(lambda: two.hub.get_room_manager().get_room("plain:1") is not None)

    run(main())


def test_members_of_a_node_that_is_killed_leave_within_ten_seconds_and_once(run):
    async def main():
        async with redis_server() as redis, node(redis) as at, Watcher(at) as watcher:
            with serving("nodes:server", cwd=APP, env={"GLYPH_FAST_BROKER": redis.url}) as dying:
                of = type("Url", (), {"url": dying.ws("/ws")})
                gone = await Client(of).__aenter__()
                await gone.join()
                await until(lambda: len(watcher.present) == 2)
                dying.kill()
                killed_at = asyncio.get_running_loop().time()
                await until(lambda: watcher.left)
                assert asyncio.get_running_loop().time() - killed_at < 12  # ten, and a slow machine
                assert len(watcher.present) == 1
                gone._reading.cancel()
            await asyncio.sleep(0.3)
            assert len(watcher.left) == 1

    run(main())


def test_a_user_with_the_rights_that_the_page_names_can_do_all(run):
    (named,) = re.findall(r"The user needs the commands `([A-Z\s]+)`", PAGE)

    async def main():
        async with redis_server() as redis:
            rights = [f"+{each.lower()}" for each in named.split()]
            redis.run("ACL", "SETUSER", "chat", "on", ">pass word", "~glyph*", "&glyph*", *rights)
            url = f"redis://chat:pass%20word@127.0.0.1:{redis.port}"
            running = program()
            running.background(asyncio.Event().wait, on="cluster")
            async with node(redis, running, broker=url) as one, node(redis) as two:
                async with Follower(one) as follower, Publisher(two) as publisher:
                    await one.hub.publish(ROOM, "a", idempotency_key="k")
                    await publisher.publish("b")
                    await follower.follows("b")
                    redis.run("SCRIPT", "FLUSH")
                    await one.hub.publish(ROOM, "c")
                    await follower.follows("c")
                    assert len((await one.hub.history(ROOM)).messages) == 3
                    await one.hub.remove_history(ROOM)
                    await one.hub.publish("plain:1", "x", idempotency_key="k")
                    assert await one.hub.count(ROOM) == 2
                one.hub.get_room_manager().clear()
                await until(lambda: not redis.run("KEYS", "*.[ms].*"))
            assert redis.run("ACL", "LOG") == []  # of what was denied
            redis.run("ACL", "SETUSER", "chat", "-evalsha")
            async with node(redis, broker=url) as one:
                with pytest.raises(BrokerUnavailable, match="NOPERM"):
                    await one.hub.publish(ROOM, "a")

    run(main())
