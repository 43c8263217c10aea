"""What may happen to a broker, and what clients that check every message see of it.

Where its memory survived, nothing that was acknowledged is missing; where it did not, members are
told that the room was reset. Nothing comes twice, and nothing out of order within an epoch.
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.error
import urllib.request
from typing import Any

import pytest

from glyph_fast.broker.redis import link
from glyph_fast.errors import BrokerUnavailable
from tests.broker.redis.nodes import (
    ROOM,
    Client,
    Follower,
    Node,
    Publisher,
    node,
    nodes,
    refused_start,
    until,
)
from tests.broker_servers import REDIS, RedisServer, redis_server, sentinels


async def restarted_without_its_memory(redis: RedisServer) -> None:
    redis.restart()


async def restarted_with_its_memory(redis: RedisServer) -> None:
    redis.restart(keep=True)


async def killed_for_a_while(redis: RedisServer) -> None:
    redis.kill()
    await asyncio.sleep(1.0)
    redis.start()


async def stopped_for_a_moment(redis: RedisServer) -> None:
    redis.pause()
    await asyncio.sleep(1.0)
    redis.resume()


async def stopped_until_it_was_given_up(redis: RedisServer) -> None:
    link.PING_S = 0.1
    try:
        redis.pause()
        await asyncio.sleep(1.5)
        redis.resume()
    finally:
        link.PING_S = 1.5


async def its_scripts_were_flushed(redis: RedisServer) -> None:
    for _ in range(3):
        redis.run("SCRIPT", "FLUSH")
        await asyncio.sleep(0.1)


async def its_memory_was_full(redis: RedisServer) -> None:
    redis.run("CONFIG", "SET", "maxmemory", "1")
    await asyncio.sleep(0.3)
    redis.run("CONFIG", "SET", "maxmemory", "0")


async def subscribers_were_cut_off(redis: RedisServer) -> None:
    redis.run("CLIENT", "KILL", "TYPE", "pubsub")


async def all_were_cut_off(redis: RedisServer) -> None:
    for _ in range(3):
        redis.run("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(0.1)


async def subscribers_got_too_much(redis: RedisServer) -> None:
    redis.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1kb 1kb 1")
    redis.run("PUBLISH", "glyph.1.a.{b}", "x" * 500_000)
    redis.run("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")


async def its_password_was_changed_and_changed_back(redis: RedisServer) -> None:
    redis.run("CONFIG", "SET", "requirepass", "another")
    former, redis.password = redis.password, "another"
    redis.run("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    redis.run("CLIENT", "KILL", "TYPE", "pubsub")
    await asyncio.sleep(1.0)
    redis.run("CONFIG", "SET", "requirepass", former)
    redis.password = former


LOST = [restarted_without_its_memory, restarted_with_its_memory, killed_for_a_while]
KEPT = [
    stopped_for_a_moment, stopped_until_it_was_given_up, its_scripts_were_flushed,
    its_memory_was_full, subscribers_were_cut_off, all_were_cut_off, subscribers_got_too_much,
    its_password_was_changed_and_changed_back,
]  # fmt: skip


async def what_is_seen_of(fault: Any, *, is_kept: bool, **options: Any) -> None:
    async with redis_server() as redis, nodes(redis, 2, **options) as (one, two):
        async with (
            Follower(one) as a, Follower(two) as b,
            Publisher(one, "p") as p, Publisher(two, "q") as q,
        ):  # fmt: skip
            for each in (p, q):
                each.begin()
            await asyncio.gather(p.more(20), q.more(20))
            await fault(redis)
            await asyncio.gather(p.more(20), q.more(20))
            last = [await p.end(), await q.end()]
            for each in (a, b):
                await asyncio.gather(*map(each.follows, last))
            acknowledged = p.acknowledged + q.acknowledged
            for each in (a, b):
                if is_kept:
                    assert each.resets == 0
                    assert sorted(each.texts) == sorted(acknowledged)
                else:
                    assert each.resets == 1
                assert len(set(each.texts)) == len(each.texts)
            if is_kept:
                assert a.texts == b.texts


@pytest.mark.parametrize("fault", [*LOST, *KEPT], ids=lambda fault: fault.__name__)
def test_nothing_is_lost_unsaid_when_the_broker_was(run, fault):
    run(what_is_seen_of(fault, is_kept=fault in KEPT))


@pytest.mark.soak
@pytest.mark.both_cores
@pytest.mark.parametrize("engine", ["native", "asyncio"])
@pytest.mark.parametrize("fault", [*LOST, *KEPT], ids=lambda fault: fault.__name__)
def test_the_same_on_each_core_and_engine(run, fault, engine):
    run(what_is_seen_of(fault, is_kept=fault in KEPT, engine=engine))


@pytest.mark.slow
def test_nothing_is_lost_unsaid_when_the_broker_was_stopped_for_a_minute():
    async def stopped_for_a_minute(redis: RedisServer) -> None:
        redis.pause()
        for _ in range(4):
            await asyncio.sleep(15)
        redis.resume()

    seen = what_is_seen_of(stopped_for_a_minute, is_kept=True)
    asyncio.run(asyncio.wait_for(seen, 120))


def test_a_room_that_nobody_speaks_in_is_reset_as_well(run):
    async def main():
        async with redis_server() as redis, node(redis) as at, Follower(at) as follower:
            await at.hub.publish(ROOM, "a")
            await follower.follows("a")
            redis.restart()
            await until(lambda: follower.resets == 1)
            assert follower.offset == 0

    run(main())


def test_what_came_while_a_node_was_cut_off_and_is_kept_no_more_is_told_as_a_reset(run):
    async def main():
        async with redis_server() as redis, nodes(redis, 2) as (one, two):
            async with Follower(two, "few:1") as follower:
                await one.hub.publish("few:1", "first")
                await follower.follows("first")
                broker = two.hub._rooms._broker
                broker.link.lose("the test says so")
                await asyncio.gather(*(one.hub.publish("few:1", f"{n}") for n in range(9)))
                await until(lambda: follower.resets == 1)
                await one.hub.publish("few:1", "last")
                await follower.follows("last")

    run(main())


def ready_of(at: Node) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(at.admin + "/readyz") as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc)


def test_while_the_broker_is_away_the_server_serves_on_and_says_so(run):
    async def main():
        async with (
            redis_server() as redis,
            node(redis, admin="127.0.0.1:0") as at,
            node(redis, admin="127.0.0.1:0", ready_needs_broker=True) as strict,
        ):

            async def ready(of: Node) -> Any:
                return await asyncio.to_thread(ready_of, of)

            assert await ready(at) == (200, {"status": "ok", "broker": "up"})
            async with Follower(at) as follower, Client(at, "plain:1") as plain:
                await plain.join()
                await at.hub.publish(ROOM, "a")
                await follower.follows("a")
                redis.kill()
                await until(lambda: not at.figures["broker_up"])
                assert await ready(at) == (200, {"status": "ok", "broker": "lost"})
                assert await ready(strict) == (503, {"status": "ok", "broker": "lost"})
                with pytest.raises(BrokerUnavailable):
                    await at.hub.publish(ROOM, "b")
                with pytest.raises(BrokerUnavailable):
                    await at.hub.history(ROOM)
                lost = at.figures["broker_lost"]
                assert at.hub.broadcast_to_room(ROOM, "c") == (0, 0, 1)
                assert at.figures["broker_lost"] == lost + 1
                assert at.hub.broadcast_to_room("plain:1", '{"n":1}') == (1, 0, 0)
                async with Client(at) as other:
                    refused = await other.ask(type="join_room", room=ROOM)
                    assert (refused["type"], refused["data"]["error"]) == ("error", "try again")
                answer = await follower.ask(type="broadcast", room=ROOM, data="d")
                assert (answer["type"], answer["data"]["error"]) == ("error", "try again")
                assert follower.texts == ["a"]
                redis.start()
                await until(lambda: at.figures["broker_up"])
                assert (await at.hub.publish(ROOM, "e")).offset == 1
                await follower.follows("e")

    run(main())


def test_a_server_is_not_ready_before_it_has_reached_its_broker(run):
    async def main():
        redis = RedisServer()
        try:
            async with node(redis, admin="127.0.0.1:0") as at:
                assert await asyncio.to_thread(ready_of, at) == (
                    503, {"status": "starting", "broker": "waiting"},
                )  # fmt: skip
                redis.start()
                await until(lambda: at.figures["broker_up"])
                assert (await asyncio.to_thread(ready_of, at))[0] == 200
        finally:
            redis.release()

    run(main())


def test_a_failed_over_primary_with_its_tail_lost_begins_new_epochs(run):
    async def main():
        async with (
            redis_server() as primary,
            redis_server("--replicaof", "127.0.0.1", str(primary.port)) as replica,
        ):
            both = f"redis://127.0.0.1:{primary.port},127.0.0.1:{replica.port}"
            async with node(primary, broker=both) as at, Follower(at) as follower:
                before = await at.hub.publish(ROOM, "kept")
                await follower.follows("kept")
                await until(lambda: b"master_link_status:up" in replica.run("INFO"))
                await until(lambda: replica.run("DBSIZE") == primary.run("DBSIZE"))
                replica.pause()  # what comes now it never hears of
                await at.hub.publish(ROOM, "lost")
                primary.kill()
                replica.resume()
                replica.run("REPLICAOF", "NO", "ONE")
                await until(lambda: follower.resets == 1)
                after = await at.hub.publish(ROOM, "new")
                await follower.follows("new")
                assert after.offset == 1 and after.epoch != before.epoch

    run(main())


def test_sentinels_lead_to_the_primary_that_they_have_made(run):
    async def main():
        async with (
            redis_server(binary=REDIS) as primary,
            redis_server("--replicaof", "127.0.0.1", str(primary.port), binary=REDIS) as replica,
        ):
            await until(lambda: b"master_link_status:up" in replica.run("INFO"))
            async with sentinels(primary) as url:
                await until(lambda: b"slaves=1,sentinels=3" in _sentinel_of(url).run("INFO"))
                async with node(primary, broker=url) as at, Follower(at) as follower:
                    await until(lambda: at.figures["broker_up"])
                    await at.hub.publish(ROOM, "a")
                    await follower.follows("a")
                    primary.kill()
                    await until(lambda: follower.resets == 1)
                    await at.hub.publish(ROOM, "b")
                    await follower.follows("b")
                    assert len(replica.run("KEYS", "*")) == 2

    run(main())


def _sentinel_of(url: str) -> RedisServer:
    server = RedisServer.__new__(RedisServer)
    server.port, server.password = int(url.rpartition(":")[2].partition("/")[0]), ""
    return server


def test_a_link_that_is_dead_without_a_word_is_noticed_and_what_was_missed_comes(run, monkeypatch):
    monkeypatch.setattr(link, "PING_S", 0.1)

    async def main():
        async with redis_server() as redis, Hole(redis.port) as hole, node(redis) as one:
            through = f"redis://127.0.0.1:{hole.port}"
            async with node(redis, broker=through) as two, Follower(two) as follower:
                await one.hub.publish(ROOM, "a")
                await follower.follows("a")
                hole.swallows = True
                for n in range(5):
                    await one.hub.publish(ROOM, f"{n}")
                await until(lambda: not two.figures["broker_up"])
                hole.swallows = False
                await follower.follows("4")
                assert follower.texts == ["a", "0", "1", "2", "3", "4"] and not follower.resets

    run(main())


class Hole:
    """Passes bytes on, or swallows them without a word."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.swallows = False

    async def __aenter__(self) -> Hole:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._server.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if not self.swallows:
                    sink.write(data)
            sink.close()

        await asyncio.gather(copy(reader, back), copy(there, writer), return_exceptions=True)


def test_foreign_messages_in_our_channels_do_no_harm(run, caplog):
    async def main():
        async with redis_server() as redis, node(redis) as at, Follower(at) as follower:
            await at.hub.publish(ROOM, "a")
            await follower.follows("a")
            keys = at.hub._rooms._broker._streams.keys
            good = redis.run("LRANGE", keys(ROOM).stream, 0, -1)[0]
            with caplog.at_level(logging.CRITICAL):
                for n in range(len(good)):
                    redis.run("PUBLISH", keys(ROOM).stream, good[:n])
                    if n > 24:
                        redis.run("PUBLISH", keys(ROOM).stream, good[:n] + b"\xff" + good[n + 1 :])
                redis.run("PUBLISH", "glyph.1.a.{b}", b"x" * 100)
            await at.hub.publish(ROOM, "b")
            await until(lambda: "b" in follower.texts or follower.resets)

    run(main())


@pytest.mark.parametrize("login", ["", ":wrong@"])
def test_a_broker_that_refuses_ends_the_start(run, login):
    async def main():
        async with redis_server(password="right") as redis:
            said = await refused_start(f"redis://{login}127.0.0.1:{redis.port}")
            assert b"the broker refuses this server: " in said
            assert b"wrong" not in said

    run(main())
