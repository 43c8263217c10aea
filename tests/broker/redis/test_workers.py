"""Servers with workers that share a Redis."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from tests.broker.redis.nodes import APP, ROOM, Follower, Publisher, served, until
from tests.broker_servers import redis_server
from tests.serving import ServeProcess


def test_members_of_all_workers_of_all_machines_get_one_order_and_survive_a_restart(run):
    async def main():
        async with redis_server() as redis, served(redis) as one, served(redis) as two:
            followers = [Follower(at) for at in (one, one, one, two, two, two)]
            publishers = [Publisher(one, "p"), Publisher(two, "q")]
            for each in (*followers, *publishers):
                await each.__aenter__()
            for each in publishers:
                each.begin()
            await asyncio.gather(*(each.more(20) for each in publishers))
            redis.run("CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.gather(*(each.more(20) for each in publishers))
            last = [await each.end() for each in publishers]
            for each in followers:
                await asyncio.gather(*map(each.follows, last))
                assert each.texts == followers[0].texts
                assert each.resets == 0
            said = sorted(text for each in publishers for text in each.acknowledged)
            assert sorted(followers[0].texts) == said
            assert (await one.get("/readyz"))["broker"] == "up"
            history = await two.get(f"/api/rooms/{ROOM}/history?limit=1000")
            assert len(history["messages"]) == len(said)
            redis.restart()
            await until(lambda: all(each.resets == 1 for each in followers))
            again = await publishers[0].publish("after")
            assert again["offset"] == 1
            for each in followers:
                await each.follows("after")
            for each in (*followers, *publishers):
                await each.__aexit__(None, None, None)

    run(main())


def test_a_broker_that_refuses_ends_the_start_of_workers(run):
    async def main():
        async with redis_server(password="right") as redis:
            redis.password = "wrong"
            with pytest.raises(BaseException, match="the broker refuses"):
                await asyncio.to_thread(
                    ServeProcess, "nodes:server", "--workers", "2", cwd=APP,
                    env={"GLYPH_FAST_BROKER": redis.url},
                )  # fmt: skip

    run(main())


def test_one_worker_of_all_machines_runs_what_runs_once_and_another_takes_over(run):
    async def main():
        async with redis_server() as redis, served(redis, "leading:server") as one:
            async with served(redis, "leading:server"):

                async def latest(count: int) -> list[int]:
                    kept = await one.get(f"/api/rooms/{ROOM}/history?limit={count}")
                    return [int(each["data"]) for each in kept["messages"]]

                while len(pids := await latest(20)) < 20:
                    await asyncio.sleep(0.05)
                assert len(set(pids)) == 1
                os.kill(pids[0], signal.SIGKILL)  # the other worker of its machine takes over
                while pids[0] in await latest(5):
                    await asyncio.sleep(0.05)
                assert len(set(await latest(5))) == 1

    run(main())
