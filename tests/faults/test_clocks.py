"""Clocks that jump. Deadlines go by the monotonic clock, and only what is shown by the wall's."""

from __future__ import annotations

import time

import pytest

from glyph_fast.testing import TestClient
from tests.running import echo_server

pytestmark = pytest.mark.both_cores

YEAR_S = 365 * 86400.0


@pytest.mark.parametrize("jump", [YEAR_S, -YEAR_S])
def test_a_wall_clock_that_jumps_closes_nobody(run, monkeypatch, jump):
    now = time.time

    async def main():
        async with TestClient(echo_server(), ping_interval="30s") as client:
            ws = await client.connect()
            await client.advance(61)
            monkeypatch.setattr(time, "time", lambda: now() + jump)
            await client.advance(61)
            assert ws.is_open and client.hub.metrics.core.pings_sent == 4
            assert ws.connection.missed_pongs == 0
            assert abs(ws.connection.last_pong_time.timestamp() - now() - jump) < 60
            await ws.send("hello")
            assert await ws.receive() == "hello"

    run(main())


def test_a_leap_of_the_servers_clock_is_one_missed_ping_at_most(run):
    """A machine that was suspended: many intervals pass between two looks at the clock."""

    async def main():
        async with TestClient(echo_server(), ping_interval="30s") as client:
            ws = await client.connect()
            await client.advance(31)
            engine = client._serving()
            engine._clock.now += YEAR_S
            engine.turn.sweep(engine._clock.now)
            await client.settle()
            assert ws.is_open and ws.connection.missed_pongs == 0
            assert client.hub.metrics.core.pings_sent == 2

    run(main())


def test_a_clock_that_goes_back_harms_nobody(run):
    async def main():
        async with TestClient(echo_server(), ping_interval="30s", write_timeout="10s") as client:
            ws = await client.connect()
            await client.advance(100)
            engine = client._serving()
            engine._clock.now -= 90
            for _ in range(5):
                engine.turn.sweep(engine._clock.now)
            await ws.send("hello")
            assert await ws.receive() == "hello" and ws.is_open
            await client.advance(200)
            assert ws.is_open and ws.connection.missed_pongs == 0

    run(main())
