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
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as sync_connect

from glyph_fast import Config, Server
from glyph_fast.errors import ConfigError
from tests.running import Run, Url, running
from tests.serving import ROOT, serving

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


class TestConfiguring:
    def test_options_of_the_run_replace_those_of_the_server(self, backend, run):
        async def main():
            server = Server(Config(max_connections=1, max_room_members=1))
            config = Config(client_commands=(), max_room_members=5)
            first = Run(server, backend, {"config": config, "max_connections": 7})
            await first.url()
            assert server.config.max_connections == 7
            assert server.hub._config is server.config
            assert server.hub.get_room_manager()._max_members == 5
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


@pytest.mark.parametrize("whose", ["its own loop", "another loop"])
def test_run_serves_in_another_thread_and_ends_by_shutdown(backend, whose):
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
        if whose == "another loop":
            asyncio.run(asyncio.wait_for(server.shutdown(), 20))
        else:
            asyncio.run_coroutine_threadsafe(server.shutdown(), loops[0])
        thread.join(20)
    assert not thread.is_alive()


def test_run_where_a_loop_runs_already_says_what_to_write(run):
    """As in a notebook, whose cells run in one."""

    async def main():
        with pytest.raises(RuntimeError, match=r"write `await server\.serve\(\)` there"):
            Server().run(port=0)

    run(main())


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


@pytest.mark.parametrize(("hidden", "count"), [("isal", 1), ("nothing", 0)])
def test_compressing_by_zlib_is_told_of_with_the_extra_that_is_faster(hidden, count):
    program = (
        f"import sys; sys.modules[{hidden!r}] = None\n"
        "import asyncio\n"
        "from glyph_fast import Config, Server\n"
        "server = Server(Config(compression='shared', port=0))\n"
        "server.on_startup(lambda: asyncio.get_running_loop().call_later(0.1, server_ends))\n"
        "server_ends = lambda: asyncio.ensure_future(server.shutdown())\n"
        "server.run()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    line = "compressing faster than zlib needs isal: pip install 'glyph-fast[compression]'"
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(line) == count
