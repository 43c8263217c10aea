"""What runs once in a server of several processes, and what in each."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from glyph_fast import Server
from glyph_fast.errors import ConfigError
from tests.serving import serving
from tests.workers.clients import APP, WITHIN_S, children_of, clients_of_each, eventually

TASKS = """
import asyncio
import os

from glyph_fast import Server

server = Server()


def note(name):
    with open(name, "a") as file:
        file.write(f"{server.worker} {os.getpid()}\\n")


@server.background
async def once():
    note("once")
    await asyncio.Event().wait()


@server.background(on="worker")
async def each():
    note("each")
    await asyncio.Event().wait()
"""


def test_a_background_task_runs_in_one_worker_and_moves_when_that_dies(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)

    def noted(name: str) -> list[list[int]]:
        file = tmp_path / name
        text = file.read_text() if file.exists() else ""
        return [list(map(int, line.split())) for line in text.splitlines()]

    with serving("tasks:server", "--workers", "2", cwd=tmp_path) as server:
        eventually(lambda: noted("once") and len(noted("each")) == 2)
        assert sorted(number for number, _ in noted("each")) == [1, 2]
        assert {pid for _, pid in noted("each")} == set(children_of(server.process.pid))
        [(number, pid)] = noted("once")
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(noted("once")) == 2)
        assert noted("once")[1][0] != number
        eventually(lambda: "a worker serves again" in server.log())
        eventually(lambda: len(noted("each")) == 3)
        assert len(noted("once")) == 2  # who comes back leaves it where it is
        (tmp_path / "once").unlink()
        os.kill(children_of(server.process.pid)[0], signal.SIGTERM)
        os.kill(children_of(server.process.pid)[1], signal.SIGTERM)
        eventually(lambda: len(noted("once")) >= 1)
        assert "handler failed" not in server.log()


def test_a_task_for_all_machines_needs_a_broker() -> None:
    server = Server()

    @server.background(on="cluster")
    async def clean() -> None: ...

    with pytest.raises(ConfigError, match="needs a broker"):
        server.run()
    with pytest.raises(ValueError, match="expected server, worker or cluster"):
        server.background(on="moon")


def test_a_message_finds_a_connection_of_another_worker() -> None:
    with (
        serving("program:server", "--workers", "2", cwd=APP) as server,
        clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)),
    ):
        here.ask({"event": "send to", "data": there.id, "id": 1})
        assert here.next()["data"] == {"sent": 0, "pending": True}
        assert there.socket.recv(timeout=WITHIN_S) == "for you"
        here.ask({"event": "send to", "room": "binary", "data": there.id, "id": 2})
        assert here.next()["data"] == {"sent": 0, "pending": True}
        assert there.socket.recv(timeout=WITHIN_S) == b"for you"
        here.ask({"event": "send to", "data": here.id, "id": 3})
        assert here.socket.recv(timeout=WITHIN_S) == "for you"
        assert here.next()["data"] == {"sent": 1, "pending": False}
        here.ask({"event": "send to", "data": "nobody", "id": 4})
        assert here.next()["data"] == {"sent": 0, "pending": True}
        workers = set()
        for client in (here, there):
            client.ask({"event": "worker", "id": 5})
            number, of_connection = client.next()["data"]
            assert number == of_connection
            workers.add(number)
        assert workers == {1, 2}
