"""Applications that call in a loop without end: whatever they call, others have their turn."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from glyph_fast import Server
from glyph_fast.asgi import endless
from glyph_fast.asgi.endless import Vain
from tests.asgi.apps import body, get, only, serving, start, upgrade
from tests.running import running

ACCEPT = {"type": "websocket.accept"}
CALLS = 1000
TURNS = CALLS // 64 - 2  # that others have meanwhile, at the least


@pytest.fixture(autouse=True)
def moments_are_short(monkeypatch):
    monkeypatch.setattr(endless, "PAUSE_S", 0)


async def turns_of_others(call, *args):
    """Call so often; how many turns others had meanwhile."""
    turns, is_over = 0, False

    async def count():
        nonlocal turns
        while not is_over:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for _ in range(CALLS):
        with suppress(OSError, RuntimeError, ValueError, TypeError):
            await call(*args)
    is_over = True
    await counting
    return turns


def hint():
    return {"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]}


def trailers():
    return {"type": "http.response.trailers", "headers": (), "more_trailers": True}


def from_file(path):
    return {"type": "http.response.zerocopysend", "file": path, "count": 1, "more_body": True}


@pytest.mark.parametrize(
    ("method", "path", "first", "message"),
    [
        ("HEAD", "/", [start()], body(b"x" * 100, more=True)),
        ("GET", "/", [start()], body(b"", more=True)),
        ("GET", "/", [start(204)], body(b"x", more=True)),
        ("GET", "/healthz", [start(404)], body(b"x", more=True)),  # in whose place ours is
        ("GET", "/", [], hint()),
        ("GET", "/", [start(trailers=True), body(b"x")], trailers()),
        ("GET", "/", [start(), body(b"x")], body(b"too late")),
        ("GET", "/", [start()], body("no bytes", more=True)),
        ("GET", "/", [start()], start()),
    ],
    ids=["head", "empty", "204", "replaced", "hints", "trailers", "late", "type", "twice"],
)  # fmt: skip
def test_sending_without_end_leaves_others_their_turns(backend, run, method, path, first, message):
    async def main():
        turns = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            for each in first:
                await send(each)
            turns.set_result(await turns_of_others(send, message))

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get(path, method=method))
            assert await turns >= TURNS
            await peer.close()

    run(main())


def test_so_does_a_file_that_is_sent_without_end(backend, run, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)

    async def main():
        turns = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await send(start())
            with path.open("rb") as file:
                turns.set_result(await turns_of_others(send, from_file(file)))

        async with serving(only("http", app), backend) as url:
            peer = await url.peer()
            peer.write(get(method="HEAD"))
            assert await turns >= TURNS
            await peer.close()

    run(main())


async def ask_and_leave(url, request):
    """A client that is gone while it is being answered."""
    peer = await url.peer()
    peer.write(request)
    await asyncio.sleep(0.05)
    peer.reset()


@pytest.mark.parametrize("calls", ["receive", "send"])
def test_calls_after_the_client_has_gone_leave_others_their_turns(backend, run, calls):
    async def main():
        turns = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            assert (await receive())["type"] == "http.disconnect"
            call = (receive,) if calls == "receive" else (send, start())
            turns.set_result(await turns_of_others(*call))

        async with serving(only("http", app), backend) as url:
            await ask_and_leave(url, get())
            assert await turns >= TURNS

    run(main())


@pytest.mark.parametrize("first", [[], [ACCEPT]], ids=["connecting", "accepted"])
@pytest.mark.parametrize("calls", ["receive", "send"])
def test_the_same_holds_for_a_websocket(backend, run, first, calls):
    async def main():
        turns = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            for each in first:
                await send(each)
            assert (await receive())["type"] == "websocket.disconnect"
            message = {"type": "websocket.send", "text": "x"} if first else ACCEPT
            call = (receive,) if calls == "receive" else (send, message)
            turns.set_result(await turns_of_others(*call))

        async with serving(only("websocket", app), backend) as url:
            await ask_and_leave(url, upgrade())
            assert await turns >= TURNS

    run(main())


@pytest.mark.parametrize("piece", [b"", b"x" * 100], ids=["empty", "bytes"])
def test_a_refusal_without_end_leaves_others_their_turns(backend, run, piece):
    async def main():
        turns = asyncio.get_running_loop().create_future()

        async def app(scope, receive, send):
            await receive()
            await send({"type": "websocket.http.response.start", "status": 403})
            kind = "websocket.http.response.body"
            message = {"type": kind, "body": piece, "more_body": True}
            turns.set_result(await turns_of_others(send, message))

        async with serving(only("websocket", app), backend) as url:
            peer = await url.peer()
            peer.write(upgrade())
            assert await turns >= TURNS
            await peer.close()

    run(main())


@pytest.mark.parametrize("is_hint", [True, False], ids=["hints", "refusal"])
def test_what_is_sent_without_end_waits_for_a_client_that_does_not_read(backend, run, is_hint):
    """Hints, and the refusal of a WebSocket in pieces; bodies are judged in `test_http`."""

    async def main():
        sent = 0
        large = b"x" * 65536
        message = {"type": "websocket.http.response.body", "body": large, "more_body": True}
        if is_hint:
            message = {"type": "http.response.early_hint", "links": [large]}

        async def app(scope, receive, send):
            nonlocal sent
            if not is_hint:
                await receive()
                await send({"type": "websocket.http.response.start", "status": 403})
            with pytest.raises(OSError):
                while sent < 600:
                    await send(message)
                    sent += 1

        server = Server()
        server.mount("/", only("http" if is_hint else "websocket", app))
        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(get() if is_hint else upgrade())
            await peer.reader.read(1)
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.1)
            assert 0 < sent < 500
            peer.reset()

    run(main())


@pytest.mark.parametrize("call", [Vain.received, Vain.sent])
def test_the_first_calls_in_vain_wait_for_nothing_and_each_one_more_longer(run, monkeypatch, call):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(endless.asyncio, "sleep", sleep)
    monkeypatch.setattr(endless, "PAUSE_S", 10)

    async def main():
        vain = Vain()
        for _ in range(endless.AT_ONCE + 9):
            await call(vain)

    run(main())
    assert slept == [10, 20, 30, 40, 50, 60, 60, 60, 60]


def test_sends_of_many_tasks_that_were_in_vain_wait_for_nothing(run, monkeypatch):
    monkeypatch.setattr(endless, "PAUSE_S", 3600)

    async def main():
        vain = Vain()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            for _ in range(1000):
                tasks.create_task(vain.sent())

    run(main())
