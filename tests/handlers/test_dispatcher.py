"""Running handlers: which, in what order, one at a time, and what waits meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.options.config import Config
from tests.wired import Gate, Site, settled, spin

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


# Which handlers run.


def test_each_kind_of_message_goes_to_its_handlers() -> None:
    site = Site()
    seen: list[Any] = []
    for type_ in ("text", "json", "binary"):
        site.dispatcher.on_message(type_)(lambda ctx, t=type_: seen.append((t, ctx.message.data)))
    ada = site.connect()
    ada.send("hello", {"a": 1}, b"\x00", {"type": "text", "data": "enveloped"})
    assert seen == [
        ("text", "hello"), ("json", {"a": 1}), ("binary", b"\x00"), ("text", "enveloped"),
    ]  # fmt: skip


def test_json_without_handlers_goes_to_those_of_text_as_it_came() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message("text")(
        lambda ctx: seen.append((ctx.message.type, ctx.message.data, ctx.message.raw))
    )
    raw = ' {"a":  1}'
    site.connect().send(raw)
    assert seen == [("text", raw, raw)]


@pytest.mark.parametrize(
    "members",
    [
        {"data": {"a": 1}}, {"data": [1]}, {"data": 5}, {"data": None}, {"data": True},
        {}, {"more": "than an envelope"}, {"event": "move", "data": {"x": 1}}, {"event": "move"},
    ],
)  # fmt: skip
def test_an_envelope_of_type_text_without_text_is_refused(members: dict[str, Any]) -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message("text")(lambda ctx: seen.append(ctx.message.data.upper()))
    site.dispatcher.on_event("move")(lambda ctx: seen.append(ctx.message.data.upper()))
    ada = site.connect()
    ada.send("a", {"type": "text", "id": 7, **members}, {"type": "text", "data": "b"})
    assert ada.answers() == [
        {
            "type": "error", "data": {"error": "data of an envelope of type text must be text"},
            "target": ada.id, "id": 7,
        }
    ]  # fmt: skip
    assert seen == ["A", "B"]
    assert site.hub.metrics.handler_errors == 0 and site.hub.metrics.commands_refused == 1
    assert ada.conn.is_open


def test_one_that_nobody_takes_or_a_stream_reads_raw_is_not_refused(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        seen: list[Any] = []

        async def read(conn: Any) -> None:
            async for message in conn:
                seen.append(message)

        site.dispatcher.websocket("/read")(read)
        site.dispatcher.websocket("/both")(read)
        site.dispatcher.on_message("text", "/both")(lambda ctx: seen.append("never"))
        raw = '{"type":"text","data":{"a":1}}'
        nobody, reader, both = (site.connect(route) for route in ("/", "/read", "/both"))
        for peer in (nobody, reader, both):
            peer.send(raw)
            await spin()
        assert seen == [raw, raw]
        assert nobody.received() == [] == reader.received()
        assert [answer["type"] for answer in both.answers()] == ["error"]
        assert site.hub.metrics.messages_unhandled == 1
        for peer in (nobody, reader, both):
            peer.vanish()
        await settled(nobody, reader, both)

    run(main())


def test_what_nobody_takes_goes_to_the_handlers_without_a_type() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message()(lambda ctx: seen.append((ctx.message.type, ctx.message.data)))
    site.connect().send("x", {"a": 1}, b"\x00", '{"type":"ping"}')
    assert seen == [("text", "x"), ("json", {"a": 1}), ("binary", b"\x00")]
    assert site.hub.metrics.messages_unhandled == 0


def test_what_nobody_takes_at_all_is_counted() -> None:
    site = Site()
    site.dispatcher.on_message("text", route="/elsewhere")(lambda: None)
    ada = site.connect("/here")
    ada.send("x", {"a": 1}, b"\x00", {"event": "e"})
    assert site.hub.metrics.messages_unhandled == 4
    assert ada.conn.is_open


def test_an_event_with_handlers_goes_only_to_them() -> None:
    site = Site()
    seen: list[str] = []
    site.dispatcher.on_message("json")(lambda: seen.append("json"))
    site.dispatcher.on_event("typing")(lambda: seen.append("typing"))
    site.connect().send({"event": "typing"}, {"event": "other"}, {"typing": 1})
    assert seen == ["typing", "json", "json"]


def test_handlers_of_a_route_run_for_its_connections_only() -> None:
    site = Site()
    seen: list[str] = []
    site.dispatcher.on_message("text", route="/a")(lambda: seen.append("a"))
    site.dispatcher.on_message("text")(lambda: seen.append("all"))
    site.connect("/a").send("x")
    site.connect("/b").send("x")
    assert seen == ["all", "a", "all"]


def test_the_first_that_raises_stops_the_rest() -> None:
    site = Site()
    seen: list[str] = []

    @site.dispatcher.on_message("text")
    def first() -> None:
        seen.append("first")
        raise KeyError("x")

    site.dispatcher.on_message("text")(lambda: seen.append("second"))
    ada = site.connect()
    ada.send("x")
    assert seen == ["first"]
    assert ada.conn.is_open


def test_a_handler_registered_later_serves_open_connections() -> None:
    site = Site()
    ada = site.connect()
    seen: list[str] = []
    site.dispatcher.on_message("text")(lambda ctx: seen.append(ctx.message.data))
    ada.send("x")
    assert seen == ["x"]


# Order and waiting.


def test_a_handler_that_does_not_wait_runs_in_its_turn(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        async def echo(ctx: Any) -> None:
            ctx.reply("text", ctx.message.data)

        ada = site.connect()
        tasks = asyncio.all_tasks()
        ada.send("a", "b")
        assert ada.received() == ["a", "b"]
        assert asyncio.all_tasks() == tasks
        assert ada.conn._inbox is None

    run(main())


def test_an_async_handler_that_does_not_wait_needs_no_loop() -> None:
    site = Site()

    @site.dispatcher.on_message("text")
    async def echo(ctx: Any) -> None:
        ctx.reply("text", ctx.message.data)

    ada = site.connect()
    ada.send("a")
    assert ada.received() == ["a"]


def test_messages_of_one_connection_are_handled_one_at_a_time_in_order(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            log.append(f"begin {ctx.message.data}")
            for _ in range(3 - int(ctx.message.data)):  # the first waits longest
                await asyncio.sleep(0)
            log.append(f"end {ctx.message.data}")

        ada = site.connect()
        ada.send("0", "1", "2", "3")
        await settled(ada)
        ada.send("4")
        assert log == [f"{what} {n}" for n in range(5) for what in ("begin", "end")]

    run(main())


def test_handlers_of_one_message_run_one_after_the_other(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []
        on_text = site.dispatcher.on_message("text")

        @on_text
        async def first(ctx: Any) -> None:
            await asyncio.sleep(0)
            log.append(f"first {ctx.message.data}")

        on_text(lambda ctx: log.append(f"second {ctx.message.data}"))

        @on_text
        async def third(ctx: Any) -> None:
            await asyncio.sleep(0)
            log.append(f"third {ctx.message.data}")

        ada = site.connect()
        ada.send("a", "b")
        await settled(ada)
        assert log == ["first a", "second a", "third a", "first b", "second b", "third b"]

    run(main())


def test_connections_do_not_wait_for_each_other(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            if ctx.message.data == "wait":
                await gate.passed()
            ctx.reply("text", ctx.message.data)

        ada, bob = site.connect(), site.connect()
        ada.send("wait", "after")
        bob.send("quick")
        assert (ada.received(), bob.received()) == ([], ["quick"])
        gate.open()
        await settled(ada)
        assert ada.received() == ["wait", "after"]

    run(main())


def test_a_function_that_returns_an_awaitable_is_waited_for(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []

        async def later(name: str) -> None:
            await asyncio.sleep(0)
            log.append(name)

        site.dispatcher.on_message("text")(lambda ctx: later(ctx.message.data))
        site.dispatcher.on_message("binary")(lambda ctx: asyncio.ensure_future(later("future")))
        ada = site.connect()
        ada.send("a", b"", "b")
        await settled(ada)
        assert log == ["a", "future", "b"]

    run(main())


def test_a_timeout_in_a_handler_works_from_its_first_step(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            try:
                async with asyncio.timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                ctx.reply("text", "too slow")

        ada = site.connect()
        ada.send("x")
        await settled(ada)
        assert ada.received() == ["too slow"]
        assert site.hub.metrics.handler_errors == 0

    run(main())


# The inbox.


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_a_full_inbox_pauses_reading_until_it_is_half_empty(run: Run, limit: int) -> None:
    async def main() -> None:
        site = Site(Config(inbox_messages=limit)).on_loop()
        seen: list[str] = []
        gates = [Gate() for _ in range(20)]

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            await gates[int(ctx.message.data)].passed()
            seen.append(ctx.message.data)

        ada = site.connect()
        ada.send(*(str(n) for n in range(limit)))  # one is being handled
        assert not ada.pipe.is_paused
        ada.send(*(str(n) for n in range(limit, 20)))
        assert ada.pipe.is_paused
        assert len(ada.conn._inbox or ()) == limit
        for n in range((limit + 1) // 2):
            assert ada.pipe.is_paused
            gates[n].open()
            await spin()
        assert limit == 1 or ada.conn.messages_received > limit + 1
        for gate in gates:
            gate.open()
        await settled(ada)
        assert seen == [str(n) for n in range(20)]
        assert not ada.pipe.is_paused

    run(main())


def test_while_a_handler_waits_writing_goes_on(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            ctx.reply("text", "began")
            await gate.passed()

        ada = site.connect()
        ada.send("x")
        assert ada.received() == ["began"]
        site.hub.broadcast("news")
        assert ada.received() == ["news"]
        gate.open()
        await settled(ada)

    run(main())


def test_a_full_send_queue_does_not_stop_reading() -> None:
    site = Site(Config(queue_messages=4))
    seen: list[str] = []

    @site.dispatcher.on_message("text")
    def handler(ctx: Any) -> None:
        seen.append(ctx.message.data)
        ctx.reply("text", "x" * 100)

    ada = site.connect()
    ada.pipe.room = 0
    ada.send(*map(str, range(20)))
    assert len(seen) == 20
    assert not ada.pipe.is_paused


# Configuration.


def test_options_that_come_later_than_handlers_count() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message("json")(lambda ctx: seen.append(ctx.message.data))
    ada = site.connect()
    site.hub._configure(Config(client_commands=(), inbox_messages=3))
    site.dispatcher.configure()
    ada.send({"type": "ping"})
    assert seen == [{"type": "ping"}]
    assert ada.received() == []


def test_every_handler_that_waits_is_timed_and_a_slow_one_named(run, caplog, monkeypatch):
    monkeypatch.setattr("glyph_fast.handlers.dispatcher.SLOW_HANDLER_S", 0.0)

    async def main():
        site = Site().on_loop()
        done = asyncio.Event()

        @site.dispatcher.on_message("text")
        async def patient(ctx):
            await asyncio.sleep(0)
            if ctx.message.data == "last":
                done.set()

        ada = site.connect()
        for text in ("one", "two", "last"):
            ada.send(text)
        await done.wait()
        await asyncio.sleep(0)
        while sum(site.turn.counters.handler_seconds.counts) < 3:
            await asyncio.sleep(0)
        assert sum(site.turn.counters.handler_seconds.counts) == 3

    with caplog.at_level("WARNING", "glyph_fast"):
        run(main())
    slow = [record.fields for record in caplog.records if record.event == "slow handler"]
    assert len(slow) == 3
    assert str(slow[0]["handler"]).endswith("patient")
