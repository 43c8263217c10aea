"""A server of several processes, met from outside: one server, in all that clients see."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.serving import STOP_S, ServeProcess, serving
from tests.workers.clients import (
    APP,
    children_of,
    client_of,
    clients_of_each,
    eventually,
    is_running,
)


@pytest.fixture(scope="module")
def server() -> Iterator[ServeProcess]:
    with serving("program:server", "--workers", "2", cwd=APP) as started:
        yield started


def test_the_main_process_has_as_many_workers_as_asked_for(server: ServeProcess) -> None:
    assert len(children_of(server.process.pid)) == 2


def test_a_room_spans_the_workers(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        here.join("blue")
        there.join("blue")
        here.ask({"event": "say", "room": "blue", "data": {"n": 1}, "id": "s"})
        assert here.next() == {"n": 1}  # a member in the sender's process is served at once
        assert here.next()["data"] == {"sent": 1, "pending": True}
        assert there.next() == {"n": 1}


def test_messages_of_one_sender_keep_their_order(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2, many=2) as ((sender, near), (far, also_far)):
        receivers = near, far, also_far
        for each in receivers:
            each.join("green")
        for n in range(500):
            sender.ask({"event": "say", "room": "green", "data": n})
        for each in receivers:
            assert [each.next() for _ in range(500)] == list(range(500))


def test_a_member_that_knows_it_is_one_misses_nothing(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        for n in range(100):
            there.join(f"new-{n}")
            here.ask({"event": "say", "room": f"new-{n}", "data": n, "id": "s"})
            assert here.next()["data"]["sent"] == 0
            assert there.next() == n


def test_who_is_left_out_is_left_out_in_every_process(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        here.ask({"event": "everyone", "data": "hello"})
        assert there.next() == "hello"
        here.ask({"event": "who", "id": "w"})
        assert here.next()["id"] == "w"  # and nothing before it


def test_nobody_hears_of_a_room_that_was_left(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        there.join("left")
        there.ask({"type": "leave_room", "room": "left"})
        assert there.next()["data"]["status"] == "left"
        here.ask({"event": "say", "room": "left", "data": "hello", "id": "s"})
        here.next()
        here.ask({"event": "everyone", "data": "after"})
        assert there.next() == "after"


def test_connections_are_spread_evenly() -> None:
    with serving("program:server", "--workers", "4", cwd=APP) as server:
        pids = children_of(server.process.pid)
        sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(2000)]
        try:
            # Counted where they were accepted, by the descriptors of each worker.
            def all_accepted() -> list[int] | None:
                counts = [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]
                return counts if sum(counts) >= 2000 else None

            counts = eventually(all_accepted)
        finally:
            for each in sockets:
                each.close()
    assert max(counts) <= 1.15 * sum(counts) / len(counts), counts


def test_it_stops_with_all_its_workers() -> None:
    with ExitStack() as stack, serving("program:server", "--workers", "2", cwd=APP) as server:
        pids = children_of(server.process.pid)
        client = stack.enter_context(client_of(server.ws("/ws")))
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(Exception) as closed:
            client.socket.recv(timeout=STOP_S)
        assert closed.value.rcvd.code == 1001  # type: ignore[attr-defined]
        assert server.process.wait(STOP_S) == 0
        assert not any(map(is_running, pids))


def test_workers_of_a_main_process_that_was_killed_drain() -> None:
    with ExitStack() as stack, serving("program:server", "--workers", "2", cwd=APP) as server:
        pids = children_of(server.process.pid)
        client = stack.enter_context(client_of(server.ws("/ws")))
        server.kill()
        with pytest.raises(Exception) as closed:
            client.socket.recv(timeout=STOP_S)
        assert closed.value.rcvd.code == 1001  # type: ignore[attr-defined]
        eventually(lambda: not any(map(is_running, pids)))
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port))


def test_a_program_starts_its_workers_by_run(tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(
        "import functools\n"
        "from glyph_fast import Server\n"
        "server = Server()\n"
        "server.get('/n')(lambda request: {'worker': server.worker})\n"
        "server.run(workers=2)\n"
        "print('after', flush=True)\n"
    )
    with serving(script=str(script)) as server:
        seen = Counter(
            json.load(urllib.request.urlopen(f"{server.url}/n"))["worker"] for _ in range(64)
        )
        assert set(seen) == {1, 2}
        server.stop()
        assert server.process.stdout is not None
        assert server.process.stdout.read() == b"after\n"  # once, in the main process


@pytest.mark.parametrize(
    ("program", "status", "said"),
    [
        ("import nowhere_to_be_found\n", 1, "could not import broken"),
        ("from glyph_fast import Server\nserver = Server()\n"
         "@server.on_startup\ndef fail():\n    raise ValueError('no database')\n",
         1, "no database"),
        ("import os\nfrom glyph_fast import Config, Server\n"
         "server = Server(Config(max_connections=1 + os.getpid()))\n", 2, "other options"),
        ("import os\nos.kill(os.getpid(), 9)\n", 1, "SIGKILL"),
    ],
    ids=["import", "startup", "options", "killed"],
)  # fmt: skip
def test_a_worker_that_cannot_start_ends_the_start(
    tmp_path: Path, program: str, status: int, said: str
) -> None:
    (tmp_path / "broken.py").write_text(program)
    ended = subprocess.run(
        [sys.executable, "-m", "glyph_fast", "serve", "broken:server", "--workers", "2",
         "--port", "0"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    assert said in ended.stderr
    assert ended.stdout == ""


def test_a_taken_port_is_told_as_without_workers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ended = subprocess.run(
            [sys.executable, "-m", "glyph_fast", "serve", "program:server", "--workers", "2",
             "--port", str(taken.getsockname()[1])],
            cwd=APP, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert ended.returncode == 3
    assert "could not listen on 127.0.0.1" in ended.stderr


def test_two_servers_do_not_share_a_port(server: ServeProcess) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "glyph_fast", "serve", "program:server", "--workers", "2",
         "--port", str(server.port)],
        cwd=APP, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 3
