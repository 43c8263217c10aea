"""What comes of a handler that raises, and what is logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from tests.wired import Site, settled

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def records_reach_caplog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("glyph_fast"), "propagate", True)


# Errors.


def test_an_error_is_logged_counted_and_told_and_the_connection_stays_open(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    told: list[Any] = []

    @site.dispatcher.on_message("text")
    def broken(ctx: Any) -> None:
        raise KeyError(ctx.message.data)

    site.dispatcher.on_error(lambda ctx, exc: told.append((ctx.message.data, ctx.conn, exc)))
    ada = site.connect()
    ada.send("a", "b")
    assert site.hub.metrics.handler_errors == 2
    assert [(data, conn, str(exc)) for data, conn, exc in told] == [
        ("a", ada.conn, "'a'"),
        ("b", ada.conn, "'b'"),
    ]
    assert "handler failed" in caplog.text and "broken" in caplog.text
    ada.send('{"type":"ping"}')
    assert len(ada.received()) == 1


@pytest.mark.parametrize("kind", ["on_connect", "on_disconnect", "on_leave"])
def test_on_error_is_told_of_other_handlers_too_with_the_connection(kind: str) -> None:
    site = Site()
    told: list[Any] = []

    @getattr(site.dispatcher, kind)
    def broken() -> None:
        raise KeyError("x")

    site.dispatcher.on_error(lambda subject, exc: told.append((subject, type(exc))))
    ada = site.connect()
    ada.conn.join_room("blue")
    ada.vanish()
    assert told == [(ada.conn, KeyError)]


def test_an_on_error_that_waits_holds_up_the_next_message(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def broken(ctx: Any) -> None:
            log.append(ctx.message.data)
            if ctx.message.data == "b":
                await asyncio.sleep(0)
            raise KeyError("x")

        @site.dispatcher.on_error
        async def told(ctx: Any) -> None:
            await asyncio.sleep(0)
            log.append(f"error {ctx.message.data}")

        ada = site.connect()
        ada.send("a", "b", "c")
        await settled(ada)
        assert log == ["a", "error a", "b", "error b", "c", "error c"]

    run(main())


def test_an_on_error_that_raises_is_logged_and_no_more() -> None:
    site = Site()
    log: list[str] = []

    @site.dispatcher.on_message("text")
    def broken() -> None:
        raise KeyError("x")

    @site.dispatcher.on_error
    def broken_too() -> None:
        raise IndexError

    site.dispatcher.on_error(lambda: log.append("the next one runs"))
    ada = site.connect()
    ada.send("x")
    assert log == ["the next one runs"]
    assert ada.conn.is_open


def test_a_cancelled_handler_is_an_error_like_others(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            if ctx.message.data == "later":
                await asyncio.sleep(0)
            await future

        ada = site.connect()
        ada.send("at once", "later", '{"type":"ping"}')
        await settled(ada)
        assert site.hub.metrics.handler_errors == 2
        assert len(ada.received()) == 1

    run(main())


def test_an_on_error_that_is_cancelled_is_logged_like_others(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        def broken() -> None:
            raise KeyError("x")

        @site.dispatcher.on_error
        async def cancelled() -> None:
            await asyncio.sleep(0)
            raise asyncio.CancelledError

        ada = site.connect()
        ada.send("x", '{"type":"ping"}')
        await settled(ada)
        assert len(ada.received()) == 1
        assert site.hub.metrics.handler_errors == 1

    run(main())


def test_an_on_connect_that_waits_without_a_loop_is_an_error() -> None:
    site = Site()

    @site.dispatcher.on_connect
    async def connected() -> None:
        await asyncio.sleep(0)

    assert site.connect().conn.is_open
    assert site.hub.metrics.handler_errors == 1


def test_a_cancelled_job_does_not_end_the_turn() -> None:
    site = Site()

    @site.dispatcher.on_connect
    async def connected() -> None:
        raise asyncio.CancelledError

    ada, bob = site.connect(), site.connect()
    assert ada.conn.is_open and bob.conn.is_open
    assert site.hub.metrics.handler_errors == 2


def test_a_reply_that_cannot_be_json_is_a_handlers_error() -> None:
    site = Site()
    site.dispatcher.on_message(lambda ctx: ctx.reply_json(object()))
    ada = site.connect()
    ada.send("x")
    assert ada.received() == []
    assert site.hub.metrics.handler_errors == 1


# Logs.


def test_one_access_record_for_each_connection(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()
    site.dispatcher.on_message("text")(lambda ctx: ctx.reply("text", "hello"))
    with caplog.at_level(logging.INFO, "glyph_fast.access"):
        ada = site.connect("/chat/:room", room="blue")
        ada.send("a", "b")
        ada.close(4000)
    records = [record for record in caplog.records if record.name == "glyph_fast.access"]
    assert len(records) == 1
    fields = records[0].__dict__["fields"]
    assert fields["connection"] == ada.id
    assert fields["remote"] == "203.0.113.5"
    assert fields["route"] == "/chat/:room"
    assert (fields["code"], fields["messages_received"], fields["messages_sent"]) == (4000, 2, 2)
    assert fields["bytes_received"] > 0 and fields["bytes_sent"] > 0
    assert fields["seconds"] >= 0 and fields["messages_dropped"] == 0


def test_an_error_that_repeats_is_not_logged_each_time(caplog: pytest.LogCaptureFixture) -> None:
    site = Site()

    @site.dispatcher.on_message("text")
    def broken() -> None:
        raise KeyError("x")

    ada = site.connect()
    ada.send(*"0123456789")
    assert len([r for r in caplog.records if r.name == "glyph_fast.error"]) == 1
    assert site.hub.metrics.handler_errors == 10
