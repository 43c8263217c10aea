"""`TestClient`: a run of a server in memory, its options, its errors and its time."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast import Config, MessageType, Reject, Server
from glyph_fast.testing import TestClient, UpgradeRefused

pytestmark = pytest.mark.both_cores


def echo_server(config: Config | None = None) -> Server:
    server = Server(config)

    @server.on_message()
    def echo(ctx):
        if ctx.message.raw == "fail":
            raise ValueError("as asked")
        ctx.conn.send(ctx.message.raw)

    return server


class TestRunning:
    def test_start_up_background_and_shut_down_run_once(self, run):
        seen = []
        server = echo_server()
        server.on_startup(lambda: seen.append("startup"))
        server.on_shutdown(lambda: seen.append("shutdown"))

        @server.on_disconnect
        def bye(conn, code):
            seen.append(code)

        @server.background
        async def work():
            seen.append("background")
            try:
                await asyncio.sleep(3600)
            finally:
                seen.append("cancelled")

        async def main():
            async with TestClient(server) as client:
                await client.connect()

        run(main())
        assert seen == ["startup", "background", "cancelled", 1001, "shutdown"]

    def test_what_the_start_raises_is_raised(self, run):
        server = echo_server()

        @server.on_startup
        def fail():
            raise OSError("no database")

        async def main():
            with pytest.raises(OSError, match="no database"):
                async with TestClient(server):
                    pytest.fail("it has started")

        run(main())

    def test_options_are_for_one_run(self, run):
        server = echo_server(Config(max_message_size=1000))

        async def main():
            async with TestClient(server, max_message_size=10) as client:
                ws = await client.connect()
                await ws.send("x" * 11)
                await ws.expect_close(1009)
            assert server.config.max_message_size == 1000
            async with TestClient(server) as client:
                ws = await client.connect()
                await ws.send("x" * 11)
                assert await ws.receive() == "x" * 11

        run(main())

    def test_clients_that_hang_do_not_hold_up_the_end(self, run):
        async def main():
            async with TestClient(echo_server(), write_timeout="10s") as client:
                ws = await client.connect()
                ws.stall()
                client.hub.broadcast("x")
                await client.settle()
            assert (await ws.expect_close(1001)).reason

        run(main())

    def test_a_client_outside_of_its_with_says_so(self, run):
        async def main():
            with pytest.raises(RuntimeError, match="async with"):
                await TestClient(echo_server()).connect()

        run(main())

    def test_an_operators_port_is_not_opened(self, run):
        server = echo_server(Config(admin="127.0.0.1:1", admin_token="x"))

        async def main():
            async with TestClient(server) as client:
                await client.connect()

        run(main())


class TestErrors:
    def test_what_a_handler_raised_is_raised_at_the_end(self, run):
        async def main():
            with pytest.raises(ValueError, match="as asked"):
                async with TestClient(echo_server()) as client:
                    ws = await client.connect()
                    await ws.send("fail")
                    await ws.send("still served")
                    assert await ws.receive() == "still served"

        run(main())

    def test_several_are_raised_together(self, run):
        async def main():
            with pytest.raises(ExceptionGroup) as caught:
                async with TestClient(echo_server()) as client:
                    ws = await client.connect()
                    await ws.send("fail")
                    await ws.send("fail")
                    await client.settle()
            assert len(caught.value.exceptions) == 2

        run(main())

    def test_a_test_takes_the_errors_it_expects(self, run):
        async def main():
            async with TestClient(echo_server()) as client:
                ws = await client.connect()
                await ws.send("fail")
                await client.settle()
                assert isinstance(client.errors.pop(), ValueError)
            async with TestClient(echo_server(), raise_errors=False) as client:
                await (await client.connect()).send("fail")

        run(main())

    def test_a_failing_test_keeps_its_own_error(self, run):
        async def main():
            with pytest.raises(KeyError, match="mine"):
                async with TestClient(echo_server()) as client:
                    ws = await client.connect()
                    await ws.send("fail")
                    await client.settle()
                    raise KeyError("mine")

        run(main())

    def test_a_wait_that_ends_names_what_did_not_come_and_why(self, run):
        async def main():
            async with TestClient(echo_server(), timeout=0.05, raise_errors=False) as client:
                ws = await client.connect()
                await ws.send("fail")
                with pytest.raises(TimeoutError) as caught:
                    await ws.receive()
                assert str(caught.value) == (
                    "no message came to /ws (open) within 0.05 s\n"
                    "  a handler raised ValueError('as asked')"
                )
                ws.stall()
                with pytest.raises(TimeoutError, match="stalled: call resume"):
                    await ws.receive()
                with pytest.raises(TimeoutError, match="/ws was not closed with 4000 .* 0.01 s"):
                    await ws.expect_close(4000, timeout=0.01)

        run(main())


class TestOpening:
    def test_headers_origin_subprotocols_and_address_reach_the_server(self, run):
        server = Server(Config(subprotocols=["v2", "v1"], allowed_origins=["https://example.com"]))

        @server.authenticate
        async def who(request):
            await asyncio.sleep(0)
            return request.headers["x-user"], request.remote, request.cookies["a"]

        async def main():
            async with TestClient(server) as client:
                ws = await client.connect(
                    "/ws?x=1",
                    headers={"X-User": "ada", "Cookie": "a=b", "Host": "example.org"},
                    origin="https://example.com",
                    subprotocols=["v1", "v2"],
                    remote="203.0.113.9",
                )
                assert ws.subprotocol == "v2"
                assert ws.connection.identity == ("ada", "203.0.113.9", "b")
                assert ws.connection.request.host == "example.org"
                assert ws.connection.request.query["x"] == "1"
                with pytest.raises(UpgradeRefused) as caught:
                    await client.connect(origin="https://evil.example")
                assert caught.value.status == 403

        run(main())

    def test_a_refusal_is_the_whole_answer(self, run):
        server = Server()

        @server.authenticate
        def nobody(request):
            raise Reject(401, {"error": "who?"}, {"WWW-Authenticate": "Bearer"})

        async def main():
            async with TestClient(server) as client:
                with pytest.raises(UpgradeRefused, match="/ws: refused with 401") as caught:
                    await client.connect()
                answer = caught.value.answer
                assert (answer.status, answer.json()) == (401, {"error": "who?"})
                assert answer.headers["www-authenticate"] == "Bearer"

        run(main())

    def test_a_client_that_does_not_get_in_leaves(self, run):
        server = Server()
        never = asyncio.Event()

        @server.authenticate
        async def nobody(request):
            if request.path == "/never":
                await never.wait()
            raise Reject(403)

        server.websocket("/ws")
        server.websocket("/never")

        async def main():
            async with TestClient(server, close_timeout=60, drain_timeout=60) as client:
                for path in ("/ws", "/nowhere"):
                    with pytest.raises(UpgradeRefused):
                        await client.connect(path)
                client.timeout = 0.02
                with pytest.raises(TimeoutError, match="no answer to the handshake at /never"):
                    await client.connect("/never")
                await client.settle()
                assert len(client._serving().turn) == 0

        run(main())

    def test_what_on_connect_sends_comes_first(self, run):
        server = Server()

        @server.on_connect
        def welcome(conn):
            conn.send("welcome")

        async def main():
            async with TestClient(server) as client:
                ws = await client.connect()
                assert await ws.receive() == "welcome"

        run(main())

    def test_many(self, run):
        async def main():
            async with TestClient(echo_server()) as client:
                many = await client.connect_many(200)
                client.hub.broadcast("all")
                assert [await ws.receive() for ws in many] == ["all"] * 200

        run(main())


class TestTime:
    def test_pings_are_answered_while_time_passes(self, run):
        async def main():
            async with TestClient(echo_server(), ping_interval="30s") as client:
                ws = await client.connect()
                assert ws.connection.last_pong_time is None
                await client.advance(3600)
                assert ws.connection.last_pong_time is not None
                assert (ws.connection.missed_pongs, ws.is_open) == (0, True)
                assert ws.connection.stats["seconds"] == 3600

        run(main())

    def test_time_stands_still_otherwise(self, run):
        async def main():
            async with TestClient(echo_server(), ping_interval="1ms") as client:
                ws = await client.connect()
                await asyncio.sleep(0.02)
                assert client.hub.metrics.core.pings_sent == 0
                await client.advance(0.01)
                assert client.hub.metrics.core.pings_sent > 1
                assert ws.is_open

        run(main())


def test_rooms_events_and_http_together(run):
    server = Server()

    @server.on_event("typing")
    def typing(ctx):
        ctx.broadcast_to_room("lobby", MessageType.JSON, {"typing": ctx.message.data})

    @server.on_connect
    def join(conn):
        conn.join_room("lobby")

    @server.post("/say")
    async def say(request):
        return {"sent": server.hub.broadcast_to_room("lobby", (await request.json())["text"]).sent}

    async def main():
        async with TestClient(server) as client:
            async with await client.connect() as ada, await client.connect() as bob:
                await ada.send_event("typing", "ada")
                assert (await bob.receive_json())["data"] == {"typing": "ada"}
                await ada.expect_nothing()
                answer = await client.post("/say", json={"text": "hi"})
                assert answer.json() == {"sent": 2}
                assert await ada.receive_text() == await bob.receive_text() == "hi"
            assert not ada.is_open and len(client.hub) == 0

    run(main())
