"""Running handlers: in order, one at a time, and what comes of errors, waits and ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from wired import KEY, Peer, Site

from glyph_fast import core
from glyph_fast.config import Config
from glyph_fast.connection import Connection
from glyph_fast.errors import ConnectionClosed, Reject
from glyph_fast.wire import CLOSE

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def records_reach_caplog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("glyph_fast"), "propagate", True)


class Gate:
    """Something a handler can wait for, which the test opens."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def passed(self) -> None:
        await self._event.wait()

    def open(self) -> None:
        self._event.set()


async def settled(*peers: Peer) -> None:
    """Until no handler of these connections runs or waits."""
    while any(peer.conn._inbox is not None for peer in peers):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def spin(n: int = 5) -> None:
    """Some iterations of the loop, enough for whatever could happen by itself."""
    for _ in range(n):
        await asyncio.sleep(0)


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


# The beginning.


def test_on_connect_runs_global_first_before_any_message() -> None:
    site = Site()
    log: list[str] = []
    site.dispatcher.on_connect("/chat/:room")(lambda conn: log.append(conn.path_params["room"]))
    site.dispatcher.on_connect(lambda conn: log.append(conn.id))
    site.dispatcher.on_message(lambda ctx: log.append(ctx.message.data))
    ada = site.connect("/chat/:room", room="blue")
    ada.send("x")
    assert log == [ada.id, "blue", "x"]


def test_messages_wait_for_an_on_connect_that_waits(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        log: list[str] = []

        @site.dispatcher.on_connect
        async def connected(conn: Connection) -> None:
            await gate.passed()
            conn.join_room("lobby")
            log.append("connected")

        site.dispatcher.on_message(lambda ctx: log.append(ctx.message.data))
        ada = site.connect()
        ada.send("a", "b")
        await spin()
        assert log == []
        gate.open()
        await settled(ada)
        assert log == ["connected", "a", "b"]

    run(main())


def test_the_connecting_one_is_counted_in_on_connect() -> None:
    site = Site()
    counts: list[int] = []
    site.dispatcher.on_connect(lambda: counts.append(len(site.hub)))
    site.connect()
    site.connect()
    assert counts == [1, 2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [("go away", "go away"), (b"go away", "go away"), ({"why": 1}, '{"why":1}'), ("", "")],
)
def test_reject_in_on_connect_closes_with_1008(body: Any, reason: str) -> None:
    site = Site()
    log: list[Any] = []

    @site.dispatcher.on_connect
    def connected() -> None:
        raise Reject(403, body)

    site.dispatcher.on_connect(lambda: log.append("second"))
    site.dispatcher.on_message(lambda: log.append("message"))
    site.dispatcher.on_disconnect(lambda conn, code: log.append(code))
    ada = site.connect()
    ada.send("x")
    assert ada.received() == []
    assert (ada.close_code, ada.close_reason) == (1008, reason)
    ada.close(1008)
    assert log == [1008]
    assert site.hub.metrics.handler_errors == 0
    assert site.hub.metrics.connections_rejected == {"on_connect": 1}


def test_a_long_reason_of_a_reject_is_cut() -> None:
    site = Site()

    @site.dispatcher.on_connect
    def connected() -> None:
        raise Reject(403, "é" * 100)

    ada = site.connect()
    ada.received()
    assert ada.close_reason == "é" * 61  # 123 bytes hold no more


def test_messages_that_came_before_a_reject_are_not_handled(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        log: list[str] = []

        @site.dispatcher.on_connect
        async def connected() -> None:
            await gate.passed()
            raise Reject(403, "no")

        site.dispatcher.on_message(lambda: log.append("message"))
        site.dispatcher.on_disconnect(lambda: log.append("disconnect"))
        ada = site.connect()
        ada.send("a", "b")
        gate.open()
        await settled(ada)
        assert ada.received() == [] and ada.close_code == 1008
        ada.close(1008)
        await settled(ada)
        assert log == ["disconnect"]

    run(main())


def test_an_on_connect_that_fails_leaves_the_connection_open() -> None:
    site = Site()

    @site.dispatcher.on_connect
    def connected() -> None:
        raise KeyError("x")

    site.dispatcher.on_message(lambda ctx: ctx.reply("text", "still here"))
    ada = site.connect()
    ada.send("x")
    assert ada.received() == ["still here"]
    assert site.hub.metrics.handler_errors == 1


# The end.


@pytest.mark.parametrize("end", ["close frame", "lost", "our close", "abort"])
def test_on_disconnect_runs_once_with_code_and_reason(end: str) -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_disconnect(lambda conn, code, reason: seen.append((conn.id, code, reason)))
    ada = site.connect()
    if end == "close frame":
        payload = (4321).to_bytes(2, "big") + b"bye"
        ada.conn.feed(core.encode_frame(CLOSE, payload, key=KEY))
        expected: tuple[int, str] = (4321, "bye")
    elif end == "lost":
        ada.conn.lost()
        expected = (1006, "")
    elif end == "our close":
        ada.conn.close(4000, "enough")
        site.flush()
        ada.close(1000)
        expected = (4000, "enough")
    else:
        ada.conn.abort()
        expected = (1006, "")
    for _ in range(3):
        site.flush()
        ada.conn.lost()
    assert seen == [(ada.id, *expected)]


def test_on_disconnect_runs_global_first_and_each_though_others_fail() -> None:
    site = Site()
    log: list[str] = []
    site.dispatcher.on_disconnect("/a")(lambda: log.append("route"))

    @site.dispatcher.on_disconnect
    def failing() -> None:
        log.append("failing")
        raise KeyError("x")

    site.dispatcher.on_disconnect(lambda: log.append("global"))
    site.connect("/a").vanish()
    assert log == ["failing", "global", "route"]
    assert site.hub.metrics.handler_errors == 1


def test_in_on_disconnect_the_connection_is_gone_but_lists_its_former_rooms() -> None:
    site = Site()
    seen: list[Any] = []

    @site.dispatcher.on_disconnect
    def gone(conn: Connection) -> None:
        blue = site.hub.get_room_manager().get_room("blue")
        assert blue is not None
        seen.extend((conn.get_rooms(), conn in blue, blue.size(), len(site.hub)))
        site.hub.broadcast_to_room("blue", "somebody left")
        with pytest.raises(ConnectionClosed):
            conn.send("too late")

    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    ada.conn.join_room("red")
    bob.conn.join_room("blue")
    ada.vanish()
    assert seen == [["blue", "red"], False, 1, 1]
    assert bob.received() == ["somebody left"]


def test_on_disconnect_waits_for_the_running_handler_and_the_messages_before_it(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            log.append(f"begin {ctx.message.data}")
            await gate.passed()
            log.append(f"end {ctx.message.data}")

        site.dispatcher.on_disconnect(lambda: log.append("disconnect"))
        ada = site.connect()
        ada.send("a", "b")
        ada.vanish()
        assert site.hub.get_connection_count() == 0  # the hub does not wait
        await spin()
        assert log == ["begin a"]
        gate.open()
        await settled(ada)
        assert log == ["begin a", "end a", "begin b", "end b", "disconnect"]

    run(main())


def test_on_disconnect_waits_for_on_connect(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        log: list[str] = []

        @site.dispatcher.on_connect
        async def connected() -> None:
            await gate.passed()
            log.append("connect")

        site.dispatcher.on_disconnect(lambda: log.append("disconnect"))
        ada = site.connect()
        ada.vanish()
        assert log == []
        gate.open()
        await settled(ada)
        assert log == ["connect", "disconnect"]

    run(main())


def test_on_disconnect_may_wait(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []

        @site.dispatcher.on_disconnect
        async def gone(conn: Connection) -> None:
            await asyncio.sleep(0)
            log.append(conn.id)

        ada = site.connect()
        ada.vanish()
        await settled(ada)
        assert log == [ada.id]

    run(main())


def test_a_client_that_joins_in_its_last_message_is_in_no_room_afterwards(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        site.dispatcher.on_message("text")(lambda ctx: gate.passed())
        ada = site.connect()
        ada.send("wait", '{"type":"join_room","room":"blue"}')
        ada.vanish()
        gate.open()
        await settled(ada)
        assert site.hub.get_room_manager().count() == 0
        assert site.hub.metrics.handler_errors == 0

    run(main())


def test_an_http_connection_that_ends_is_none_of_our_business() -> None:
    site = Site()
    site.dispatcher.on_disconnect(lambda: pytest.fail("it never was a WebSocket"))
    conn = Connection(site.turn, None)
    conn.lost()
    site.flush()
    assert site.hub.metrics.disconnects == {}


# on_leave.


def test_on_leave_is_told_of_every_departure(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[Any] = []

        @site.dispatcher.on_leave
        async def left(conn: Connection, room: str) -> None:
            await asyncio.sleep(0)
            assert not conn.is_in_room(room)
            log.append(room)

        site.dispatcher.on_disconnect(lambda: log.append("disconnect"))
        site.dispatcher.on_message("text")(lambda ctx: ctx.conn.leave_room(ctx.message.data))
        ada = site.connect()
        for room in ("own wish", "program", "deleted", "end 1", "end 2"):
            ada.conn.join_room(room)
        ada.send({"type": "leave_room", "room": "own wish"})
        await settled(ada)
        ada.send("program")
        await settled(ada)
        site.hub.get_room_manager().delete_room("deleted")
        site.flush()
        await settled(ada)
        ada.vanish()
        await settled(ada)
        assert log == ["own wish", "program", "deleted", "end 1", "end 2", "disconnect"]

    run(main())


def test_on_leave_runs_after_the_handler_that_caused_it() -> None:
    site = Site()
    log: list[str] = []

    @site.dispatcher.on_message("text")
    def handler(ctx: Any) -> None:
        ctx.conn.leave_room("blue")
        log.append("handler")

    site.dispatcher.on_leave(lambda conn, room: log.append(room))
    ada = site.connect()
    ada.conn.join_room("blue")
    ada.send("x")
    assert log == ["handler", "blue"]


def test_on_leave_waits_for_the_handler_that_caused_it_to_end(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            await asyncio.sleep(0)
            ctx.conn.leave_room("blue")
            await asyncio.sleep(0)
            log.append(f"handler {ctx.message.data}")

        site.dispatcher.on_leave(lambda conn, room: log.append(room))
        ada = site.connect()
        ada.conn.join_room("blue")
        ada.send("1", "2")
        await settled(ada)
        assert log == ["handler 1", "handler 2", "blue"]

    run(main())


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


def test_what_ends_the_process_is_not_caught() -> None:
    site = Site()

    @site.dispatcher.on_message("text")
    def leave() -> None:
        raise SystemExit(3)

    ada = site.connect()
    with pytest.raises(SystemExit):
        ada.send("x")


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


# Policy `block`.


def blocking(**options: Any) -> Site:
    return Site(Config(queue_policy="block", queue_messages=4, **options))


def test_whoever_feeds_a_full_receiver_is_paused_until_it_drains() -> None:
    site = blocking()

    @site.dispatcher.on_message("text")
    def relay(ctx: Any) -> None:
        site.hub.broadcast_to_room("blue", ctx.message.data)

    ada, bob, eve = (site.connect() for _ in range(3))
    bob.conn.join_room("blue")
    bob.pipe.room = 0
    ada.send(*map(str, range(20)))
    assert ada.pipe.is_paused
    assert not eve.pipe.is_paused and not bob.pipe.is_paused
    assert bob.conn.queued_messages == 5  # one more than the limit: the one that found it full
    bob.pipe.room = None
    while bob.conn.queued_messages or ada.pipe.is_paused:
        bob.conn.flush()
        site.flush()
    assert bob.received() == [str(n) for n in range(20)]
    assert bob.conn.messages_dropped == 0


def test_an_async_handler_is_paused_in_every_step(run: Run) -> None:
    async def main() -> None:
        site = blocking().on_loop()

        @site.dispatcher.on_message("text")
        async def relay(ctx: Any) -> None:
            await asyncio.sleep(0)
            for _ in range(5):
                site.hub.broadcast("x", exclude=ctx.conn)

        ada, bob = site.connect(), site.connect()
        bob.pipe.room = 0
        ada.send("go")
        await settled(ada)
        assert ada.pipe.is_paused
        bob.pipe.room = None
        bob.conn.flush()
        site.flush()
        assert not ada.pipe.is_paused

    run(main())


def test_a_task_that_a_handler_started_pauses_nobody(run: Run) -> None:
    async def main() -> None:
        site = blocking().on_loop()
        tasks: list[asyncio.Task[None]] = []

        async def work() -> None:
            for _ in range(20):
                site.hub.broadcast("x")

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            tasks.append(asyncio.create_task(work()))
            await asyncio.sleep(0)

        ada, bob = site.connect(), site.connect()
        bob.pipe.room = 0
        ada.send("go")
        await settled(ada)
        await asyncio.gather(*tasks)
        assert not ada.pipe.is_paused
        assert bob.conn.messages_dropped == 12  # twice the limit was taken

    run(main())


def test_a_feeder_goes_on_only_when_all_it_feeds_have_room() -> None:
    site = blocking()
    site.dispatcher.on_message(lambda ctx: site.hub.broadcast("x", exclude=ctx.conn))
    ada, bob, eve = (site.connect() for _ in range(3))
    bob.pipe.room = eve.pipe.room = 0
    ada.send(*"0123456789")
    assert ada.pipe.is_paused
    bob.pipe.room = None
    bob.conn.flush()
    site.flush()
    assert ada.pipe.is_paused
    eve.vanish()  # one that is gone holds up nobody
    assert not ada.pipe.is_paused


def test_a_feeder_that_leaves_is_forgotten() -> None:
    site = blocking()
    site.dispatcher.on_message(lambda ctx: site.hub.broadcast("x", exclude=ctx.conn))
    ada, bob = site.connect(), site.connect()
    bob.pipe.room = 0
    ada.send(*"0123456789")
    ada.vanish()
    bob.pipe.room = None
    bob.conn.flush()
    site.flush()
    assert site.dispatcher._feeding == {} and site.dispatcher._fed == {}


def test_one_that_feeds_itself_is_paused_too() -> None:
    site = blocking()
    site.dispatcher.on_message("text")(lambda ctx: ctx.reply("text", "x"))
    ada = site.connect()
    ada.pipe.room = 0
    ada.send(*"0123456789")
    assert ada.pipe.is_paused
    ada.pipe.room = None
    while ada.pipe.is_paused:
        ada.conn.flush()
        site.flush()
    assert ada.received() == ["x"] * 10


# `async for`.


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
        ada.send({"type": "join_room", "room": "blue"}, "x")
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


# Stopping.


def test_finish_waits_for_handlers(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        gate = Gate()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            await gate.passed()
            log.append(ctx.message.data)

        ada = site.connect()
        ada.send("a", "b")
        asyncio.get_running_loop().call_soon(gate.open)
        await site.dispatcher.finish(30)
        assert log == ["a", "b"]

    run(main())


def test_finish_cancels_what_does_not_end_and_still_runs_on_disconnect(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()
        log: list[str] = []

        @site.dispatcher.on_message("text")
        async def stuck(ctx: Any) -> None:
            log.append(ctx.message.data)
            await asyncio.Event().wait()

        @site.dispatcher.on_disconnect
        async def gone() -> None:
            await asyncio.sleep(0)
            log.append("disconnect")

        ada = site.connect()
        ada.send("a", "b")
        ada.vanish()
        await site.dispatcher.finish(0)
        await settled(ada)
        assert log == ["a", "disconnect"]
        assert site.hub.metrics.handler_errors == 0

    run(main())


def test_what_finish_cancels_is_no_error(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        async def stuck() -> None:
            await asyncio.Event().wait()

        site.dispatcher.on_connect("/connect")(stuck)
        site.dispatcher.on_disconnect("/disconnect")(stuck)
        site.dispatcher.websocket("/read")(stuck)
        site.dispatcher.on_message("text", "/message")(stuck)
        peers = [site.connect(f"/{what}") for what in ("connect", "disconnect", "read", "message")]
        peers[1].vanish()
        peers[3].send("x")
        await site.dispatcher.finish(0)
        assert site.hub.metrics.handler_errors == 0
        assert not site.dispatcher._tasks

    run(main())


def test_a_dispatcher_can_be_used_again_after_it_has_stopped(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            await asyncio.sleep(0)
            if ctx.message.data == "stuck":
                await asyncio.Event().wait()
            ctx.reply("text", ctx.message.data)

        ada = site.connect()
        ada.send("stuck", "dropped")
        await site.dispatcher.finish(0)
        await settled(ada)
        site.dispatcher.configure()
        ada.send("a", "b")
        await settled(ada)
        assert ada.received() == ["a", "b"]

    run(main())


def test_finish_may_be_awaited_in_a_handler(run: Run) -> None:
    async def main() -> None:
        site = Site().on_loop()

        @site.dispatcher.on_message("text")
        async def stop(ctx: Any) -> None:
            await asyncio.sleep(0)
            await site.dispatcher.finish(30)
            ctx.reply("text", "stopped")

        ada = site.connect()
        ada.send("x")
        await settled(ada)
        assert ada.received() == ["stopped"]

    run(main())


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


# Configuration.


def test_options_that_come_later_than_handlers_count() -> None:
    site = Site()
    seen: list[Any] = []
    site.dispatcher.on_message("json")(lambda ctx: seen.append(ctx.message.data))
    ada = site.connect()
    site.hub.configure(Config(client_commands=(), inbox_messages=3))
    site.dispatcher.configure()
    ada.send({"type": "ping"})
    assert seen == [{"type": "ping"}]
    assert ada.received() == []
