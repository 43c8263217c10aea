"""The figures for people: the slowest consumers, the latest errors."""

from __future__ import annotations

import asyncio

from glyph_fast import Config
from glyph_fast.admin.observation import slowest_consumers
from tests.admin.operated import operated
from tests.wired import Site as Wired


def test_the_slowest_consumers_come_first():
    site = Wired(Config(queue_messages=2))
    ada, bob, _quick = site.connect(), site.connect(), site.connect()
    ada.pipe.room = bob.pipe.room = 0
    for _ in range(3):
        ada.conn.send("x" * 10)
    bob.conn.send("x" * 1000)
    site.flush()
    first, second = slowest_consumers(site.hub)
    assert (first["connection"], second["connection"]) == (bob.id, ada.id)
    assert (first["queued_messages"], first["messages_dropped"]) == (1, 0)
    assert (second["queued_messages"], second["messages_dropped"]) == (2, 1)
    assert first["ping_rtt_seconds"] is None


def test_errors_are_told_by_kind(backend, run):
    async def main():
        async with operated(backend) as site:
            ada = await site.connect()
            for _ in range(3):
                await ada.socket.send("fail")
            assert await ada.echo("done") == "done"
            stats = (await site.http.get("/stats")).json()
            (error,) = stats["recent_errors"]
            assert error["exception"] == "LookupError"
            assert error["handler"].endswith("echo")
            assert error["text"] == "as asked" and "operated.py:" in error["where"]
            assert error["count"] == stats["handler_errors"] == 3
            assert stats["connections"] == 1

    run(main())


def test_rates_are_over_the_last_seconds(backend, run):
    async def main():
        async with operated(backend) as site:
            first = site.server.hub.metrics.snapshot()["rates"]
            assert first["messages_received"] == 0
            ada = await site.connect()
            for _ in range(10):
                await ada.echo("x")
            await asyncio.sleep(0)
            assert site.server.hub.metrics.snapshot()["rates"]["messages_received"] > 0

    run(main())
