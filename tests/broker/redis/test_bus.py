"""What nodes publish to each other through real servers, and links that break."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from glyph_fast.broker.redis.bus import BATCH, RedisBus
from glyph_fast.broker.redis.link import Link
from glyph_fast.errors import BrokerRefused, BrokerUnavailable
from glyph_fast.options.broker import read_broker_url
from tests.broker_servers import BINARIES, REDIS, RedisServer, free_port, redis_server


class Node:
    """A bus with what it hears."""

    def __init__(self, url: str) -> None:
        self.bus = RedisBus(Link(read_broker_url(url)))
        self.heard: list[tuple[bytes, bytes]] = []
        self.states: list[bool] = []
        self.bus.attach(lambda *what: self.heard.append(what), self.states.append)

    async def __aenter__(self) -> Node:
        await self.bus.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.bus.close()


async def until(condition: Any) -> None:
    """Return when a condition holds."""
    while not condition():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("binary", BINARIES.values(), ids=BINARIES)
def test_what_is_published_comes_in_its_order_to_who_has_subscribed(run, binary):
    async def main():
        async with redis_server(binary=binary) as redis:
            async with Node(redis.url) as one, Node(redis.url) as two:
                two.bus.subscribe(b"a")
                two.bus.subscribe(b"a")
                one.bus.subscribe(b"a")
                await asyncio.gather(one.bus.subscribed(b"a"), two.bus.subscribed(b"a"))
                for n in range(1000):
                    one.bus.publish(b"a", b"%d" % n)
                    one.bus.publish(b"b", b"not for you")
                expected = [(b"a", b"%d" % n) for n in range(1000)]
                await until(lambda: len(two.heard) == len(one.heard) == 1000)
                assert two.heard == one.heard == expected
                two.bus.unsubscribe(b"a")
                await until(lambda: redis.run("PUBSUB", "NUMSUB", "a") == [b"a", 1])
                assert one.bus.dropped == two.bus.dropped == 0

    run(main())


def test_all_of_many_subscriptions_are_there_again_after_a_restart(run):
    async def main():
        async with redis_server() as redis, Node(redis.url) as node:
            channels = [b"%d" % n for n in range(2 * BATCH + 7)]
            for each in channels:
                node.bus.subscribe(each)
            await node.bus.subscribed(channels[-1])
            redis.restart()
            await until(lambda: node.states == [True, False])
            node.bus.publish(b"1", b"lost")
            assert node.bus.dropped == 1
            with pytest.raises(BrokerUnavailable):
                await node.bus.subscribed(b"x")
            node.bus.subscribe(b"new")
            node.bus.unsubscribe(channels[0])
            await until(lambda: node.states == [True, False, True])
            assert len(redis.run("PUBSUB", "CHANNELS")) == len(channels)
            node.bus.publish(b"new", b"found")
            await until(lambda: node.heard == [(b"new", b"found")])

    run(main())


def test_many_subscriptions_of_one_turn_go_in_batches_each_after_the_other(run, monkeypatch):
    monkeypatch.setattr("glyph_fast.broker.redis.bus.BATCH", 10)
    on_the_way, sizes = [0], []

    async def main():
        async with redis_server() as redis, Node(redis.url) as node:
            subscriber, known = node.bus.link.subscriber, node.bus._confirmed
            subscribe = subscriber.subscribe

            def confirmed(channel):
                on_the_way[0] -= 1
                known(channel)

            def counted(channels, done):
                on_the_way[0] += len(channels)
                sizes.append(on_the_way[0])
                subscribe(channels, confirmed)

            monkeypatch.setattr(subscriber, "subscribe", counted)
            channels = [b"%d" % n for n in range(95)]
            for each in channels:
                node.bus.subscribe(each)
            await node.bus.subscribed(channels[9])
            node.bus.unsubscribe(channels[-1])
            node.bus.subscribe(b"late")
            await node.bus.subscribed(b"late")
            assert max(sizes) == 10 and sum(sizes) == 95
            assert set(redis.run("PUBSUB", "CHANNELS")) == {*channels[:-1], b"late"}

    run(main())


def test_a_server_that_is_not_there_is_waited_for(run):
    async def main():
        redis = RedisServer(port=free_port())
        try:
            async with Node(redis.url) as node:
                assert not node.bus.is_up and node.states == []
                redis.start()
                await until(lambda: node.states == [True])
        finally:
            redis.release()

    run(main())


def test_a_server_that_stops_answering_is_given_up_and_found_again(run, monkeypatch):
    monkeypatch.setattr("glyph_fast.broker.redis.link.PING_S", 0.1)

    async def main():
        async with redis_server() as redis, Node(redis.url) as node:
            redis.pause()
            await until(lambda: node.states == [True, False])
            redis.resume()
            await until(lambda: node.states == [True, False, True])

    run(main())


def test_a_wrong_password_is_refused_and_shown_nowhere(run, caplog):
    caplog.set_level(logging.DEBUG)

    async def main():
        async with redis_server(password="correct") as redis:
            for login, said in ((":hush-hush", "WRONGPASS"), ("me:hush-hush", "WRONGPASS")):
                with pytest.raises(BrokerRefused, match=said):
                    async with Node(f"redis://{login}@127.0.0.1:{redis.port}"):
                        pass
            with pytest.raises(BrokerRefused, match="NOAUTH"):
                async with Node(f"redis://127.0.0.1:{redis.port}"):
                    pass
            async with Node(redis.url) as node:
                assert node.bus.is_up
        assert "hush" not in caplog.text and "correct" not in caplog.text

    run(main())


def test_an_old_version_is_refused(run, monkeypatch):
    monkeypatch.setattr("glyph_fast.broker.redis.login.OLDEST", (7, 1))

    async def main():
        async with redis_server(binary=REDIS) as redis:
            with pytest.raises(BrokerRefused, match="Redis 7.0.15 is too old"):
                async with Node(redis.url):
                    pass

    run(main())


def test_a_replica_is_passed_over_for_the_primary(run):
    async def main():
        async with redis_server() as primary:
            async with redis_server("--replicaof", "127.0.0.1", str(primary.port)) as replica:
                both = f"redis://127.0.0.1:{replica.port},127.0.0.1:{primary.port}"
                async with Node(both) as node:
                    await until(lambda: node.bus.is_up)
                    assert node.bus.link.server.run_id in primary.run("INFO").decode()

    run(main())


def test_a_subscriber_that_is_cut_off_by_the_output_limit_comes_back(run):
    async def main():
        async with redis_server("--client-output-buffer-limit", "pubsub", "1kb", "1kb", "1") as at:
            async with Node(at.url) as node:
                node.bus.subscribe(b"a")
                await node.bus.subscribed(b"a")
                at.run("PUBLISH", "a", b"x" * 200_000)
                await until(lambda: node.states == [True, False, True])

    run(main())


def test_what_is_no_redis_is_waited_for_and_not_taken_for_one(run):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, Node(f"redis://127.0.0.1:{port}") as node:
            assert not node.bus.is_up

    run(main())
