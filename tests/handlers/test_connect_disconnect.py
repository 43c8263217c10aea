"""The first and the last call for a connection, and the calls for its rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast import core
from glyph_fast.errors import ConnectionClosed, Reject
from glyph_fast.hub.connection import Connection
from glyph_fast.wire import CLOSE
from tests.wired import KEY, Gate, Site, settled, spin

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


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
        ada.conn._feed(core.encode_frame(CLOSE, payload, key=KEY))
        expected: tuple[int, str] = (4321, "bye")
    elif end == "lost":
        ada.conn._lost()
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
        ada.conn._lost()
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
        site.dispatcher.on_join(lambda: True)
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
    conn._lost()
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
        site.dispatcher.on_join(lambda: True)
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
