"""Connections that are read by `async for`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.hub.connection import Connection
from glyph_fast.options.config import Config
from tests.wired import Gate, Site, settled, spin

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


def test_a_route_can_be_read_by_async_for(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[Any] = []

        @site.dispatcher.websocket("/echo")
        async def echo(conn: Connection) -> None:
            async for message in conn:
                conn.send(message)
            log.append("end")

        site.dispatcher.on_disconnect(lambda: log.append("disconnect"))
        ada = site.connect("/echo")
        ada.send("text", b"bytes", {"a": 1}, '{"type":"json","data":1}')
        await spin()
        assert ada.received() == ["text", b"bytes", '{"a": 1}', '{"type":"json","data":1}']
        ada.close()
        await settled(ada)
        assert log == ["end", "disconnect"]
        assert site.hub.metrics.messages_unhandled == 0

    run(main())


def test_a_reader_starts_after_on_connect_and_sees_all_messages(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        log: list[Any] = []

        @site.dispatcher.on_connect
        async def connected() -> None:
            await gate.passed()
            log.append("connected")

        @site.dispatcher.websocket("/a")
        async def reader(conn: Connection) -> None:
            async for message in conn:
                await asyncio.sleep(0)
                log.append(message)

        ada = site.connect("/a")
        ada.send("a", "b")
        ada.vanish()
        gate.open()
        await settled(ada)
        assert log == ["connected", "a", "b"]

    run(main())


def test_built_in_messages_are_answered_beside_a_reader(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        seen: list[Any] = []

        @site.dispatcher.websocket("/a")
        async def reader(conn: Connection) -> None:
            async for message in conn:
                seen.append(message)

        ada = site.connect("/a")
        ada.send({"type": "ping"}, "x")
        await spin()
        assert seen == ["x"]
        assert len(ada.answers()) == 1
        ada.vanish()
        await settled(ada)

    run(main())


def test_a_slow_reader_pauses_reading(run: Run) -> None:
    async def main() -> None:
        site = Site(Config(inbox_messages=4)).on_loop()
        gate = Gate()
        seen: list[Any] = []

        @site.dispatcher.websocket("/a")
        async def reader(conn: Connection) -> None:
            async for message in conn:
                await gate.passed()
                seen.append(message)

        ada = site.connect("/a")
        await spin()
        ada.send(*map(str, range(20)))
        await spin()
        assert ada.pipe.is_paused
        gate.open()
        while len(seen) < 20:
            await asyncio.sleep(0)
        assert seen == [str(n) for n in range(20)]
        await spin()  # what was held is handled before reading goes on
        assert not ada.pipe.is_paused
        ada.vanish()
        await settled(ada)

    run(main())


def test_a_reader_that_returns_closes_with_1000(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.websocket("/a")
        async def reader(conn: Connection) -> None:
            async for message in conn:
                conn.send(f"only {message}")
                return

        ada = site.connect("/a")
        ada.send("one", "two")
        await spin()
        assert ada.received() == ["only one"]
        assert ada.close_code == 1000
        ada.close()
        await settled(ada)

    run(main())


def test_a_reader_that_raises_closes_with_1011_and_is_counted(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        told: list[Any] = []
        site.dispatcher.on_error(lambda subject, exc: told.append(type(exc)))

        @site.dispatcher.websocket("/a")
        async def reader(conn: Connection) -> None:
            raise KeyError("x")

        ada = site.connect("/a")
        ada.received()
        assert ada.close_code == 1011
        assert told == [KeyError]
        assert site.hub.metrics.handler_errors == 1

    run(main())


def test_a_reader_that_sends_to_somebody_gone_is_no_error(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.websocket("/a")
        async def reader(conn: Connection) -> None:
            async for _ in conn:
                pass
            conn.send("too late")

        ada = site.connect("/a")
        ada.vanish()
        await settled(ada)
        assert site.hub.metrics.handler_errors == 0

    run(main())


def test_two_tasks_cannot_read_one_connection(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        errors: list[str] = []

        async def read(conn: Connection) -> None:
            try:
                async for _ in conn:
                    pass
            except RuntimeError as exc:
                errors.append(str(exc))

        @site.dispatcher.websocket("/a")
        async def reader(conn: Connection) -> None:
            await asyncio.gather(read(conn), read(conn))

        ada = site.connect("/a")
        await spin()
        ada.vanish()
        await settled(ada)
        assert errors == ["another task already waits for this connection's messages"]

    run(main())
