"""The connection: when it opens, how it ends, when it comes back."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from glyph_fast.client import ClientError
from glyph_fast.client.link import is_final
from tests.client.fake import Bench, Fate, settle

FINAL = [1000, 1002, 1003, 1007, 1008, 1009, 3500, 3999, 4000, 4399, 4403, 4500, 4999]
NOT_FINAL = [
    1001,
    1005,
    1006,
    1011,
    1012,
    1013,
    3000,
    3499,
    4008,
    4400,
    4401,
    4404,
    4429,
    4499,
    4503,
]


@pytest.mark.parametrize("code", FINAL)
async def test_a_final_code_is_the_end(bench: Bench, code: int) -> None:
    server = bench.connect()
    (await bench.open()).end(code, "because")
    await asyncio.sleep(60)
    assert (server.state, server.why[:2]) == ("closed", (code, "because"))
    assert len(bench.sockets) == 1
    with pytest.raises(ClientError, match="because"):
        await server.opened()


@pytest.mark.parametrize("code", NOT_FINAL)
async def test_after_any_other_code_it_comes_back(bench: Bench, code: int) -> None:
    assert not is_final(code)
    server = bench.connect(token=lambda: "t")
    await bench.open()
    await bench.again(code)
    assert bench.states == [("open", 0), ("waiting", code), ("connecting", code), ("open", code)]
    assert server.state == "open"


async def test_it_is_open_once_something_came_or_after_a_second(bench: Bench) -> None:
    server = bench.connect()
    await settle()
    bench.socket.open()
    assert server.state == "connecting"
    opened = Fate(server.opened())
    await asyncio.sleep(0.9)
    assert await opened.now() == "pending"
    await asyncio.sleep(0.2)
    assert server.state == "open"
    assert await opened.now() is None
    await bench.again()
    assert server.state == "open"  # by the pong


async def test_pauses_are_drawn_below_a_bound_that_doubles(bench: Bench) -> None:
    server = bench.connect()
    pauses = []
    for _ in range(8):
        await settle()
        bench.socket.end()
        pauses.append(round(server.why.retry_at - bench.loop.now, 6))
        await asyncio.sleep(pauses[-1] + 0.01)
    assert pauses == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


async def test_a_connection_that_lasted_makes_the_pauses_short_again(bench: Bench) -> None:
    server = bench.connect()
    await bench.open()
    for _ in range(3):
        await bench.again()
    bench.socket.end()
    assert server.why.retry_at == pytest.approx(bench.loop.now + 2.0)
    await bench.next(bench.socket)
    await asyncio.sleep(6)
    bench.socket.end()
    assert server.why.retry_at == pytest.approx(bench.loop.now + 0.25)


async def test_retry_does_not_wait(bench: Bench) -> None:
    server = bench.connect()
    await bench.open()
    bench.socket.end()
    server.retry()
    assert server.state == "connecting"
    server.retry()
    await bench.open()
    server.retry()
    assert len(bench.sockets) == 2


async def test_a_socket_that_does_not_open_in_ten_seconds_is_given_up(bench: Bench) -> None:
    server = bench.connect()
    await settle()
    await asyncio.sleep(9.9)
    assert server.state == "connecting"
    await asyncio.sleep(0.2)
    assert (server.state, server.why[:2]) == ("waiting", (1006, "no answer"))
    assert bench.socket.end_of_ours == "dropped"


async def test_a_dial_that_takes_for_ever_is_given_up(bench: Bench) -> None:
    ended: list[bool] = []

    async def dial(token: Any, listener: Any) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(True)

    bench.dial = dial
    server = bench.connect()
    await asyncio.sleep(10.1)
    assert server.state == "waiting"
    assert ended == [True]


async def test_a_network_that_is_down_is_tried_again_and_is_no_error(bench: Bench) -> None:
    good = bench.dial

    async def dial(token: Any, listener: Any) -> None:
        raise ConnectionRefusedError(111, "connection refused")

    bench.dial = dial
    server = bench.connect()
    await settle()
    assert server.state == "waiting" and "refused" in server.why.reason
    assert bench.errors == []
    bench.dial = good
    await asyncio.sleep(2)
    await bench.open()
    assert server.state == "open"


async def test_silence_of_twenty_seconds_is_asked_about_and_ten_more_end_it(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    await asyncio.sleep(19.9)
    assert socket.pings == 0
    await asyncio.sleep(0.2)
    assert socket.pings == 1
    await asyncio.sleep(9.8)
    assert server.state == "open"
    await asyncio.sleep(0.2)
    assert (server.state, server.why[:2]) == ("waiting", (1006, "no answer"))
    assert socket.end_of_ours == "dropped"


async def test_bytes_of_any_kind_are_an_answer(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    for _ in range(10):
        await asyncio.sleep(25)
        socket.alive()
    assert server.state == "open"
    assert socket.pings == 10
    for _ in range(10):
        await asyncio.sleep(15)
        socket.say({"type": "json", "event": "tick"})
    assert socket.pings <= 11  # who speaks is not asked


async def test_a_program_that_slept_asks_again_before_it_gives_up(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    await asyncio.sleep(25)
    assert socket.pings == 1
    bench.loop.now += 3600  # held up, or suspended
    await asyncio.sleep(1)
    assert (server.state, socket.pings) == ("open", 2)
    await asyncio.sleep(10)
    assert server.state == "connecting" and server.why.reason == "no answer"


async def test_what_a_former_socket_says_is_nobodys_business(bench: Bench) -> None:
    server = bench.connect()
    heard: list[Any] = []
    server.on("message", heard.append)
    first = await bench.open()
    listener = first._listener
    assert listener is not None
    await bench.again()
    listener.heard('"late"')
    listener.alive()
    listener.opened()
    listener.ended(1000, "")
    assert server.state == "open" and heard == []


async def test_a_transport_that_comes_too_late_is_cut(bench: Bench) -> None:
    server = bench.connect()
    await settle()
    listener = bench.socket._listener
    assert listener is not None
    await server.close()
    late = type(bench.socket)(None, listener)
    listener.made(late)
    assert late.end_of_ours == "cut"


async def test_close_leaves_nothing_and_rejects_what_waits(bench: Bench) -> None:
    server = bench.connect()
    room = server.join("lobby")
    socket = await bench.open()
    calls = [Fate(server.call("a")), Fate(room.publish(1)), Fate(room.joined())]
    await settle()
    await server.close()
    assert socket.end_of_ours == "closed"
    assert bench.states[-1] == ("closed", 1000)
    assert await calls[0].now() == ("connection lost", True)
    assert [await each.now() for each in calls[1:]] == [("closed", False)] * 2
    assert bench.loop.timers == 0
    await server.close()
    assert not server.send("x")
    with pytest.raises(ClientError, match="closed"):
        await server.call("a")


async def test_close_in_the_middle_of_anything_is_the_end(bench: Bench) -> None:
    for wait in (0, 20):
        server = bench.connect()
        for _ in range(wait):
            await asyncio.sleep(0)
        await server.close()
        await asyncio.sleep(60)
        assert server.state == "closed"
    server = bench.connect()
    await bench.open()
    bench.socket.end()
    await server.close()
    await asyncio.sleep(60)
    assert server.state == "closed"


async def test_close_by_who_is_told_that_it_connects_opens_nothing(bench: Bench) -> None:
    server = bench.connect()
    await bench.open()
    off = server.on("state", lambda state: state == "connecting" and server._link.finish(1000, ""))
    bench.socket.end()
    await asyncio.sleep(60)
    assert server.state == "closed" and len(bench.sockets) == 1
    off()


async def test_a_server_that_does_not_answer_a_close_is_cut(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    socket.close = lambda: None  # type: ignore[method-assign]
    start = bench.loop.now
    await server.close(timeout=3)
    assert socket.end_of_ours == "cut"
    assert bench.loop.now - start == pytest.approx(3)


async def test_a_handler_may_close_its_client(bench: Bench) -> None:
    server = bench.connect()
    ended: list[str] = []

    @server.on("bye")
    async def bye() -> None:
        await server.close()
        ended.append(server.state)

    (await bench.open()).say({"type": "json", "event": "bye"})
    await settle()
    assert ended == ["closed"]


@pytest.mark.slow
async def test_ten_thousand_lost_connections_leave_nothing_behind(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)  # else pytest keeps what is logged
    server = bench.connect()
    heard: list[Any] = []
    for name in ("one", "two"):
        server.join(name, presence=True).on("message", heard.append)
    counts = []
    for n in range(10_000):
        socket = await bench.open()
        heard.clear()
        for join in socket.take():
            socket.answer(join, {"epoch": "e", "offset": n, "resumed": True, "messages": []})
        socket.say({"type": "json", "room": "one", "offset": n + 1, "data": n})
        assert heard == [n]
        call = Fate(server.call("never answered"))
        await asyncio.sleep(0)
        socket.end()
        assert await call.now() == ("connection lost", True)
        server.retry()
        bench.sockets.clear()
        if n in (1_000, 9_999):
            gc.collect()
            counts.append((len(gc.get_objects()), bench.loop.timers, len(asyncio.all_tasks())))
            bench.states.clear()
    (before, *rest), (after, *rest_after) = counts
    assert rest == rest_after
    assert after - before < 1_000  # of the 9,000 connections none has left an object
