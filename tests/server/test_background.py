"""Background tasks: begun before clients can connect, kept running, cancelled at the end."""

from __future__ import annotations

import asyncio
import socket

from websockets.asyncio.client import connect

from glyph_fast.options.config import Config
from glyph_fast.server import background, lifecycle
from glyph_fast.server.background import SERVER, Background, Wanted
from tests.engine.peers import UPGRADE, eventually
from tests.running import echo_server, running
from tests.wired import masked


def test_background_tasks_have_begun_before_a_client_is_served(backend, run):
    async def main():
        server = echo_server()
        log = []
        server.on_message()(lambda ctx: log.append(ctx.message.data))

        @server.background
        async def begin():
            log.append("background")
            await asyncio.Event().wait()

        clients = []

        def announce(line):
            """The first that can know the port, before the loop goes on."""
            port = int(line.rsplit(":", 1)[1])
            client = socket.create_connection(("127.0.0.1", port), timeout=10)
            client.sendall(UPGRADE % b"/ws" + b"".join(masked(f"{n}") for n in range(50)))
            clients.append(client)

        task = asyncio.create_task(server.serve(announce=announce, port=0, engine=backend.engine))
        await eventually(lambda: len(log) > 50)
        assert log == ["background", *(str(n) for n in range(50))]
        clients[0].close()
        await server.shutdown()
        await task

    run(main())


def test_what_fails_at_once_does_not_keep_a_server_from_starting(run):
    async def main():
        failed = []

        async def broken():
            raise KeyError("x")

        tasks = Background(
            [Wanted(broken, SERVER)], lambda function, exc: failed.append((function, exc))
        )
        await tasks.start()
        assert [(function, str(exc)) for function, exc in failed] == [(broken, "'x'")]
        await tasks.cancel(1.0)

    run(main())


def test_a_background_task_that_fails_is_started_again(backend, run, monkeypatch, caplog):
    monkeypatch.setattr(background, "FIRST_BACKOFF_S", 0.001)

    async def main():
        starts = []
        server = echo_server()

        @server.background
        async def flaky():
            starts.append(1)
            if len(starts) < 4:
                raise LookupError("not yet")
            await asyncio.Event().wait()

        async with running(server, backend):
            await eventually(lambda: len(starts) == 4)
        assert server.hub.metrics.handler_errors == 3

    run(main())
    assert "LookupError: not yet" in caplog.text


def test_a_background_task_that_cannot_wait_runs_once_and_is_told_of(backend, run, caplog):
    async def main():
        runs = []
        server = echo_server()
        server.background(lambda: runs.append(1))
        async with running(server, backend):
            await eventually(lambda: server.hub.metrics.handler_errors == 1)
            assert runs == [1]

    run(main())
    assert "a background task is an `async def`" in caplog.text


def test_a_background_task_that_returns_is_done(backend, run):
    async def main():
        runs = []
        server = echo_server()

        @server.background()
        async def once():
            runs.append(1)

        async with running(server, backend) as url:
            await eventually(lambda: runs)
            await url.get("/healthz")
        assert runs == [1]

    run(main())


def test_a_background_task_may_broadcast(backend, run):
    async def main():
        server = echo_server()

        @server.background
        async def tick():
            while True:
                server.hub.broadcast("tick")
                await asyncio.sleep(0.005)

        async with running(server, backend) as url:
            async with connect(url.ws("/ws")) as client:
                assert await client.recv() == "tick"
                assert await client.recv() == "tick"

    run(main())


def test_a_background_task_that_does_not_end_takes_no_time_from_the_connections(
    backend, run, monkeypatch
):
    monkeypatch.setattr(lifecycle, "BACKGROUND_GRACE_S", 0.01)

    async def main():
        server = echo_server(Config(drain_timeout=60))  # more than the test may take
        closed = asyncio.Event()
        events = []

        @server.background
        async def stubborn():
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await closed.wait()
                events.append("tidied up")

        async with running(server, backend) as url:
            async with connect(url.ws("/ws")) as client:
                end = asyncio.create_task(server.shutdown())
                await client.wait_closed()
                assert client.close_code == 1001
                closed.set()
                await end
        assert events == ["tidied up"]

    run(main())
