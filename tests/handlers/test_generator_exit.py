"""GeneratorExit out of a program's function is a failure like any other: nobody is left waiting.

It also ends a coroutine that nobody awaits any more, and that is no failure of anybody's.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from glyph_fast import Response, Server
from glyph_fast.handlers.outcome import outcome
from tests.running import running

KINDS = ["at once", "at its start", "later"]


def raising(kind, *, told=None):
    """A function that raises GeneratorExit, in one of the ways."""

    def at_once(*args):
        raise GeneratorExit

    async def at_its_start(*args):
        raise GeneratorExit

    async def later(*args):
        await asyncio.sleep(0.001)
        raise GeneratorExit

    return {"at once": at_once, "at its start": at_its_start, "later": later}[kind]


def failing(kind):
    """A server every function of which raises it."""
    server = Server()
    function = raising(kind)
    server.get("/get")(lambda request: function())
    server.post("/post")(function)

    async def pieces():
        raise GeneratorExit
        yield ""

    server.get("/pieces")(lambda request: Response(pieces()))
    server.on_event("fail")(function)
    server.on_join("*")(function)
    server.on_event("alive")(lambda ctx: ctx.reply_json("alive"))
    return server


@pytest.mark.parametrize("kind", KINDS)
def test_http_requests_are_answered(backend, run, kind):
    async def main():
        server = failing(kind)
        async with running(server, backend) as url:
            for path, method in [("/get", "GET"), ("/post", "POST"), ("/pieces", "GET")]:
                async with asyncio.timeout(5):
                    status, _, body = await url.get(path, method)
                assert (status, json.loads(body)) == (500, {"error": "internal server error"})
            assert server.hub.metrics.handler_errors == 3

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_an_upgrade_is_refused(backend, run, kind):
    async def main():
        server = Server()
        server.authenticate(raising(kind))
        async with running(server, backend) as url:
            with pytest.raises(InvalidStatus) as caught:
                async with asyncio.timeout(5):
                    await connect(url.ws("/ws"))
            assert caught.value.response.status_code == 500
            assert server.hub.metrics.handler_errors == 1

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_messages_are_answered_and_the_connection_goes_on(backend, run, kind):
    async def main():
        server = failing(kind)
        async with running(server, backend) as url, connect(url.ws("/ws")) as client:
            for message in ({"event": "fail", "id": 1}, {"type": "join_room", "room": "r"}):
                await client.send(json.dumps(message))
            await client.send('{"event":"alive","id":2}')
            async with asyncio.timeout(5):
                while json.loads(await client.recv()).get("id") != 2:
                    pass
            assert server.hub.metrics.handler_errors == 2

    run(main())


@pytest.mark.parametrize("kind", KINDS)
def test_the_handlers_behind_one_of_the_end_are_called(backend, run, kind):
    async def main():
        server, told = Server(), asyncio.Event()
        server.on_connect(raising(kind))
        server.on_disconnect(raising(kind))
        server.on_disconnect(lambda conn: told.set())
        async with running(server, backend) as url:
            async with connect(url.ws("/ws")):
                pass
            async with asyncio.timeout(5):
                await told.wait()
            assert server.hub.metrics.handler_errors == 2

    run(main())


def test_a_background_task_is_started_again(backend, run, monkeypatch):
    monkeypatch.setattr("glyph_fast.server.background.FIRST_BACKOFF_S", 0.001)

    async def main():
        server, starts = Server(), asyncio.Queue()

        @server.background
        async def work():
            starts.put_nowait(1)
            raise GeneratorExit

        async with running(server, backend):
            async with asyncio.timeout(5):
                await starts.get()
                await starts.get()

    run(main())


def test_a_coroutine_that_is_thrown_away_ends_and_does_not_go_on():
    went_on = []

    async def handler():
        await asyncio.sleep(1)

    async def caller():
        await outcome(handler)
        went_on.append("after")

    async def main():
        coro = caller()
        task = asyncio.ensure_future(asyncio.sleep(0))
        coro.send(None)  # as a task that the loop has lost would have done
        coro.close()
        await task

    asyncio.run(main())
    assert went_on == []
