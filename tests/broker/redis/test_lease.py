"""The one node that runs what runs once on all machines."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast import Server
from glyph_fast.broker.redis import lease
from glyph_fast.errors import BrokerUnavailable
from tests.broker.redis.nodes import node, program, until
from tests.broker_servers import redis_server


class Running:
    """Programs that count where their task runs."""

    def __init__(self) -> None:
        self.on: list[str] = []

    def program(self, name: str) -> Server:
        server = program()

        @server.background(on="cluster")
        async def once() -> None:
            self.on.append(name)
            try:
                await asyncio.Event().wait()
            finally:
                self.on.remove(name)

        return server


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE_S", 1.0)
    monkeypatch.setattr(lease, "TRY_S", 0.1)


def test_a_lease_is_short_enough_to_be_taken_over_in_ten_seconds():
    assert lease.LEASE_S + 2 * lease.TRY_S <= 10


def test_one_node_runs_the_task_and_another_takes_over_at_once_when_it_ends(run, quick):
    async def main():
        running = Running()
        async with redis_server() as redis, node(redis, running.program("b")):
            await until(lambda: running.on == ["b"])
            async with node(redis, running.program("c")):
                for name in ("d", "e"):
                    async with node(redis, running.program(name)):
                        await asyncio.sleep(0.3)
                        assert running.on == ["b"]
        assert running.on == []
        async with redis_server() as redis, node(redis, running.program("c")):
            async with node(redis, running.program("a")):
                await until(lambda: len(running.on) == 1)
            await until(lambda: running.on == ["c"])

    run(main())


def test_a_node_that_has_lost_the_broker_stops_before_another_begins(run, quick):
    async def main():
        running = Running()
        seen: list[list[str]] = []

        async def cannot() -> bool:
            raise BrokerUnavailable

        async with redis_server() as redis, node(redis, running.program("a")) as a:
            await until(lambda: running.on == ["a"])
            async with node(redis, running.program("b")):
                broker: Any = a.hub._rooms._broker
                broker._lease._try = cannot

                def is_taken_over() -> bool:
                    seen.append(list(running.on))
                    return running.on == ["b"]

                await until(is_taken_over)
        assert all(len(each) <= 1 for each in seen), seen

    run(main())


def test_the_task_runs_on_after_the_broker_was_away_for_a_moment(run, quick):
    async def main():
        running = Running()
        async with redis_server() as redis, node(redis, running.program("a")) as a:
            await until(lambda: running.on == ["a"])
            redis.restart()
            await until(lambda: not a.figures["broker_up"])
            await until(lambda: a.figures["broker_up"])
            await until(lambda: running.on == ["a"])
            assert redis.run("PTTL", "glyph.1.l.{b}") > 0 or running.on == ["a"]

    run(main())
