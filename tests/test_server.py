"""The server as an application and an operator meet it: registration, `run`, signals."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from running import Run, Url, running
from serving import ROOT, serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as sync_connect

from glyph_fast import Config, MessageType, Reject, Response, Server
from glyph_fast.errors import ConfigError

PROGRAM = """
import asyncio, sys, time
from glyph_fast import Server, Config

server = Server(Config(drain_timeout=30))

@server.on_message()
async def handle(ctx):
    if ctx.message.raw == "block the loop":
        print("blocking", file=sys.stderr, flush=True)
        time.sleep(60)
    ctx.conn.send(ctx.message.raw)

@server.on_disconnect
async def bye(conn, code):
    await asyncio.sleep(0)
    print(f"disconnect {code}", file=sys.stderr, flush=True)

if __name__ == "__main__":
    server.run(port=0)
"""


def soon(predicate) -> None:
    """Wait until `predicate()` holds."""
    deadline = time.monotonic() + 20
    while not predicate():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A folder with `program.py`."""
    (tmp_path / "program.py").write_text(PROGRAM)
    return tmp_path


class TestRegistering:
    def test_ws_is_the_route_when_none_is_named(self, backend, run):
        async def main():
            async with running(Server(), backend) as url:
                async with connect(url.ws("/ws")):
                    pass
                with pytest.raises(InvalidStatus) as caught:
                    await connect(url.ws("/other"))
                assert caught.value.response.status_code == 404

        run(main())

    def test_naming_a_route_in_a_handler_registers_it(self, backend, run):
        async def main():
            server = Server()

            @server.on_connect(route="/chat/:room")
            def enter(conn):
                conn.send(conn.path_params["room"])

            async with running(server, backend) as url:
                async with connect(url.ws("/chat/blue")) as client:
                    assert await client.recv() == "blue"
                with pytest.raises(InvalidStatus):
                    await connect(url.ws("/ws"))

        run(main())

    def test_the_other_familiar_style(self, backend, run):
        async def main():
            server = Server()

            @server.websocket("/lines")
            async def talk(conn):
                async for message in conn:
                    conn.send(message.upper())

            async with running(server, backend) as url:
                async with connect(url.ws("/lines")) as client:
                    await client.send("hello")
                    assert await client.recv() == "HELLO"

        run(main())

    def test_http_routes_of_every_method(self, backend, run):
        async def main():
            server = Server()
            for name in ("get", "post", "put", "patch", "delete"):
                getattr(server, name)("/thing/:id")(
                    lambda request: [request.method, request.path_params["id"]]
                )
            server.get("/teapot")(lambda: Response("short and stout", 418))
            async with running(server, backend) as url:
                for name in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                    answer = await url.get("/thing/7", name)
                    assert answer[::2] == (200, f'["{name}","7"]'.encode())
                assert (await url.get("/teapot"))[0] == 418

        run(main())

    def test_authenticate_comes_before_the_upgrade(self, backend, run):
        async def main():
            server = Server()

            @server.authenticate
            async def who(request):
                await asyncio.sleep(0)
                if "user" not in request.query:
                    raise Reject(401, {"error": "who are you"})
                return request.query["user"]

            @server.on_connect
            def greet(conn):
                conn.send(f"hello {conn.identity}")

            async with running(server, backend) as url:
                async with connect(url.ws("/ws?user=ada")) as client:
                    assert await client.recv() == "hello ada"
                with pytest.raises(InvalidStatus) as caught:
                    await connect(url.ws("/ws"))
                assert caught.value.response.status_code == 401

        run(main())

    def test_static_files_and_a_websocket_by_an_http_handler(self, backend, run, tmp_path):
        (tmp_path / "page.html").write_text("<p>hello")

        async def main():
            server = Server()
            server.static("/files", tmp_path)
            server.get("/join/:room")(server.handle_websocket)

            @server.on_connect
            def enter(conn):
                conn.send(conn.path_params["room"])

            async with running(server, backend) as url:
                status, headers, body = await url.get("/files/page.html")
                assert (status, body) == (200, b"<p>hello")
                assert headers["content-type"].startswith("text/html")
                async with connect(url.ws("/join/red")) as client:
                    assert await client.recv() == "red"

        run(main())

    @pytest.mark.parametrize(
        "register",
        [
            lambda server: server.get("no slash")(str),
            lambda server: server.get("/:a/:a")(str),
            lambda server: [server.get("/twice")(str), server.get("/twice")(str)],
            lambda server: server.route("BREW", "/"),
            lambda server: server.websocket("/:"),
            lambda server: [server.authenticate(str), server.authenticate(str)],
            lambda server: server.static("/", "/no/such/folder"),
        ],
    )
    def test_what_cannot_be_is_an_error_at_once(self, register):
        with pytest.raises(ValueError):
            register(Server())

    def test_a_handler_that_demands_too_much_is_an_error_at_once(self):
        with pytest.raises(TypeError):
            Server().get("/")(lambda request, response: None)

    def test_handlers_are_given_back_as_they_were(self):
        server = Server()

        def handler():
            pass

        for decorator in (
            server.get("/"),
            server.on_startup,
            server.on_shutdown(),
            server.background,
            server.authenticate(),
            server.on_connect,
        ):
            assert decorator(handler) is handler

    def test_routes_lists_them_all_with_their_handlers(self, tmp_path):
        server = Server()

        def connected():
            pass

        def handle():
            pass

        def page():
            pass

        server.on_connect(connected)
        server.on_message(MessageType.TEXT, route="/chat")(handle)
        server.on_message(MessageType.PING)(handle)
        server.websocket("/other")
        server.get("/page")(page)
        server.static("/files", tmp_path)
        rows = [(each.kind, each.method, each.pattern) for each in server.routes()]
        assert rows == [
            ("ws", "GET", "/chat"),
            ("ws", "GET", "/other"),
            ("http", "GET", "/page"),
            ("http", "GET", "/files/*"),
        ]
        handlers = [
            [getattr(handler, "__wrapped__", handler) for handler in each.handlers]
            for each in server.routes()
        ]
        assert handlers[0] == [connected, handle, handle]
        assert handlers[2] == [page]

    def test_routes_of_a_server_without_any(self):
        assert [each.pattern for each in Server().routes()] == ["/ws"]

    def test_routes_that_hide_methods(self, backend, run):
        async def main():
            server = Server()
            server.add_http_route("GET", "/glyph", lambda: "hello", hides_methods=True)
            server.add_websocket_route("/glyph-ws", hides_methods=True)
            async with running(server, backend) as url:
                assert (await url.get("/glyph", "POST"))[0] == 404
                assert (await url.get("/glyph-ws", "POST"))[0] == 404

        run(main())


class TestConfiguring:
    def test_options_of_the_run_replace_those_of_the_server(self, backend, run):
        async def main():
            server = Server(Config(max_connections=1, max_room_members=1))
            config = Config(client_commands=(), max_room_members=5)
            first = Run(server, backend, {"config": config, "max_connections": 7})
            await first.url()
            assert server.config.max_connections == 7
            assert server.hub.config is server.config
            assert server.hub.get_room_manager().max_members == 5
            await server.shutdown()
            await first.task

        run(main())

    def test_an_unknown_option_is_an_error(self):
        with pytest.raises(ConfigError, match="prot"):
            Server().run(prot=8000)

    def test_a_server_serves_once_at_a_time_but_again_later(self, backend, run):
        async def main():
            server = Server()
            server.on_connect(lambda conn: conn.send("hello"))
            for _ in range(2):
                async with running(server, backend) as url:
                    with pytest.raises(RuntimeError, match="serves already"):
                        await server.serve(port=0)
                    async with connect(url.ws("/ws")) as client:
                        assert await client.recv() == "hello"

        run(main())

    def test_shutting_down_what_does_not_serve_does_nothing(self, run):
        run(Server().shutdown())


def test_run_serves_in_another_thread_and_ends_by_shutdown(backend):
    """Without signals, which are the main thread's."""
    server = Server()
    server.on_message()(lambda ctx: ctx.conn.send(ctx.message.raw))
    listens, lines, loops = threading.Event(), [], []
    server.on_startup(lambda: loops.append(asyncio.get_running_loop()))

    def announce(line):
        lines.append(line)
        listens.set()

    thread = threading.Thread(
        target=server.run,
        kwargs={"port": 0, "engine": backend.engine, "loop": backend.loop, "announce": announce},
    )
    thread.start()
    try:
        assert listens.wait(20)
        url = Url(lines[0].removeprefix("glyph-fast listening on "))
        with sync_connect(url.ws("/ws")) as client:
            client.send("hello")
            assert client.recv(timeout=20) == "hello"
            server.hub.broadcast("from another thread")
            assert client.recv(timeout=20) == "from another thread"
    finally:
        asyncio.run_coroutine_threadsafe(server.shutdown(), loops[0])
        thread.join(20)
    assert not thread.is_alive()


class TestServe:
    """`glyph-fast serve` as a process of its own."""

    def arguments(self, backend):
        parts = ["--engine", backend.engine, "--loop", backend.loop, "--core", backend.core]
        return ["program:server", *parts]

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_a_signal_drains_it_and_it_exits_with_0(self, backend, program, number):
        with serving(*self.arguments(backend), cwd=program) as server:
            with sync_connect(server.ws("/ws")) as client:
                client.send("hello")
                assert client.recv(timeout=20) == "hello"
                server.process.send_signal(number)
                with pytest.raises(ConnectionClosed) as caught:
                    client.recv(timeout=20)
                assert caught.value.rcvd.code == 1001
            assert server.process.wait(20) == 0
            assert "disconnect 1001" in server.log()

    def test_a_second_signal_stops_it_at_once(self, backend, program):
        with serving(*self.arguments(backend), cwd=program) as server:
            host, port = "127.0.0.1", server.port
            with socket.create_connection((host, port), timeout=20) as sock:
                # One that never answers the close frame would hold it for the drain timeout.
                sock.sendall(
                    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                    b"Sec-WebSocket-Version: 13\r\n\r\n"
                )
                received = sock.recv(1000)
                server.process.send_signal(signal.SIGTERM)
                while b"\x88" not in received.partition(b"\r\n\r\n")[2]:
                    received += sock.recv(1000)
                server.process.send_signal(signal.SIGTERM)
                assert server.process.wait(20) == -signal.SIGTERM

    def test_a_second_signal_stops_it_although_a_handler_blocks_the_loop(self, backend, program):
        with serving(*self.arguments(backend), cwd=program) as server:
            with sync_connect(server.ws("/ws"), close_timeout=0) as client:
                client.send("block the loop")
                soon(lambda: "blocking" in server.log())
                server.process.send_signal(signal.SIGINT)

                def is_gone() -> bool:
                    # Two signals of one number that come together are one: so again and again.
                    server.process.send_signal(signal.SIGINT)
                    return server.process.poll() is not None

                soon(is_gone)
            assert server.process.wait(20) == -signal.SIGINT

    def run(self, *arguments, cwd=ROOT):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-m", "glyph_fast", "serve", *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_a_taken_port_is_status_3(self, program):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            done = self.run("program:server", "--port", str(port), cwd=program)
        assert done.returncode == 3
        assert done.stdout == ""
        assert f"could not listen on 127.0.0.1:{port}" in done.stderr
        assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "status"),
        [
            (["no_such_module:server"], 1),
            (["program:nothing"], 1),
            (["program:server", "--no-such-option"], 2),
            (["program:server", "--port", "99999"], 2),
            (["program:server", "--tls-key", "x.pem"], 2),
        ],
    )
    def test_what_cannot_work_is_one_line_and_its_status(self, program, arguments, status):
        done = self.run(*arguments, cwd=program)
        assert done.returncode == status
        assert "Traceback" not in done.stderr

    def test_a_startup_hook_that_fails_is_status_1_and_shows_its_own_lines(self, tmp_path):
        (tmp_path / "app.py").write_text(
            "from glyph_fast import Server\n"
            "server = Server()\n"
            "@server.on_startup\n"
            "async def connect():\n"
            "    raise ConnectionRefusedError(111, 'no database')\n"
        )
        done = self.run("app:server", "--port", "0", "--log-level", "error", cwd=tmp_path)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.splitlines() == [
            "Traceback (most recent call last):",
            f'  File "{tmp_path}/app.py", line 5, in connect',
            "    raise ConnectionRefusedError(111, 'no database')",
            "ConnectionRefusedError: [Errno 111] no database",
            "glyph-fast: could not run: ConnectionRefusedError: [Errno 111] no database",
        ]

    def test_the_python_program_itself_prints_where_it_listens(self, program):
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "program.py"],
            cwd=program,
            env={**os.environ, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            line = process.stdout.readline()
            assert line.startswith("glyph-fast listening on http://127.0.0.1:")
            url = line.removeprefix("glyph-fast listening on ").strip()
            with sync_connect(url.replace("http", "ws") + "/ws") as client:
                client.send("hello")
                assert client.recv(timeout=20) == "hello"
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert "listening" in process.stderr.read()  # the log, with no logging configured
        finally:
            process.kill()
            process.wait(20)
            process.stdout.close()
            process.stderr.close()
