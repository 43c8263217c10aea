"""Several servers that share a NATS server, met from outside: one server, in all clients see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed

from tests.broker.nats.meeting import Node, node
from tests.nats_servers import NatsServer, nats_server
from tests.workers.clients import Client, eventually


class Nodes(NamedTuple):
    nats: NatsServer
    one: Node
    other: Node

    @contextmanager
    def clients(self, *users: str) -> Iterator[list[Client]]:
        """A client of each node in turn."""
        with ExitStack() as stack:
            servers = [self.one.server, self.other.server] * len(users)
            yield [
                Client(server.ws("/ws") + (f"?user={user}" if user else ""), stack)
                for server, user in zip(servers, users, strict=False)
            ]


@contextmanager
def nodes(*options: str) -> Iterator[Nodes]:
    with nats_server() as nats, node(nats.url, *options) as one, node(nats.url, *options) as other:
        for each in one, other:
            eventually(lambda each=each: each.ready() == (200, {"status": "ok", "broker": "up"}))
        yield Nodes(nats, one, other)


@pytest.fixture(scope="module", params=[(), ("--workers", "2")], ids=["processes", "workers"])
def two(request: pytest.FixtureRequest) -> Iterator[Nodes]:
    with nodes(*request.param) as started:
        yield started


def ask(client: Client, event: str, data: Any = None) -> Any:
    client.ask({"event": event, "data": data, "id": event})
    while True:
        answer = client.next()
        if isinstance(answer, dict) and answer.get("id") == event:
            return answer.get("data")


def heard(client: Client) -> Any:
    """The next message that is none of presence."""
    while True:
        message = client.next()
        if not (isinstance(message, dict) and message.get("type") == "presence"):
            return message


NAMES = [
    "plain:a",
    "plain:>",
    "plain:*",
    "plain:a.b.*",
    "plain:} {",
    "plain:é",
    "plain:x y",
]


@pytest.mark.parametrize("room", NAMES)
def test_a_room_spans_the_nodes_and_reaches_no_other(two: Nodes, room: str) -> None:
    with two.clients("", "", "", "") as (here, there, _, other):
        there.join(room)
        other.join("plain:b")
        time.sleep(0.3)  # until the broker knows
        assert ask(here, "say", {"room": room, "say": 1})["pending"]
        assert heard(there) == 1
        assert ask(here, "say", {"room": "plain:b", "say": 2})["pending"]
        assert heard(other) == 2


def test_messages_of_one_sender_keep_their_order_and_come_once(two: Nodes) -> None:
    with two.clients("", "") as (here, there):
        here.join("plain:order")
        there.join("plain:order")
        time.sleep(0.3)
        for n in range(500):
            here.ask({"event": "say", "data": {"room": "plain:order", "say": n}})
        found = [heard(there) for _ in range(500)]
        assert found == list(range(500))
        ask(here, "say", {"room": "plain:order", "say": "last"})
        assert heard(there) == "last"


def test_users_connections_and_everybody_are_reached_everywhere(two: Nodes) -> None:
    with two.clients("ada", "bob.*") as (here, there):
        assert ask(here, "say", {"user": "bob.*", "say": "to bob"})["pending"]
        assert there.socket.recv(timeout=20) == "to bob"
        ask(here, "say", {"connection": there.id, "say": "to one"})
        assert there.socket.recv(timeout=20) == "to one"
        ask(here, "say", {"say": "to all"})
        assert heard(there) == "to all"
        ask(here, "send out", "bob.*") if False else here.ask(
            {"event": "send out", "data": "bob.*"}
        )
        with pytest.raises(ConnectionClosed):
            there.socket.recv(timeout=20)
        assert there.socket.close_code == 4001


def test_operators_reach_all_nodes_from_one(two: Nodes) -> None:
    with two.clients("", "eve") as (here, there):
        there.join("plain:api")
        time.sleep(0.3)
        assert two.one.call("publish", {"room": "plain:api", "data": {"n": 1}})["pending"]
        assert heard(there) == {"n": 1}
        two.one.call("send", {"user": "eve", "data": {"n": 2}})
        assert heard(there) == {"n": 2}
        two.one.call("broadcast", {"data": {"n": 3}})
        assert heard(there) == {"n": 3}
        assert heard(here) == {"n": 3}
        here.join("plain:closing")
        two.other.call("close-room", {"room": "plain:closing", "code": 4003})
        with pytest.raises(ConnectionClosed):
            here.socket.recv(timeout=20)
        assert here.socket.close_code == 4003
        two.one.call("disconnect", {"user": "eve"})
        with pytest.raises(ConnectionClosed):
            there.socket.recv(timeout=20)


def test_operators_close_a_connection_of_another_node_by_its_id(two: Nodes) -> None:
    with two.clients("", "", "") as (here, there, third):
        assert two.one.call("disconnect", {"connection": here.id, "code": 4001})["closed"] == 1
        assert two.one.call("disconnect", {"connection": there.id, "code": 4002}) == {"closed": 0}
        assert two.one.call("disconnect", {"connection": "nobody"}) == {"closed": 0}
        for client, code in ((here, 4001), (there, 4002)):
            with pytest.raises(ConnectionClosed):
                client.socket.recv(timeout=20)
            assert client.socket.close_code == code
        ask(third, "say", {"connection": third.id, "say": {"n": 1}})


def test_commands_of_centrifugo_reach_the_connections_of_all_nodes(two: Nodes) -> None:
    with two.clients("", "cleo", "", "cleo") as (here, there, _, other):
        two.one.command("subscribe", {"user": "cleo", "channel": "plain:cent"})
        eventually(lambda: ask(here, "count", "plain:cent")["counts"][1] == 2)
        one = {"user": "cleo", "client": there.id}
        two.one.command("unsubscribe", {**one, "channel": "plain:cent"})
        eventually(lambda: ask(here, "count", "plain:cent")["counts"][1] == 1)
        two.one.command("disconnect", one)
        two.one.command("refresh", {"user": "cleo", "client": other.id, "expired": True})
        for client, code in ((there, 3503), (other, 3005)):
            with pytest.raises(ConnectionClosed):
                client.socket.recv(timeout=20)
            assert client.socket.close_code == code


def test_counts_presence_and_notes_are_of_all_nodes(two: Nodes) -> None:
    with two.clients("ada", "bob", "", "") as (here, there, _, late):
        before = ask(here, "count", "here:all")["counts"][0]
        assert before >= 4
        here.join("here:all")
        there.ask({"type": "join_room", "room": "here:all", "presence": True, "id": "j"})
        joined = there.next()
        found = eventually(
            lambda: (got := ask(here, "count", "here:all"))["counts"][1] == 2 and got
        )
        assert found["present"] == sorted([here.id, there.id])
        assert {each["id"] for each in joined["data"]["presence"]["members"]} >= {here.id}
        late.join("here:all")
        message = there.next()
        assert [each["id"] for each in message["data"]["joined"]] == [late.id]
        ask(here, "describe", "tea")
        assert eventually(lambda: ask(there, "topic") == "tea")


def test_a_message_that_the_broker_does_not_take_raises(two: Nodes) -> None:
    if len(two.one.pids()) > 1:
        return  # of workers the main process knows the limit, and logs what is beyond it
    with two.clients("") as (here,):
        assert "at most 1048" in ask(here, "large")


def test_members_of_a_node_that_is_killed_leave_once(two: Nodes) -> None:
    options = ("--workers", "2") if len(two.one.pids()) > 1 else ()
    with node(two.nats.url, *options) as third, ExitStack() as stack:
        eventually(lambda: third.ready()[0] == 200)
        gone = Client(third.server.ws("/ws"), stack)
        gone.join("here:killed")
        with two.clients("") as (here,):
            here.ask({"type": "join_room", "room": "here:killed", "presence": True, "id": "j"})
            members = {each["id"] for each in here.next()["data"]["presence"]["members"]}
            if gone.id not in members:
                assert [each["id"] for each in here.next()["data"]["joined"]] == [gone.id]
            for pid in third.pids()[::-1]:
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            left = []
            while not left:
                left += [each["id"] for each in here.next()["data"].get("left", [])
                         if each["id"] == gone.id]  # fmt: skip
            assert time.monotonic() - killed < 15
            assert left == [gone.id]
            third.server.process.wait(10)
            with pytest.raises(TimeoutError):
                here.socket.recv(timeout=1)


def test_a_node_that_was_stopped_comes_back_with_its_members(two: Nodes) -> None:
    with two.clients("", "") as (here, there):
        there.join("here:stopped")
        here.ask({"type": "join_room", "room": "here:stopped", "presence": True, "id": "j"})
        here.next()
        pids = two.other.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            while there.id not in [each["id"] for each in here.next()["data"].get("left", [])]:
                pass
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        while there.id not in [each["id"] for each in here.next()["data"].get("joined", [])]:
            pass
        assert ask(there, "say", {"room": "here:stopped", "say": "back"})["pending"]
        assert heard(here) == "back"


def test_the_broker_may_be_killed_stopped_and_started_again(two: Nodes) -> None:
    with two.clients("", "") as (here, there):
        there.join("plain:outage")
        here.join("plain:outage")
        two.nats.kill()
        try:
            eventually(lambda: two.one.ready() == (200, {"status": "ok", "broker": "lost"}))
            eventually(lambda: two.other.ready()[1]["broker"] == "lost")
            assert two.one.metric("glyph_fast_broker_up") == 0
            before = two.one.metric("glyph_fast_broker_lost_total")
            ask(here, "say", {"room": "plain:outage", "say": 1})  # members here go on
            eventually(lambda: two.one.metric("glyph_fast_broker_lost_total") > before)
        finally:
            two.nats.start()
        for each in two.one, two.other:
            eventually(lambda each=each: each.ready()[1]["broker"] == "up")
        ask(here, "say", {"room": "plain:outage", "say": 2})
        assert heard(there) == 2
        two.nats.pause()
        time.sleep(5)
        two.nats.resume()
        eventually(lambda: two.one.ready()[1]["broker"] == two.other.ready()[1]["broker"] == "up")
        ask(here, "say", {"room": "plain:outage", "say": 3})
        assert heard(there) == 3


def test_a_broker_that_is_not_there_is_waited_for() -> None:
    with nats_server() as nats:
        nats.kill()
        with node(nats.url, "--ready-needs-broker") as one:
            assert one.ready() == (503, {"status": "starting", "broker": "waiting"})
            nats.start()
            eventually(lambda: one.ready() == (200, {"status": "ok", "broker": "up"}))
            nats.kill()
            eventually(lambda: one.ready() == (503, {"status": "ok", "broker": "lost"}))


REFUSED = [
    ("room", 'room "kept:*" has a history', 2),
    ("layer", "glyph_fast.channels.Layer reaches one server", 2),
    ("background", "NATS knows no leader", 2),
    ("password", "the broker refuses this server: ", 3),
]
PROGRAMS = {
    "room": 'server.room("kept:*", history_size=1)',
    "background": 'server.background(f, on="cluster")',
    "password": "",
    "layer": """
from django.conf import settings
settings.configure(CHANNEL_LAYERS={"default": {"BACKEND": "glyph_fast.channels.Layer"}})
""",
}


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(("what", "says", "status"), REFUSED)
def test_what_cannot_be_is_refused_at_the_start_by_one_line(
    tmp_path: Path, what: str, says: str, status: int, workers: str
) -> None:
    program = (
        f"from glyph_fast import Server\nserver = Server()\nasync def f(): ...\n{PROGRAMS[what]}"
    )
    (tmp_path / "refused.py").write_text(program)
    with nats_server("--user", "u", "--pass", "right", login="u:WRONG@") as nats:
        command = [sys.executable, "-m", "glyph_fast", "serve", "refused:server", "--port", "0"]
        ended = subprocess.run(
            [*command, "--workers", workers, "--broker", nats.url],
            cwd=tmp_path, capture_output=True, text=True, timeout=50,
        )  # fmt: skip
    assert ended.returncode == status, ended.stderr
    told = [
        line
        for line in ended.stderr.splitlines()
        if says.replace('"', "'") in line.replace('"', "'")
    ]
    assert len(told) == 1, ended.stderr
    assert "WRONG" not in ended.stdout + ended.stderr
