"""`on_close`: what a client that asks to close is answered, and when."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect

from glyph_fast import Config, ConnectionClosed, Server
from tests.running import running


async def closed(client, timeout=5):
    """Wait for the end; the code and the reason that the server said."""
    await asyncio.wait_for(client.wait_closed(), timeout)
    received = client.protocol.close_rcvd
    return None if received is None else (received.code, received.reason)


async def told(queue):
    return await asyncio.wait_for(queue.get(), 5)


def server_with(handler, **options):
    """A server with that `on_close`, and a queue of what `on_disconnect` is told."""
    server, ends = Server(Config(**options)), asyncio.Queue()
    server.on_close(handler)
    server.on_disconnect(lambda conn, code, reason: ends.put_nowait((code, reason)))
    return server, ends


def test_a_program_chooses_the_answer_to_a_close(backend, run):
    async def main():
        asked = []

        def answer(conn, code, reason):
            asked.append((code, reason, conn.is_open))
            conn.close(4001, f"not {reason}")

        server, ends = server_with(answer)
        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"))
            await client.close(4000, "done")
            assert await closed(client) == (4001, "not done")
            assert asked == [(4000, "done", False)]
            assert await told(ends) == (4000, "done")

    run(main())


def test_a_program_delays_the_answer_which_is_an_echo_then(backend, run):
    async def main():
        go_on, events = asyncio.Event(), []

        async def answer(conn):
            events.append("asked")
            with pytest.raises(ConnectionClosed):
                conn.send("late")
            await go_on.wait()
            events.append("answered")

        server, ends = server_with(answer)
        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"), close_timeout=10)
            closing = asyncio.create_task(client.close(4000, "done"))
            while not events:
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.05)
            assert not closing.done() and len(server.hub) == 1
            go_on.set()
            await closing
            assert await closed(client) == (4000, "done")
            assert await told(ends) == (4000, "done")
            assert events == ["asked", "answered"]

    run(main())


def test_messages_before_the_close_are_handled_first(backend, run):
    async def main():
        events = []
        server, ends = server_with(lambda conn: events.append("close"))

        @server.on_message
        async def slow(ctx):
            await asyncio.sleep(0.01)
            events.append(ctx.message.data)

        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"))
            await client.send("one")
            await client.send("two")
            await client.close()
            await told(ends)
            assert events == ["one", "two", "close"]

    run(main())


def test_a_program_that_does_not_answer_has_the_close_timeout(backend, run):
    async def main():
        async def never(conn):
            await asyncio.Event().wait()

        server, ends = server_with(never, close_timeout=0.2, handler_grace=0.1)
        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"), close_timeout=10)
            await client.close(4000, "done")
            assert await closed(client) == (4000, "done")
            assert await told(ends) == (4000, "done")  # what still ran was cancelled

    run(main())


def test_a_handler_that_fails_is_reported_and_the_close_echoed(backend, run):
    async def main():
        def fail(conn):
            raise LookupError("in on_close")

        server, ends = server_with(fail)
        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"))
            await client.close(4000, "done")
            assert await closed(client) == (4000, "done")
            await told(ends)
            assert server.hub.metrics.handler_errors == 1

    run(main())


def test_a_client_that_does_not_wait_for_the_answer_is_gone(backend, run):
    async def main():
        cancelled = asyncio.Event()

        async def never(conn):
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        server, ends = server_with(never, handler_grace=0.05)
        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"), close_timeout=0.05)
            await client.close(4000, "done")
            assert await told(ends) == (4000, "done")
            assert cancelled.is_set() and len(server.hub) == 0

    run(main())


def test_it_may_be_for_one_route(backend, run):
    async def main():
        server = Server()
        server.on_close(route="/a")(lambda conn: conn.close(4001))
        server.websocket("/b")
        async with running(server, backend) as url:
            for path, code in [("/a", 4001), ("/b", 4000)]:
                client = await connect(url.ws(path))
                await client.close(4000)
                assert await closed(client) == (code, "")

    run(main())


def test_a_server_that_stops_does_not_wait_for_it(backend, run):
    async def main():
        asked = asyncio.Event()

        async def never(conn):
            asked.set()
            await asyncio.Event().wait()

        server, ends = server_with(never, handler_grace=0.05)
        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"), close_timeout=10)
            closing = asyncio.create_task(client.close(4000))
            await asked.wait()
            await server.shutdown()
            await closing
            assert await closed(client) == (1001, "server is shutting down")
            assert await told(ends) == (4000, "")

    run(main())
