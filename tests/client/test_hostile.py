"""A server that means harm: its client raises errors of ours, logs lines, and stays small."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from glyph_fast.client import Client, connect
from glyph_fast.client import websocket as module
from glyph_fast.client.handlers import MOST_WAITING
from glyph_fast.client.presence import MOST_MEMBERS
from tests.client.fake import Bench, FakeSocket, Fate, Watched, settle
from tests.client.served import Heard, answer, asked, talk, text

VALUES: list[Any] = [
    *(None, True, False, 0, 7, -1, 1.5, 10**30, "x", "", [], [1], [None], [[]], {}, {"a": 1}),
    *([{}], [{"offset": "x"}], [{"offset": 3}], [{"id": 1}], {"epoch": "e", "offset": 5}),
]
PLACES: list[dict[str, Any]] = [
    {},
    {"epoch": "e", "offset": 5},
    {"epoch": "f", "offset": 1},
    {"epoch": "e", "offset": True},
    {"epoch": "e", "offset": -(10**30)},
]
MEMBERS = "messages presence resumed lost more members version clients users joined left".split()


def shapes() -> Iterator[Any]:
    yield from VALUES
    for place in PLACES:
        for name in MEMBERS:
            for value in VALUES:
                yield {**place, name: value}


def answer_all(socket: FakeSocket, data: Any, *, times: int = 3) -> None:
    """Answer whatever was asked by the same, and what is asked for then."""
    for _ in range(times):
        for question in socket.take():
            socket.answer(question, data)


async def test_an_answer_of_any_shape_joins_a_room_or_not(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    for data in shapes():
        room = server.join("r", history=3, presence=True)
        answer_all(socket, data)
        socket.say({"type": "presence", "room": "r", "data": data})
        socket.say({"type": "room_reset", "room": "r", "data": data})
        answer_all(socket, data)
        room.leave()
        socket.take()
    assert server.state == "open"


async def test_an_answer_of_any_shape_fills_a_gap_or_not(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    for data in shapes():
        room = server.join("r", history=3)
        socket.answer(socket.take_one(), {"epoch": "e", "offset": 1})
        for offset in (5, True, 10**30, -4, 0, 1.5):
            socket.say({"type": "json", "room": "r", "data": 1, "offset": offset})
            answer_all(socket, data)
        room.leave()
        socket.take()
    assert server.state == "open"


async def test_what_is_asked_for_fails_by_an_error_of_ours_or_not_at_all(bench: Bench) -> None:
    room = bench.connect().join("r")
    socket = await bench.open()
    socket.answer(socket.take_one(), {"epoch": "e", "offset": 1})
    for data in shapes():
        history, published = Fate(room.history()), Fate(room.publish(1))
        await settle()
        answer_all(socket, data, times=1)
        assert isinstance(await history.now(), list)
        assert not isinstance(await published.now(), (BaseException, str))
        answer_all(socket, {"epoch": "e", "offset": 10**31})


async def test_an_error_of_any_shape_is_an_error(bench: Bench) -> None:
    server = bench.connect()
    socket = await bench.open()
    deep: Any = 1
    for _ in range(900):
        deep = [deep]
    for said in (*VALUES, deep):
        for data in (said, {"error": said}):
            call = Fate(server.call("x"))
            await settle()
            question = socket.take_one()
            socket.say({"type": "error", "data": data, "target": "me", "id": question["id"]})
            is_text = data == {"error": "x"}
            assert await call.now() == ("x" if is_text else "error", False)


async def test_a_part_that_leads_no_further_is_not_asked_for_again(bench: Bench) -> None:
    server = bench.connect()
    server.join("r")
    socket = await bench.open()
    socket.answer(socket.take_one(), {"epoch": "e", "offset": 1})
    socket.say({"type": "json", "room": "r", "data": 1, "offset": 5})
    part = {"epoch": "e", "offset": 9, "more": True, "messages": [{"data": 1, "offset": 1}]}
    socket.answer(socket.take_one(), part)
    assert socket.take() == []


async def test_reasons_and_errors_command_no_terminal(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    server = bench.connect(token=lambda: "t")
    socket = await bench.open()
    with caplog.at_level(logging.INFO, "glyph_fast.client"):
        server._failed(Exception("\x1b[2J\nINFO all is well"))
        socket.end(1001, "\x1b[2Jgone\r\nINFO all is well")
        await bench.next(socket)
        bench.socket.end(4000, "\x1b]0;gone\x07")
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines), lines


async def test_a_flood_of_resets_asks_one_question(bench: Bench) -> None:
    server = bench.connect()
    for name in ("joined", "joining"):
        server.join(name, history=3)
    socket = await bench.open()
    socket.answer(socket.take()[0], {"epoch": "e", "offset": 1})
    for n in range(1000):
        place = {"epoch": f"e{n}", "offset": 1}
        socket.say({"type": "room_reset", "room": "joined", "data": place})
        socket.say({"type": "room_reset", "room": "joining", "data": place})
    assert len(server._questions) <= 3
    late = socket.take()[0]
    heard: list[Any] = []
    server.on("message", heard.append)
    socket.answer(late, {"epoch": "e", "offset": 1})
    assert heard == []


async def test_gaps_in_presence_ask_one_question(bench: Bench) -> None:
    server = bench.connect()
    watched = Watched(server.join("r", presence=True))
    socket = await bench.open()
    socket.answer(socket.take_one(), {"presence": {"version": 1, "members": []}})
    for version in range(3, 1000, 2):
        socket.say({"type": "presence", "room": "r", "data": {"version": version}})
    socket.answer(socket.take_one(), {"version": 999, "members": [{"id": "a"}]})
    assert watched.log[-1] == "a 1/1"
    socket.say({"type": "presence", "room": "r", "data": {"version": 1005}})
    socket = await bench.again()
    socket.answer(socket.take_one(), {"presence": {"version": 1, "members": []}})
    socket.say({"type": "presence", "room": "r", "data": {"version": 9}})
    assert socket.take_one()["type"] == "presence"


async def test_a_room_lists_so_many_members_and_no_more(bench: Bench) -> None:
    room = bench.connect().join("r", presence=True)
    socket = await bench.open()
    many = [{"id": str(n)} for n in range(MOST_MEMBERS + 5)]
    socket.answer(socket.take_one(), {"presence": {"version": 1, "members": many}})
    assert len(room.members) == MOST_MEMBERS
    change = {"version": 2, "joined": [{"id": "one more"}]}
    socket.say({"type": "presence", "room": "r", "data": change})
    assert len(room.members) == MOST_MEMBERS


@pytest.mark.parametrize("event", ["reset", "presence"])
async def test_what_a_slow_handler_of_a_room_misses_is_told(bench: Bench, event: str) -> None:
    room = bench.connect().join("r", presence=True)

    async def slow(*_: object) -> None:
        await asyncio.sleep(3600)

    room.on(event, slow)
    socket = await bench.open()
    socket.answer(socket.take_one(), {"epoch": "e", "offset": 1})
    for n in range(MOST_WAITING + 100):
        place = {"epoch": f"e{n}", "offset": 1}
        socket.say({"type": "room_reset", "room": "r", "data": place})
        socket.say({"type": "presence", "room": "r", "data": {"version": n + 1, "clients": 1}})
        await asyncio.sleep(0)
    assert room._handlers.backlog <= MOST_WAITING
    assert bench.errors == [f"a handler of {event!r} is too slow: it misses what comes"]


def ping(payload: bytes) -> bytes:
    return bytes([0x89, len(payload)]) + payload


@pytest.mark.both_cores
def test_pings_of_a_server_that_does_not_read_take_no_memory(run: Any) -> None:
    sizes: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(3000):  # a read each, of which all pings are answered
            writer.write(ping(b"p" * 125) * 30)
            await writer.drain()
            await asyncio.sleep(0)
        writer.write(text("done"))
        await writer.drain()
        await until
        writer.transport.abort()  # type: ignore[attr-defined]

    class Weighing(Heard):
        def heard(self, payload: str | bytes) -> None:
            super().heard(payload)
            sizes.append(self.socket.unsent)
            until.set_result(None)

    async def main() -> list[Any]:
        nonlocal until
        until = asyncio.get_running_loop().create_future()
        return (await talk(serve, Weighing()))[0]

    until: asyncio.Future[None]
    log = run(main())
    assert log[:2] == ["opened", "done"]
    assert sizes[0] < 1 << 19  # of 11 MB of pongs


def test_a_server_that_reads_no_answers_is_heard_again_once_it_does(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_UNTAKEN", 1 << 20)
    call = '{"event":"echo","id":"1","data":"%s"}' % ("x" * 60_000)
    frame = b"\x81\x7e" + len(call).to_bytes(2) + call.encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        said = taken = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(1):  # of not being heard
                while said < 1000:
                    said += 1
                    writer.write(frame)
                    await writer.drain()
        assert said < 1000
        held.set_result(client._link.unsent)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        while taken < said * 60_000 and (chunk := await reader.read(1 << 16)):
            taken += len(chunk)
        writer.close()
        all_taken.set()

    async def main() -> int:
        nonlocal client, held
        held = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/ws", compression=False) as client:
            client.on("echo", lambda data: data)
            most = await held
            await all_taken.wait()
        server.close()
        return most

    client: Client
    held: asyncio.Future[int]
    all_taken = asyncio.Event()
    assert run(main()) < 4 << 20
