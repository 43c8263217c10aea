"""On real sockets: both engines, several workers, and a successor by SIGHUP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets
from websockets.sync.client import ClientConnection, connect

from tests.broker_servers import redis_for_processes
from tests.serving import ServeProcess, serving
from tests.succession import Service, succession

PROGRAM = """
from glyph_fast import Server
server = Server()
server.centrifuge()
server.room("*", client_join=True, history_size=100, presence=True)
"""
WITHIN_S = 20.0


class Client:
    """A connection that has connected; `pushes` are what came beside the answers."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.pushes: list[Any] = []
        self._id = 0
        self._lines: list[str] = []
        self.ask("connect")

    def heard(self) -> Any:
        while not self._lines:
            text = self.socket.recv(timeout=WITHIN_S)
            assert isinstance(text, str)
            self._lines = [line for line in text.split("\n") if line != "{}"]
        return json.loads(self._lines.pop(0))

    def ask(self, kind: str, **fields: Any) -> Any:
        self._id += 1
        self.socket.send(json.dumps({"id": self._id, kind: fields}))
        while (message := self.heard()).get("id") != self._id:
            self.pushes.append(message["push"])
        return message[kind]

    def publication(self) -> Any:
        while True:
            push = self.pushes.pop(0) if self.pushes else self.heard()["push"]
            if "pub" in push:
                return push["pub"]


@contextmanager
def client_of(server: ServeProcess) -> Iterator[Client]:
    with connect(server.ws("/connection/websocket")) as socket:
        yield Client(socket)


@pytest.fixture(params=["native", "asyncio", "workers"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    (tmp_path / "program.py").write_text(PROGRAM)
    options = ("--engine", request.param)
    if request.param == "workers":
        options = ("--workers", "2")
    with succession("program:server", *options, cwd=tmp_path) as started:
        yield started


def test_one_order_for_all_and_who_was_away_recovers(server: ServeProcess) -> None:
    with client_of(server) as ann, client_of(server) as bob, client_of(server) as eve:
        for each in (ann, bob, eve):
            epoch = each.ask("subscribe", channel="a")["epoch"]
        eve.socket.close()
        for n in range(20):
            (ann if n % 2 else bob).ask("publish", channel="a", data=n)
        offsets = [[each.publication()["offset"] for _ in range(20)] for each in (ann, bob)]
        assert offsets == [list(range(1, 21))] * 2
        for _ in range(4):  # on both workers with near certainty
            with client_of(server) as again:
                asked = {"channel": "a", "recover": True, "epoch": epoch, "offset": 3}
                result = again.ask("subscribe", **asked)
                assert result["recovered"]
                assert [each["offset"] for each in result["publications"]] == [*range(4, 21)]
                ids = again.ask("presence", channel="a")["presence"]
                assert len(ids) >= 3


def test_a_successor_goes_on_where_the_former_process_was(server: Service) -> None:
    with client_of(server) as ann:
        epoch = ann.ask("subscribe", channel="a")["epoch"]
        for n in range(5):
            ann.ask("publish", channel="a", data=n)
        server.restart()
        with pytest.raises(websockets.ConnectionClosed) as caught:
            while True:
                ann.heard()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (3001, "shutdown")
    with client_of(server) as again:
        asked = {"channel": "a", "recover": True, "epoch": epoch, "offset": 2}
        result = again.ask("subscribe", **asked)
        again.ask("publish", channel="a", data="after")
        assert again.publication()["offset"] == 6
    assert result["recovered"]
    assert [each["data"] for each in result["publications"]] == [2, 3, 4]


def test_two_nodes_that_share_a_redis(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    with redis_for_processes() as redis, ExitStack() as stack:
        options = ("program:server", "--broker", redis.url)
        nodes = [stack.enter_context(serving(*options, cwd=tmp_path)) for _ in range(2)]
        ann, bob = (stack.enter_context(client_of(node)) for node in nodes)
        for each in (ann, bob):
            epoch = each.ask("subscribe", channel="a")["epoch"]
        for n in range(10):
            (ann if n % 2 else bob).ask("publish", channel="a", data=n)
        offsets = [[each.publication()["offset"] for _ in range(10)] for each in (ann, bob)]
        assert offsets == [list(range(1, 11))] * 2
        assert ann.ask("presence_stats", channel="a")["num_clients"] == 2
        ann.ask("unsubscribe", channel="a")
        asked = {"channel": "a", "recover": True, "epoch": epoch, "offset": 4}
        result = ann.ask("subscribe", **asked)
        assert [each["offset"] for each in result["publications"]] == [*range(5, 11)]
