"""Who is there, and what is known of rooms and users, over several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, WITHIN_S, Client, clients_of_each, eventually


@pytest.fixture(scope="module")
def server() -> Iterator[ServeProcess]:
    with serving("program:server", "--workers", "2", cwd=APP) as started:
        yield started


def follow(client: Client, room: str) -> set[str]:
    """Join a room with presence; return the ids of who is there."""
    client.ask({"type": "join_room", "room": room, "presence": True})
    while True:
        message = client.next()
        data = message.get("data")
        if isinstance(data, dict) and "presence" in data:
            return {each["id"] for each in data["presence"]["members"]}


def changes(client: Client, until: set[str], now: set[str]) -> set[str]:
    """Apply what is told until as many as expected are there; each may come and go once."""
    seen: list[str] = []
    while now != until:
        message = client.next()
        if message.get("type") != "presence":
            continue
        joined = [each["id"] for each in message["data"]["joined"]]
        left = [each if isinstance(each, str) else each["id"] for each in message["data"]["left"]]
        assert not set(left) & set(seen), "left twice"
        seen += left
        now = (now | set(joined)) - set(left)
    return now


def ask(client: Client, event: str, room: str = "", data: Any = None) -> Any:
    client.ask({"event": event, "room": room, "data": data, "id": event})
    while True:
        message = client.next()
        if isinstance(message, dict) and message.get("id") == event:
            return message.get("data")


def test_members_of_other_workers_are_seen_as_they_come_and_go(server: ServeProcess) -> None:
    room = "here:a"
    with clients_of_each(server.ws("/ws"), 2, many=2) as ((here, near), (there, far)):
        now = follow(here, room)
        changes(here, {here.id}, now)
        for client in (there, near, far):
            client.join(room)
        everyone = {here.id, near.id, there.id, far.id}
        changes(here, everyone, {here.id})
        there.ask({"type": "leave_room", "room": room})
        changes(here, everyone - {there.id}, everyone)
        late = follow(there, room)
        assert late | {there.id} == everyone


def test_counts_and_presence_are_of_the_whole_server(server: ServeProcess) -> None:
    room = "here:counted"
    with clients_of_each(server.ws("/ws"), 2, many=2) as ((a, b), (c, d)):
        for client in (a, b, c):
            client.join(room)
        found = ask(d, "count", room)
        assert found["counts"][0] >= 4 and found["counts"][1] == 3
        assert set(found["present"]) == {a.id, b.id, c.id}


def test_who_was_in_a_worker_that_was_killed_leaves_once() -> None:
    room = "here:killed"
    with (
        serving("program:server", "--workers", "2", cwd=APP) as server,
        clients_of_each(server.ws("/ws"), 2, many=3) as (these, those),
    ):
        watcher = these[0]
        now = follow(watcher, room)
        everyone = {each.id for each in (*these, *those)}
        for client in (*these[1:], *those):
            client.join(room)
        changes(watcher, everyone, now)
        os.kill(those[0].pid, signal.SIGKILL)
        changes(watcher, {each.id for each in these}, everyone)
        eventually(lambda: "a worker serves again" in server.log())


def test_what_is_noted_about_a_room_is_known_everywhere(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        assert ask(here, "describe", "noted", "tea") == "described"
        eventually(lambda: ask(there, "topic", "noted") == "tea")
        ask(there, "describe", "noted", "coffee")
        eventually(lambda: ask(here, "topic", "noted") == "coffee")


def test_what_was_noted_before_is_known_to_a_worker_that_comes_later() -> None:
    with serving("program:server", "--workers", "2", cwd=APP) as server:
        with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
            ask(here, "describe", "noted", "tea")
            os.kill(there.pid, signal.SIGKILL)
            eventually(lambda: "a worker serves again" in server.log())
        with clients_of_each(server.ws("/ws"), 2) as ((one,), (other,)):
            assert ask(one, "topic", "noted") == ask(other, "topic", "noted") == "tea"


def test_a_user_is_reached_and_sent_out_on_every_worker(server: ServeProcess) -> None:
    url = server.ws("/ws?user=ann")
    with (
        clients_of_each(url, 2) as ((ann,), (also_ann,)),
        clients_of_each(server.ws("/ws"), 2) as ((other,), _),
    ):
        other.ask({"event": "to user", "data": "ann"})
        for client in (ann, also_ann):
            assert client.socket.recv(timeout=WITHIN_S) == "for you"
        assert ask(other, "send out", data="ann") >= 1
        for client in (ann, also_ann):
            with pytest.raises(ConnectionClosed) as closed:
                client.socket.recv(timeout=WITHIN_S)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 4001
