"""A server with workers that shares a NATS server, and is replaced by SIGHUP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from tests.broker.nats.meeting import APP, Node, node
from tests.nats_servers import nats_server
from tests.succession import Service, succession
from tests.workers.clients import Client, eventually

ROOM = "here:succession"


@pytest.fixture
def both() -> Iterator[tuple[Service, Node]]:
    """The server that is to be replaced, and another node."""
    with nats_server() as nats, node(nats.url) as other:
        env = {"GLYPH_FAST_BROKER": nats.url}
        with succession("program:server", "--workers", "2", cwd=APP, env=env) as service:
            eventually(lambda: other.ready()[1]["broker"] == "up")
            yield service, other


def ids(message: object, what: str) -> list[str]:
    assert isinstance(message, dict)
    return [each["id"] for each in message["data"].get(what, [])]


def hear(client: Client, text: str) -> None:
    """Read until a message comes."""
    while client.next() != text:
        pass


def say(client: Client, text: str) -> None:
    client.ask({"event": "say", "data": {"room": ROOM, "say": text}})


def test_other_nodes_meet_the_successor_and_no_member_stays_behind(
    both: tuple[Service, Node],
) -> None:
    service, other = both
    with ExitStack() as stack:
        there = Client(service.ws("/ws"), stack)
        there.join(ROOM)
        here = Client(other.server.ws("/ws"), stack)
        here.ask({"type": "join_room", "room": ROOM, "presence": True, "id": "j"})
        members = [each["id"] for each in here.next()["data"]["presence"]["members"]]
        if there.id not in members:
            assert ids(here.next(), "joined") == [there.id]

        service.restart()
        with pytest.raises(ConnectionClosed):
            while True:
                there.socket.recv(timeout=20)
        assert there.socket.close_code == 1012
        again = Client(service.ws("/ws"), stack)
        again.join(ROOM)

        left, joined = [], []
        while there.id not in left or again.id not in joined:
            message = here.next()
            left += ids(message, "left")
            joined += ids(message, "joined")
        assert (left, joined) == ([there.id], [again.id])
        say(here, "to the successor")
        hear(again, "to the successor")
        say(again, "from the successor")
        hear(here, "from the successor")
        here.ask({"event": "count", "data": ROOM, "id": "c"})
        while (answer := here.next()) == "from the successor" or answer.get("id") != "c":
            pass
        assert answer["data"]["counts"] == [2, 2], json.dumps(answer)
        assert "ERROR" not in service.log(), service.log()
