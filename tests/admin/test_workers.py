"""The operators' port of a server of several processes: the whole, and a line for each worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.admin.documented import samples
from tests.admin.operated import BEARER, TOKEN
from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, WITHIN_S, Client, clients_of_each, eventually

OPTIONS = (
    "--workers", "2", "--admin", "127.0.0.1:0", "--admin-token", TOKEN,
    "--user-room", "own:{user}",
)  # fmt: skip


class Operators:
    """The operators' port of a server, asked by its token."""

    def __init__(self, server: ServeProcess) -> None:
        assert server.process.stdout is not None
        self.url = server.process.stdout.readline().decode().split()[-1]
        self.http = httpx.Client(base_url=self.url, headers=BEARER, timeout=WITHIN_S)

    def get(self, path: str) -> Any:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def act(self, call: str, **body: Any) -> Any:
        answer = self.http.post(f"/api/{call}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stats(self) -> Any:
        return self.get("/stats")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[ServeProcess, Operators]]:
    with serving("program:server", *OPTIONS, cwd=APP) as started:
        operators = Operators(started)
        with operators.http:
            yield started, operators


Both = tuple[ServeProcess, Operators]
SENT = {"queued": 0, "dropped": 0}


def test_figures_are_of_the_whole_and_each_worker_has_a_line(server: Both) -> None:
    serve, operators = server
    before = operators.stats()
    with clients_of_each(serve.ws("/ws"), 2) as ((here,), (there,)):
        here.join("stats")
        there.join("stats")
        here.ask({"event": "say", "room": "stats", "data": 1})
        assert here.next() == there.next() == 1
        now = operators.stats()
        assert now["connections"] >= before["connections"] + 2
        assert now["rooms"] == before["rooms"] + 1
        assert now["room_members"]["stats"] == 2
        assert now["messages_received"] >= before["messages_received"] + 5
        assert now["broadcast_seconds"]["count"] == before["broadcast_seconds"]["count"] + 2
        assert now["uptime_seconds"] > 0 and "workers" in now
        first, second = now["workers"]
        assert (first["worker"], second["worker"]) == (1, 2)
        for each in now["workers"]:
            assert set(each) == {
                "worker", "connections", "cpu_seconds", "memory_bytes", "loop_lag_seconds",
                "open_files", "max_files", "restarts",
            }  # fmt: skip
            assert each["cpu_seconds"] > 0 and each["memory_bytes"] > 1e6
            assert each["restarts"] == 0
        eventually(lambda: sum(each["connections"] for each in operators.stats()["workers"]) >= 2)
        assert operators.get("/api/info")["rooms"] == now["rooms"]


def test_a_scrape_has_sums_and_lines_of_workers(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws"), 2) as ((here,), (there,)):
        found = samples(operators.http.get("/metrics").text)
        assert found["glyph_fast_connections", ()] >= 2
        assert found["glyph_fast_messages_received_total", ()] >= 2
        for name in ("connections", "memory_bytes", "loop_lag_seconds"):
            assert found[f"glyph_fast_worker_{name}", ("1",)] >= 0
        for name in ("cpu_seconds", "restarts"):
            assert found[f"glyph_fast_worker_{name}_total", ("2",)] >= 0
        assert here.pid != there.pid


def test_sizes_of_the_largest_rooms_are_exact(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws"), 2, many=2) as ((here, _), (there, also_there)):
        for n in range(30):
            for client, room in ((here, f"h{n}"), (there, f"t{n}")):
                client.join(room)
        also_there.join("t29")  # so it is among the largest there, and not of those here
        here.join("t29")
        sizes = operators.stats()["room_members"]
        assert len(sizes) == 20 and next(iter(sizes.items())) == ("t29", 3)


def test_a_publication_reaches_members_everywhere_and_is_counted(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws"), 2, many=2) as ((a, b), (c, d)):
        for client in (a, b, c):
            client.join("pub")
        d.join("other")
        answer = operators.act("publish", room="pub", data={"n": 1}, exclude=[b.id])
        assert answer == {"sent": 2, **SENT}
        assert a.next() == c.next() == {"n": 1}
        several = operators.act("publish", rooms=["pub", "other", "nobody"], data=2)
        assert several == {"sent": 4, **SENT}
        assert a.next() == b.next() == c.next() == d.next() == 2
        assert operators.act("publish", room="nobody", data=1) == {"sent": 0, **SENT}
        assert operators.act("broadcast", data=3)["sent"] >= 4
        assert a.next() == b.next() == c.next() == d.next() == 3


def test_rooms_that_remember_give_places_and_keep_what_operators_send(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws"), 2) as ((here,), (there,)):
        here.join("kept:ops")
        there.join("kept:ops")
        answer = operators.act("publish", room="kept:ops", data="a")
        assert (answer["offset"], answer["pending"]) == (1, True) and answer["epoch"]
        assert [c.next()["data"] for c in (here, there)] == ["a", "a"]
        both = operators.act("publish", rooms=["kept:ops", "kept:other"], data="b")
        assert {room: at["offset"] for room, at in both["positions"].items()} == {
            "kept:ops": 2, "kept:other": 1,
        }  # fmt: skip
        kept = operators.get("/api/rooms/kept:ops/history")
        assert [each["data"] for each in kept["messages"]] == ["a", "b"]
        assert operators.http.delete("/api/rooms/kept:ops/history").json()["offset"] == 2
        assert operators.get("/api/rooms/kept:ops/history")["messages"] == []
        assert operators.http.get("/api/rooms/plain/history").status_code == 404
        assert operators.stats()["history_messages"] >= 1


def test_a_repeated_request_acts_once_even_in_a_batch(server: Both) -> None:
    serve, operators = server
    body = {"calls": [
        {"method": "publish", "params": {"room": "kept:once", "data": 1}},
        {"method": "send", "params": {"connection": "nobody", "data": 1}},
        {"method": "broadcast", "params": {"data": 2}},
    ]}  # fmt: skip
    key = {"Idempotency-Key": "once"}
    answers = [operators.http.post("/api/batch", json=body, headers=key).json() for _ in range(2)]
    assert answers[0] == answers[1]
    first, second, third = answers[0]["results"]
    assert first["offset"] == 1 and second["status"] == 404 and "sent" in third
    assert operators.get("/api/rooms/kept:once/history")["offset"] == 1


def test_one_connection_and_one_user_are_found_wherever_they_are(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws?user=eve"), 2) as ((here,), (there,)):
        for client in (here, there):
            assert operators.act("send", connection=client.id, data=1) == {"sent": 1, **SENT}
            assert client.next() == 1
        assert operators.act("send", user="eve", data=2)["sent"] >= 2
        assert here.next() == there.next() == 2
        assert operators.http.post("/api/send", json={"connection": "x", "data": 1}).is_error
        assert operators.act("disconnect", connection=here.id, code=4000, reason="bye") == {
            "closed": 1
        }
        assert end_of(here) == (4000, "bye")
        assert operators.act("disconnect", user="eve")["closed"] >= 1
        assert end_of(there) == (1000, "")
        assert operators.act("disconnect", user="eve") == {"closed": 0}


def end_of(client: Client) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed):
        while True:
            client.next()
    assert client.socket.close_code is not None
    return client.socket.close_code, client.socket.close_reason or ""


def test_rooms_are_shown_noted_and_closed_as_one(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws"), 2) as ((here,), (there,)):
        here.join("whole")
        there.join("whole")
        assert {"name": "whole", "size": 2} in operators.get("/api/rooms")["rooms"]
        noted = operators.http.put("/api/rooms/whole/metadata", json={"topic": "tea"})
        assert noted.json() == {"topic": "tea"}
        room = operators.get("/api/rooms/whole")
        assert room["size"] == 2 and set(room["members"]) == {here.id, there.id}
        assert room["metadata"] == {"topic": "tea"}
        for client in (here, there):
            client.ask({"event": "topic", "room": "whole"})
            assert client.next()["data"] == "tea"
        assert operators.http.put("/api/rooms/%01/metadata", json={"a": 1}).status_code == 400
        assert operators.act("close-room", room="whole", code=4002) == {"closed": 2}
        assert [end_of(client)[0] for client in (here, there)] == [4002, 4002]
    assert operators.http.get("/api/rooms/whole").status_code == 404


def test_presence_is_that_of_all(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws?user=kim"), 2) as ((here,), (there,)):
        here.join("here:ops")
        there.join("here:ops")
        found = operators.get("/api/rooms/here:ops/presence")
        assert (found["clients"], found["users"]) == (2, 1)
        assert {each["id"] for each in found["members"]} == {here.id, there.id}
        assert operators.http.get("/api/rooms/plain/presence").status_code == 404


def test_connections_of_every_worker_are_found(server: Both) -> None:
    serve, operators = server
    with clients_of_each(serve.ws("/ws?user=kim"), 2) as ((here,), (there,)):
        found = operators.get("/api/connections?search=KIM")
        # There may be more: clients are opened until each worker has one.
        assert {each["connection"] for each in found["connections"]} >= {here.id, there.id}
        assert {each["worker"] for each in found["connections"]} == {1, 2}
        assert found["more"] is False
        (one,) = operators.get(f"/api/connections?search={there.id}")["connections"]
        assert one["user"] == "kim"


def test_what_processes_cost_is_of_all_of_them(server: Both) -> None:
    _, operators = server

    def told() -> Any:
        now = operators.stats()
        return now if all(each["open_files"] for each in now["workers"]) else None

    now = eventually(told)
    whole, workers = now["process"], now["workers"]
    assert whole["memory_bytes"] > sum(each["memory_bytes"] for each in workers)  # and main
    assert whole["cpu_seconds"] > max(each["cpu_seconds"] for each in workers)
    assert 0 < whole["open_files"] < whole["max_files"]
    scraped = samples(operators.http.get("/metrics").text)
    assert scraped["glyph_fast_memory_bytes", ()] > scraped["process_resident_memory_bytes", ()]
    assert {labels for name, labels in scraped if name == "glyph_fast_worker_open_files"} == {
        ("1",), ("2",),
    }  # fmt: skip


def test_the_dashboard_is_told_of_workers(server: Both) -> None:
    _, operators = server
    url = operators.url.replace("http", "ws") + "/live"
    with connect(url, proxy=None) as watcher:
        watcher.send(json.dumps({"token": TOKEN}))
        first = json.loads(watcher.recv(timeout=WITHIN_S))
        assert len(first["workers"]) == 2 and "history" in first
        assert "workers" in json.loads(watcher.recv(timeout=WITHIN_S))


def test_a_worker_that_is_stopped_does_not_hold_up_the_port() -> None:
    with serving("program:server", *OPTIONS, cwd=APP) as serve:
        operators = Operators(serve)
        with operators.http, clients_of_each(serve.ws("/ws"), 2) as ((near,), (far,)):
            near.join("blue")
            far.join("blue")
            before = operators.stats()
            os.kill(far.pid, signal.SIGSTOP)
            answer = operators.act("publish", room="blue", data=1)
            assert answer == {"sent": 1, **SENT, "pending": True}
            assert near.next() == 1
            now = operators.stats()
            assert now["connections"] == before["connections"]  # as far as is known
            lag = eventually(
                lambda: max(each["loop_lag_seconds"] for each in operators.stats()["workers"])
            )
            assert lag > 0
            assert operators.act("disconnect", connection=far.id) == {"closed": 0}
            os.kill(far.pid, signal.SIGCONT)
            assert far.next() == 1  # what it was told it does when it goes on
            assert end_of(far)[0] == 1000


def test_what_a_worker_did_stays_counted_when_it_dies() -> None:
    with serving("program:server", *OPTIONS, cwd=APP) as serve:
        operators = Operators(serve)
        with operators.http, clients_of_each(serve.ws("/ws"), 2) as ((_,), (far,)):
            eventually(lambda: all(each["cpu_seconds"] for each in operators.stats()["workers"]))
            before = operators.stats()
            os.kill(far.pid, signal.SIGKILL)
            eventually(lambda: operators.stats()["connections"] < before["connections"])
            now = operators.stats()
            assert now["process"]["cpu_seconds"] >= before["process"]["cpu_seconds"]
            assert now["messages_received"] >= before["messages_received"]
            assert now["connections_total"] >= before["connections_total"]
            eventually(lambda: sum(each["restarts"] for each in operators.stats()["workers"]) == 1)
            eventually(lambda: "a worker serves again" in serve.log())
            assert operators.get("/readyz") == {"status": "ok"}


def test_it_is_not_ready_until_every_worker_serves(tmp_path: Any) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    gate = tmp_path / "gate"
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    seen: list[Any] = []

    def ask() -> None:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as http:
            eventually(lambda: is_answered(http))
            answer = http.get("/readyz")
            seen.append((answer.status_code, answer.json()["status"]))
        gate.touch()

    thread = threading.Thread(target=ask)
    thread.start()
    options = ("--workers", "2", "--admin", f"127.0.0.1:{port}")
    with serving("slow:server", *options, cwd=tmp_path) as serve:
        thread.join(WITHIN_S)
        assert seen == [(503, "starting")]
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert serve.process.poll() is None


def is_answered(http: httpx.Client) -> bool:
    try:
        http.get("/healthz")
    except httpx.TransportError:
        return False
    return True


SLOW = """
import asyncio
from pathlib import Path

from glyph_fast import Server

server = Server()


@server.on_startup
async def wait():
    while not Path("gate").exists():
        await asyncio.sleep(0.02)
"""
