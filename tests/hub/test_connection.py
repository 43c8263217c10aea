"""A connection as the application sees it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from glyph_fast import core
from glyph_fast.dialects.message import Message
from glyph_fast.errors import ConnectionClosed
from glyph_fast.hub.connection import Connection
from glyph_fast.options.config import Config
from glyph_fast.wire import DROPPED, NOBODY, PONG, QUEUED, SENT
from tests.wired import KEY, Site

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


@pytest.fixture
def site() -> Site:
    return Site()


def test_an_id_is_32_hex_digits_and_unique(site: Site) -> None:
    ids = {site.connect().id for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in ids)


def test_what_is_sent(site: Site) -> None:
    ada = site.connect()
    assert ada.conn.send("text") == SENT
    assert ada.conn.send(b"bytes") == SENT
    assert ada.conn.send_json({"a": [1, None, "é"]}) == SENT
    assert ada.conn.send_json(None) == SENT
    assert ada.conn.send_message(Message("text", "hi", timestamp="T")) == SENT
    assert ada.received() == [
        "text", b"bytes", '{"a":[1,null,"é"]}', "null",
        '{"type":"text","data":"hi","timestamp":"T"}',
    ]  # fmt: skip


def test_an_event_is_an_envelope(site: Site) -> None:
    ada = site.connect()
    ada.conn.send_event("typing", True)
    ada.conn.send_event("ready")
    assert ada.answers() == [
        {"type": "json", "event": "typing", "data": True},
        {"type": "json", "event": "ready"},
    ]


def test_a_value_json_cannot_hold_raises_and_sends_nothing(site: Site) -> None:
    ada = site.connect()
    for value in (float("nan"), object()):
        with pytest.raises((TypeError, ValueError)):
            ada.conn.send_json(value)
    with pytest.raises(TypeError, match="a message is str, bytes or Message, not int"):
        ada.conn.send(5)
    assert ada.received() == []


def test_sending_on_a_closed_connection_raises(site: Site) -> None:
    ada = site.connect()
    ada.conn.close(4000, "enough")
    for send in (
        lambda: ada.conn.send("x"),
        lambda: ada.conn.send_json(1),
        lambda: ada.conn.send_event("e"),
        lambda: ada.conn.send_message(Message("text")),
    ):
        with pytest.raises(ConnectionClosed) as caught:
            send()
        assert (caught.value.code, caught.value.reason) == (4000, "enough")


def test_closing_sends_what_is_queued_and_then_the_close_frame(site: Site) -> None:
    ada = site.connect()
    ada.conn.send("bye")
    ada.conn.close(4001, "done")
    ada.conn.close(4002, "again")
    assert not ada.conn.is_open
    assert ada.received() == ["bye"]
    assert (ada.close_code, ada.close_reason) == (4001, "done")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_a_code_that_may_not_be_sent_is_a_value_error(site: Site, code: int) -> None:
    ada = site.connect()
    with pytest.raises(ValueError, match=str(code)):
        ada.conn.close(code)
    assert ada.conn.is_open


def test_the_request_is_read_when_asked_for(site: Site) -> None:
    request = site.connect("/chat/:room", room="blue").conn.request
    assert request.path == "/chat/blue"
    assert request.query["x"] == "1"
    assert request.headers["host"] == "example.com"
    assert request.cookies == {"a": "b"}
    assert request.remote == "203.0.113.5"
    assert request.path_params == {"room": "blue"}


def test_data(site: Site) -> None:
    ada = site.connect()
    assert ada.conn.get_data("name") is None
    assert ada.conn.get_data("name", "nobody") == "nobody"
    ada.conn.set_data("name", "Ada")
    assert ada.conn.get_data("name") == "Ada"


def test_an_unset_connection_has_neutral_values(site: Site) -> None:
    conn = Connection(site.turn, None)
    assert (conn.path_params, conn.route_pattern, conn.identity) == ({}, "", None)
    assert (conn.subprotocol, conn.get_rooms()) == (None, [])


def test_an_idle_connection_keeps_nothing_but_its_slots(site: Site) -> None:
    conn = site.connect().conn
    assert not hasattr(conn, "__dict__")
    assert (conn._data, conn._inbox, conn._stream, conn._waiters) == (None,) * 4
    assert conn._rooms == ()
    own = sys.getsizeof(conn) - sys.getsizeof(core.Connection(site.turn, None))
    assert own <= 8 * 16  # bytes: the slots of Connection and Member


def test_pongs_and_health() -> None:
    now = [100.0]
    site = Site(Config(ping_interval=30, max_missed_pongs=3), clock=lambda: now[0])
    conn = site.connect().conn
    assert conn.last_pong_time is None
    health = []
    for _ in range(4):  # the first sweep only notes the time
        site.turn.sweep(now[0])
        health.append((conn.missed_pongs, conn.is_healthy))
        now[0] += 30
    assert health == [(0, True), (1, True), (2, True), (3, False)]
    conn._feed(core.encode_frame(PONG, (3).to_bytes(4, "big"), key=KEY))
    assert conn.missed_pongs == 0 and conn.is_healthy
    now[0] += 5
    pong = conn.last_pong_time
    assert pong is not None
    assert abs(datetime.now(UTC) - timedelta(seconds=5) - pong) < timedelta(seconds=1)
    conn.close(1000)
    assert not conn.is_healthy


def test_the_text_form(site: Site) -> None:
    ada = site.connect("/ws")
    assert repr(ada.conn) == f"<Connection {ada.id} open /ws>"


# Waiting for room.


def small_queue(**options: Any) -> Site:
    return Site(Config(queue_messages=4, **options))


def test_drain_returns_at_once_while_there_is_room(run: Run) -> None:
    async def main() -> None:
        ada = Site().on_loop().connect()
        ada.conn.send("x")
        await ada.conn.drain()
        assert ada.received() == ["x"]

    run(main())


def test_drain_writes_before_it_waits_and_lets_others_run(run: Run) -> None:
    async def main() -> None:
        ada = small_queue().on_loop().connect()
        others: list[str] = []
        asyncio.get_running_loop().call_soon(others.append, "ran")
        for _ in range(4):
            ada.conn.send("x")
        assert ada.conn._is_full
        await ada.conn.drain()
        assert others == ["ran"]
        assert ada.conn.queued_messages == 0

    run(main())


def test_drain_waits_until_the_peer_reads(run: Run) -> None:
    async def main() -> None:
        ada = small_queue(queue_policy="drop_newest").on_loop().connect()
        ada.pipe.room = 0
        results = [ada.conn.send("x") for _ in range(5)]
        assert results == [SENT, SENT, SENT, SENT, DROPPED]
        waiting = [asyncio.create_task(ada.conn.drain()) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not any(task.done() for task in waiting)
        ada.pipe.room = None
        ada.conn._flush()
        await asyncio.gather(*waiting)
        assert ada.conn.queued_messages == 0

    run(main())


def test_behind_a_full_sink_messages_are_queued() -> None:
    ada = small_queue().connect()
    ada.pipe.room = 0
    ada.conn.send("x")
    ada.site.flush()
    assert ada.conn.send("y") == QUEUED
    assert ada.conn.queued_messages == 2
    assert ada.conn.queued_bytes == 6


def test_drain_on_a_closed_connection_raises(run: Run) -> None:
    async def main() -> None:
        ada = Site().on_loop().connect()
        ada.conn.close(4000, "enough")
        with pytest.raises(ConnectionClosed) as caught:
            await ada.conn.drain()
        assert caught.value.code == 4000

    run(main())


@pytest.mark.parametrize("end", ["vanish", "close"])
def test_drain_ends_with_the_connection(run: Run, end: str) -> None:
    async def main() -> None:
        ada = small_queue().on_loop().connect()
        ada.pipe.room = 0
        for _ in range(4):
            ada.conn.send("x")
        waiting = asyncio.create_task(ada.conn.drain())
        await asyncio.sleep(0)
        if end == "vanish":
            ada.vanish()
        else:
            ada.conn.close(1000)
        with pytest.raises(ConnectionClosed):
            await waiting

    run(main())


def test_a_drain_that_is_cancelled_disturbs_nobody(run: Run) -> None:
    async def main() -> None:
        ada = small_queue().on_loop().connect()
        ada.pipe.room = 0
        for _ in range(4):
            ada.conn.send("x")
        first, second = (asyncio.create_task(ada.conn.drain()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        ada.pipe.room = None
        ada.conn._flush()
        await second
        assert first.cancelled()

    run(main())


def test_drain_on_another_loop_is_a_runtime_error(run: Run) -> None:
    async def main() -> None:
        ada = Site().on_loop().connect()

        def work() -> None:
            with pytest.raises(RuntimeError, match="another one"):
                asyncio.run(ada.conn.drain())

        await asyncio.to_thread(work)

    run(main())


# Other threads.


def test_sends_from_another_thread_are_handed_over_in_order(site: Site) -> None:
    ada = site.connect()
    results: list[Any] = []

    def work() -> None:
        results.append(ada.conn.send("one"))
        results.append(ada.conn.send_json({"n": 2}))
        results.append(ada.conn.join_room("blue"))
        results.append(ada.conn.send(b"three"))
        results.append(ada.conn.leave_room("blue"))
        results.append(ada.conn.close(4000, "bye"))
        results.append(ada.conn.send("too late"))
        results.append(ada.conn.get_rooms())
        ada.conn.set_data("by", "thread")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    sends = [results.pop(place) for place in (6, 3, 1, 0)]
    assert [(result, result.pending) for result in sends] == [(NOBODY, True)] * 4
    assert results == [None] * 3 + [[]]
    assert ada.conn.is_open
    assert ada.received() == ["one", '{"n":2}', b"three"]
    assert ada.close_code == 4000
    assert ada.conn.get_data("by") == "thread"
    assert site.hub.metrics.handler_errors == 0  # nobody could be told of what came too late


def test_a_join_that_fails_in_another_thread_is_logged(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    ada = site.connect()
    thread = threading.Thread(target=ada.conn.join_room, args=("",))
    thread.start()
    thread.join(10)
    site.flush()
    assert "internal error" in caplog.text or "room name" in caplog.text
    assert ada.conn.get_rooms() == []


# Reading by `async for`: more in handlers/test_dispatcher.py.


def test_async_for_needs_a_handler_that_reads(site: Site) -> None:
    with pytest.raises(RuntimeError, match=re.escape("server.websocket()")):
        aiter(site.connect().conn)


def test_a_message_of_the_application_can_be_sent(site: Site) -> None:
    class Own:
        def to_json(self) -> bytes:
            return json.dumps({"own": True}).encode()

    ada = site.connect()
    ada.conn.send(Own())
    assert ada.json() == [{"own": True}]
