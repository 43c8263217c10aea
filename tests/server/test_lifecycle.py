"""One run of a server: hooks, background tasks, and a drain in good order, on every backend."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from glyph_fast.errors import ConfigError, ListenError, Reject
from glyph_fast.options.config import Config
from glyph_fast.server import lifecycle
from glyph_fast.server.server import Server
from tests.backend import Backend
from tests.engine.certificates import make_certificate
from tests.engine.peers import UPGRADE, Peer, eventually
from tests.running import Run, running


def echo_server(**options) -> Server:
    server = Server(Config(**options))

    @server.on_message()
    def echo(ctx):
        ctx.conn.send(ctx.message.raw)

    return server


def test_a_client_is_served_from_the_first_line_to_the_last(backend, run):
    async def main():
        async with running(echo_server(), backend) as url:
            async with connect(url.ws("/ws")) as client:
                await client.send("hello")
                assert await client.recv() == "hello"
            assert (await url.get("/healthz"))[0] == 200
        with pytest.raises(ConnectionRefusedError):
            await url.get("/healthz")

    run(main())


def test_everything_begins_and_ends_in_order(backend, run):
    events = []
    server = Server()

    @server.on_startup
    async def started():
        events.append("on_startup")

    @server.on_startup()
    def started_too():
        events.append("on_startup, second")

    @server.background
    async def work():
        events.append("background")
        try:
            await asyncio.Event().wait()
        finally:
            events.append("background cancelled")

    @server.on_connect
    def connected(conn):
        events.append("connect")

    @server.on_disconnect
    async def disconnected(conn, code, reason):
        await asyncio.sleep(0)
        events.append(f"disconnect {code} {reason}")

    @server.on_shutdown
    def ended():
        events.append(f"on_shutdown with {len(server.hub)} connections")

    async def main():
        async with running(server, backend) as url:
            async with connect(url.ws("/ws")) as client:
                await eventually(lambda: "connect" in events)
                await server.shutdown()
                with pytest.raises(ConnectionClosed):
                    await client.recv()
                assert client.close_code == 1001
                assert client.close_reason == "server is shutting down"

    run(main())
    assert events == [
        "on_startup",
        "on_startup, second",
        "background",
        "connect",
        "background cancelled",
        "disconnect 1001 server is shutting down",
        "on_shutdown with 0 connections",
    ]


class TestStarting:
    def test_a_hook_that_raises_ends_the_start(self, backend, run):
        server = echo_server()
        ended = []
        server.on_shutdown(lambda: ended.append(1))

        @server.on_startup
        def broken():
            raise LookupError("no database")

        async def main():
            with pytest.raises(LookupError, match="no database"):
                await Run(server, backend, {}).url()

        run(main())
        assert ended == []

    def test_a_taken_port_is_an_error_before_any_hook_runs(self, backend, run):
        hooks = []

        async def main():
            async with running(echo_server(), backend) as url:
                second = echo_server()
                second.on_startup(lambda: hooks.append(1))
                with pytest.raises(ListenError):
                    await Run(second, backend, {"port": url.address[1]}).url()
            assert hooks == []

        run(main())

    def test_nobody_connects_before_the_hooks_are_done(self, backend, run):
        async def main():
            gate = asyncio.Event()
            server = echo_server()
            server.on_startup(gate.wait)
            first = Run(server, backend, {})
            await asyncio.sleep(0)
            assert first.lines == []
            gate.set()
            await first.url()
            await server.shutdown()
            await first.task

        run(main())

    def test_a_core_that_is_not_the_one_in_use_is_an_error(self, run):
        other = {"compiled": "python", "python": "compiled"}[lifecycle.core.NAME]

        async def main():
            with pytest.raises(ConfigError, match="is in use"):
                await Server().serve(core=other, port=0)

        run(main())

    def test_a_bad_certificate_is_an_error(self, run, tmp_path):
        bad = tmp_path / "bad.pem"
        bad.write_text("not PEM")

        async def main():
            with pytest.raises(ConfigError, match="cannot use the certificate"):
                await Server().serve(tls_cert=str(bad), port=0)

        run(main())


class TestAnnouncing:
    def test_ipv6_addresses_stand_in_brackets(self, backend, run):
        async def main():
            async with running(echo_server(), backend, host="::1") as url:
                assert url.startswith("http://[::1]:")
                assert (await url.get("/healthz"))[0] == 200

        run(main())

    def test_a_unix_socket_is_named_and_removed(self, backend, run, tmp_path):
        path = str(tmp_path / "s")

        async def main():
            async with running(echo_server(), backend, uds=path) as url:
                assert url == f"unix:{path}"
                assert (await url.get("/healthz"))[0] == 200
            assert not os.path.exists(path)

        run(main())

    def test_tls_is_https(self, run, tmp_path):
        files = make_certificate(tmp_path, "localhost")

        async def main():
            server = echo_server(tls_cert=files.cert, tls_key=files.key)
            first = Run(server, Backend("", "auto", ""), {})
            assert (await first.url()).startswith("https://127.0.0.1:")
            await server.shutdown()
            await first.task

        run(main())


class TestDraining:
    def test_while_it_delays_clients_connect_and_are_refused(self, backend, run):
        async def main():
            server = echo_server(drain_delay=0.3)
            async with running(server, backend) as url:
                async with connect(url.ws("/ws")) as client:
                    draining = asyncio.create_task(server.shutdown())
                    await asyncio.sleep(0)
                    status, headers, _ = await url.get("/healthz")
                    assert (status, headers["connection"]) == (503, "close")
                    with pytest.raises(InvalidStatus) as caught:
                        await connect(url.ws("/ws"))
                    assert caught.value.response.status_code == 503
                    await client.send("still served")
                    assert await client.recv() == "still served"
                    with contextlib.suppress(ConnectionClosed):
                        await client.recv()
                    assert client.close_code == 1001
                await draining

        run(main())

    def test_a_client_that_was_refused_and_stays_holds_up_nobody(self, backend, run):
        async def main():
            server = echo_server(close_timeout=60, drain_timeout=60)  # more than the test may take
            async with running(server, backend) as url:
                peer = await Peer.connect(url.address)
                peer.write(UPGRADE % b"/nowhere")
                status, _, body = await peer.answer()
                assert (status, b"Route not found" in body) == (404, True)
            await peer.close()

        run(main())

    def test_a_refusal_that_is_read_late_is_whole(self, backend, run, monkeypatch):
        monkeypatch.setattr(lifecycle, "LINGER_GRACE_S", 0.01)
        server = Server(Config(close_timeout=60, drain_timeout=60))
        body = "no" * 5_000_000  # more than the kernel takes from us unless it is read

        @server.authenticate
        def nobody(request):
            raise Reject(403, body)

        async def main():
            async with running(server, backend) as url:
                peer = await Peer.connect(url.address)
                peer.write(UPGRADE % b"/ws")
                await asyncio.wait_for(peer.reader.readuntil(b"\r\n"), 10)
                draining = asyncio.create_task(server.shutdown())
                assert (await peer.reader.read()).endswith(body.encode())
                await draining
            await peer.close()

        run(main())

    def test_an_answer_under_way_is_finished(self, backend, run):
        async def main():
            asked, gate = asyncio.Event(), asyncio.Event()
            server = Server()

            @server.get("/slow")
            async def slow(request):
                asked.set()
                await gate.wait()
                return "done"

            async with running(server, backend) as url:
                request = asyncio.create_task(url.get("/slow"))
                await asked.wait()
                draining = asyncio.create_task(server.shutdown())
                await asyncio.sleep(0)
                gate.set()
                assert (await request)[::2] == (200, b"done")
                await draining

        run(main())

    def test_idle_http_connections_do_not_hold_it_up(self, backend, run):
        async def main():
            server = echo_server(close_timeout=1000, drain_timeout=1000)
            async with running(server, backend) as url:
                peer = await url.peer()
                peer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                assert (await peer.answer())[0] == 200
                draining = asyncio.create_task(server.shutdown())
                assert await peer.rest() == b""
                await peer.close()
                await draining

        run(main())

    def test_a_client_that_does_not_answer_is_cut_at_the_deadline(self, backend, run, caplog):
        async def main():
            ended = []
            server = echo_server(close_timeout=1000, drain_timeout=0.05)
            server.on_disconnect(lambda conn, code: ended.append(code))
            async with running(server, backend) as url:
                peer = await url.peer()
                await peer.upgrade(b"/ws")
                await server.shutdown()
                assert ended == [1001]
                await peer.close()

        run(main())
        assert "did not close in time" in caplog.text

    def test_handlers_are_waited_for_and_then_cancelled(self, backend, run):
        async def main():
            events = []
            server = Server(Config(drain_timeout=0.2))

            @server.on_message()
            async def handle(ctx):
                events.append("began")
                try:
                    if ctx.message.data == "long":
                        await asyncio.Event().wait()
                    await asyncio.sleep(0.02)
                    events.append("ended")
                except asyncio.CancelledError:
                    events.append("cancelled")
                    raise

            async with running(server, backend) as url:
                one, other = await connect(url.ws("/ws")), await connect(url.ws("/ws"))
                await one.send("short")
                await other.send("long")
                await eventually(lambda: len(events) == 2)
                await server.shutdown()
                assert events == ["began", "began", "ended", "cancelled"]
                await one.close()
                await other.close()

        run(main())

    def test_shutdown_may_bring_its_own_deadline(self, backend, run):
        async def main():
            server = echo_server(close_timeout=1000, drain_timeout=1000)
            async with running(server, backend) as url:
                peer = await url.peer()
                await peer.upgrade(b"/ws")
                await server.shutdown(timeout=0.05)
                await peer.close()

        run(main())

    def test_hundreds_of_connections_all_hear_it(self, backend, run):
        async def main():
            server = echo_server()
            async with running(server, backend) as url:
                peers = [await url.peer() for _ in range(300)]
                for peer in peers:
                    await peer.upgrade(b"/ws")
                draining = asyncio.create_task(server.shutdown())
                assert {await peer.close_code() for peer in peers} == {1001}
                await draining
                for peer in peers:
                    await peer.close()

        run(main())

    def test_a_shutdown_hook_that_fails_does_not_stop_the_others(self, backend, run, caplog):
        async def main():
            ended = []
            server = echo_server()
            server.on_shutdown(lambda: 1 / 0)
            server.on_shutdown(lambda: ended.append(1))
            async with running(server, backend):
                pass
            assert ended == [1]

        run(main())
        assert "ZeroDivisionError" in caplog.text


class TestCancelling:
    def test_a_run_that_is_cancelled_leaves_nothing_open(self, backend, run):
        async def main():
            events = []
            server = echo_server()
            server.on_disconnect(lambda conn, code: events.append(code))
            server.on_shutdown(lambda: events.append("shutdown"))
            first = Run(server, backend, {})
            url = await first.url()
            peer = await url.peer()
            await peer.upgrade(b"/ws")
            await eventually(lambda: len(server.hub))
            first.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first.task
            assert events == [1006, "shutdown"]
            assert await peer.rest() == b""
            await peer.close()
            with pytest.raises(ConnectionRefusedError):
                await url.peer()

        run(main())  # which looks for descriptors and tasks left behind


class TestShutdownFromWithin:
    @pytest.mark.parametrize(
        "place", ["message", "waiting message", "connect", "disconnect", "websocket", "http"]
    )
    def test_a_handler_that_shuts_the_server_down_goes_on_at_once(self, backend, run, place):
        async def main():
            server, log = echo_server(), []

            async def stop(_):
                if place.startswith("waiting"):
                    await asyncio.sleep(0)
                await server.shutdown()
                log.append("goes on")
                return "stopping"

            if place == "http":
                server.get("/stop")(stop)
            elif place == "websocket":
                server.websocket("/ws")(stop)
            elif place.endswith("message"):
                server.on_message("text")(stop)
            else:
                getattr(server, f"on_{place}")(stop)
            one = Run(server, backend, {"drain_timeout": 60.0})
            url = await one.url()
            if place == "http":
                assert (await url.get("/stop"))[2] == b"stopping"
            else:
                async with connect(url.ws("/ws")) as client:
                    if place.endswith("message"):
                        await client.send("stop")
                    if place != "disconnect":
                        await client.wait_closed()
                        assert client.close_code in (1000, 1001)
            await one.task  # long before the drain timeout, or the test's own deadline is over
            assert log == ["goes on"]
            assert server.hub.metrics.handler_errors == 0

        run(main())

    @pytest.mark.parametrize("hook", ["on_startup", "on_shutdown"])
    def test_a_hook_that_shuts_the_server_down_goes_on_at_once(self, backend, run, hook):
        async def main():
            server, log = echo_server(), []

            @getattr(server, hook)
            async def stop():
                await server.shutdown()
                log.append("goes on")

            one = Run(server, backend, {"drain_timeout": 60.0})
            await one.url()
            server_side = asyncio.create_task(server.shutdown())
            await one.task
            await server_side
            assert log == ["goes on"]

        run(main())

    def test_a_handler_of_another_server_waits_for_the_end(self, backend, run):
        async def main():
            first, second, log = echo_server(), echo_server(), []

            @first.get("/stop")
            async def stop(request):
                await second.shutdown()
                log.append(two.task.done() or second._lifecycle is None)

            async with running(first, backend) as url:
                two = Run(second, backend, {})
                await two.url()
                await url.get("/stop")
                await two.task
            assert log == [True]

        run(main())
