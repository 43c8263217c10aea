"""`TestWebSocket`: messages, ends and faults."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast import ConnectionClosed, Server
from glyph_fast.testing import TestClient
from tests.running import echo_server

pytestmark = pytest.mark.both_cores


class TestMessages:
    def test_every_kind_comes_back(self, run):
        async def main():
            async with TestClient(echo_server()) as client:
                ws = await client.connect()
                await ws.send("é")
                assert await ws.receive_text() == "é"
                await ws.send(b"\x00\xff" * 200_000)
                assert await ws.receive_bytes() == b"\x00\xff" * 200_000
                await ws.send_json({"a": [1, None]})
                assert await ws.receive_json() == {"a": [1, None]}
                for n in range(5):
                    await ws.send(str(n))
                await client.settle()
                await ws.close()
                assert [each async for each in ws] == list("01234")

        run(main())

    def test_the_wrong_kind_fails_with_what_came(self, run):
        async def main():
            async with TestClient(echo_server()) as client:
                ws = await client.connect()
                await ws.send("text")
                with pytest.raises(AssertionError, match="got the text 'text'"):
                    await ws.receive_bytes()
                await ws.send(b"bytes")
                with pytest.raises(AssertionError, match="binary message b'bytes'"):
                    await ws.receive_text()
                await ws.send("no json")
                with pytest.raises(AssertionError, match="expected JSON, got 'no json'"):
                    await ws.receive_json()

        run(main())

    def test_expecting_nothing_fails_when_something_comes(self, run):
        async def main():
            async with TestClient(echo_server()) as client:
                ws = await client.connect()
                await ws.expect_nothing()
                await ws.send("here")
                with pytest.raises(AssertionError, match="expected nothing at /ws, got 'here'"):
                    await ws.expect_nothing()
                assert ws.unread == ["here"]

        run(main())

    def test_a_sender_waits_while_the_server_does_not_read(self, run):
        server = Server()
        gate = asyncio.Event()
        heard = []

        @server.on_message()
        async def slow(ctx):
            heard.append(ctx.message.raw)
            await gate.wait()

        async def main():
            async with TestClient(server, inbox_messages=2) as client:
                ws = await client.connect()
                with pytest.raises(TimeoutError, match="not read by the server .*does not read"):
                    for n in range(1000):
                        await ws.send(f"{n} ".ljust(1000), timeout=0.05)
                assert ws.is_paused and len(heard) == 1
                gate.set()
                await ws.send("last")
                await ws.close()
                await client.settle()
                assert [text.split()[0] for text in heard] == [*map(str, range(n)), "last"]

        run(main())


class TestEnds:
    def test_the_server_closes(self, run):
        server = Server()

        @server.on_message()
        def bye(ctx):
            ctx.conn.send("last words")
            ctx.conn.close(4000, "enough")

        async def main():
            async with TestClient(server) as client:
                ws = await client.connect()
                await ws.send("x")
                assert await ws.expect_close(4000) == (4000, "enough")
                assert await ws.receive() == "last words"
                for use in (ws.receive(), ws.send("more")):
                    with pytest.raises(ConnectionClosed) as caught:
                        await use
                    assert (caught.value.code, caught.value.reason) == (4000, "enough")
                with pytest.raises(AssertionError, match="expected close code 1000"):
                    await ws.expect_close(1000)

        run(main())

    def test_the_client_closes(self, run):
        server = echo_server()
        ends = []
        server.on_disconnect(lambda conn, code, reason: ends.append((code, reason)))

        async def main():
            async with TestClient(server) as client:
                ws = await client.connect()
                assert await ws.close(4001, "home") == (4001, "home")
                assert ends == [(4001, "home")]
                assert await ws.close() == (4001, "home")

        run(main())

    @pytest.mark.parametrize("is_stalled", [False, True])
    def test_a_dropped_connection_ends_once_with_1006(self, run, is_stalled):
        server = echo_server()
        ends = []
        server.on_disconnect(lambda conn, code: ends.append(code))

        async def main():
            async with TestClient(server) as client:
                ws = await client.connect()
                await ws.send("lost on the way")
                if is_stalled:
                    ws.stall()
                ws.drop()
                await ws.expect_close(1006)
                assert ends == [1006] and not client.hub.get_connections()
                with pytest.raises(ConnectionClosed):
                    await ws.receive()

        run(main())


class TestStalling:
    def test_pings_of_a_stalled_client_find_no_answer(self, run):
        async def main():
            async with TestClient(echo_server(), ping_interval="30s") as client:
                ws = await client.connect()
                ws.stall(takes=100)
                await client.advance(65)
                assert ws.connection.missed_pongs == 2
                ws.resume()
                await client.settle()
                assert ws.connection.missed_pongs == 0

        run(main())

    def test_what_waited_comes_when_it_reads_again(self, run):
        async def main():
            async with TestClient(echo_server()) as client:
                ws = await client.connect()
                ws.stall(takes=7)
                for n in range(20):
                    client.hub.broadcast(f"message {n}")
                await ws.expect_nothing()
                assert ws.connection.queued_messages == 20
                ws.trickle(30)
                await client.settle()
                assert 0 < ws.connection.queued_messages < 20
                await ws.expect_nothing()
                ws.resume()
                assert [await ws.receive() for _ in range(20)] == [
                    f"message {n}" for n in range(20)
                ]

        run(main())

    def test_under_block_the_publisher_is_read_no_more(self, run):
        server = Server()

        @server.on_message()
        def tell(ctx):
            server.hub.broadcast(ctx.message.raw, exclude=ctx.conn)

        async def main():
            async with TestClient(server, queue_policy="block", queue_messages=5) as client:
                publisher, slow = await client.connect_many(2)
                slow.stall()
                for n in range(50):
                    await publisher.send(str(n))
                    await client.settle()
                assert publisher.is_paused and slow.connection.queued_messages < 10
                slow.resume()
                assert [await slow.receive() for _ in range(50)] == [str(n) for n in range(50)]
                assert not publisher.is_paused

        run(main())

    def test_a_slow_consumer_is_disconnected_if_that_is_the_policy(self, run):
        async def main():
            options = {"queue_policy": "disconnect", "queue_messages": 5}
            async with TestClient(echo_server(), **options) as client:
                ws = await client.connect()
                ws.stall()
                for n in range(6):
                    client.hub.broadcast(str(n))
                ws.resume()
                await ws.expect_close(4008)

        run(main())
