"""What the log tells when the broker is lost and when it is back: one line each, no password."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from glyph_fast.broker.nats.bus import NatsBus
from glyph_fast.broker.nodes.broker import NodesBroker
from glyph_fast.broker.nodes.bus import Bus
from glyph_fast.broker.redis.bus import RedisBus
from glyph_fast.broker.redis.link import Link
from glyph_fast.options.broker import read_broker_url
from tests.broker_servers import redis_server
from tests.nats_servers import nats_server
from tests.nodes import until

SECRET = "hush-hush"


@asynccontextmanager
async def redis() -> AsyncIterator[tuple[Any, Bus, str]]:
    async with redis_server(password=SECRET) as server:
        bus = RedisBus(Link(read_broker_url(server.url)))
        yield server, bus, f"redis://127.0.0.1:{server.port}"


@asynccontextmanager
async def nats() -> AsyncIterator[tuple[Any, Bus, str]]:
    with nats_server("--user", "u", "--pass", SECRET, login=f"u:{SECRET}@") as server:
        yield server, NatsBus(read_broker_url(server.url)), f"nats://127.0.0.1:{server.port}"


@pytest.mark.parametrize("broker", [redis, nats], ids=["redis", "nats"])
def test_a_lost_broker_is_one_line_and_one_that_is_back_another(
    run: Callable[..., Any], caplog: Any, broker: Any
) -> None:
    caplog.set_level(logging.DEBUG, "glyph_fast")

    def lines(event: str) -> list[Any]:
        return [each for each in caplog.records if getattr(each, "event", "") == event]

    async def main() -> None:
        async with broker() as (server, bus, place):
            node = NodesBroker(bus)
            node.attach(lambda publication: None)
            await node.start()
            await until(lambda: node.state == "up")
            server.kill()
            await until(lambda: node.state == "lost")
            await asyncio.to_thread(server.start)
            await until(lambda: node.state == "up")
            await node.close()
            about = [each for each in caplog.records if each.levelno >= logging.INFO]
            about = [each for each in about if each.event != "waiting for the broker"]
            told = [(each.levelname, each.event, each.fields["broker"]) for each in about]
            assert told == [
                ("INFO", "the broker is reached", place),
                ("ERROR", "the broker is lost", place),
                ("INFO", "the broker is back", place),
            ]
            assert about[1].fields["reason"] == "the connection has ended"
            assert SECRET not in caplog.text

    run(main())


def test_a_link_that_is_given_up_says_why_in_that_line(
    run: Callable[..., Any], caplog: Any
) -> None:
    async def main() -> None:
        async with redis() as (_, bus, _place):
            node = NodesBroker(bus)
            node.attach(lambda publication: None)
            await node.start()
            await until(lambda: node.state == "up")
            node.nodes.bus.link.lose("it does not answer")  # type: ignore[attr-defined]
            await until(lambda: node.state == "lost")
            await node.close()
        (line,) = [each for each in caplog.records if each.event == "the broker is lost"]
        assert line.fields["reason"] == "it does not answer"

    run(main())
