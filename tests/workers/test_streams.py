"""Rooms that remember, over several processes: one order, one history, nothing missed."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, Client, client_of, clients_of_each, eventually


@pytest.fixture(scope="module")
def server() -> Iterator[ServeProcess]:
    with serving("program:server", "--workers", "2", cwd=APP) as started:
        yield started


def joined(client: Client, room: str, **more: Any) -> Any:
    client.ask({"type": "join_room", "room": room, **more})
    return client.next()["data"]


def broadcast(client: Client, room: str, data: Any) -> None:
    client.ask({"type": "broadcast", "room": room, "data": data})


def test_all_members_on_all_workers_get_one_order(server: ServeProcess) -> None:
    room = "kept:order"
    with clients_of_each(server.ws("/ws"), 2, many=3) as (these, those):
        listeners, senders = [these[0], those[0]], [*these[1:], *those[1:]]
        for each in listeners:
            assert joined(each, room)["offset"] == 0
        for each in senders:
            joined(each, room)
        for n in range(100):
            for sender in senders:
                broadcast(sender, room, [sender.id, n])
        got = [[each.next() for _ in range(400)] for each in listeners]
        assert [m["offset"] for m in got[0]] == list(range(1, 401))
        assert [m["data"] for m in got[0]] == [m["data"] for m in got[1]]
        for sender in senders:  # and the messages of each in the order in which it sent them
            own = [m["data"][1] for m in got[0] if m["data"][0] == sender.id]
            assert own == list(range(100))


@pytest.mark.parametrize("room", ["kept:again", "again"])
def test_a_room_left_and_joined_again_at_once_is_heard(server: ServeProcess, room: str) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        here.join(room)
        for number in range(3):
            here.ask({"event": "join again", "id": "again", "room": room})
            assert here.next()["data"] == "joined"
            there.ask({"event": "say", "room": room, "data": number})
            assert here.next() == number


def test_what_was_missed_is_resumed_on_another_worker(server: ServeProcess) -> None:
    room = "kept:resume"
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        start = joined(there, room)
        joined(here, room)
        for n in range(10):
            broadcast(here, room, n)
        since = {"epoch": start["epoch"], "offset": start["offset"] + 4}
        with ExitStack() as stack:
            for _ in range(8):  # on both workers with near certainty
                client = stack.enter_context(client_of(server.ws("/ws")))
                answer = joined(client, room, since=since)
                assert answer["resumed"] is True
                assert [m["data"] for m in answer["messages"]] == list(range(4, 10))


def test_a_publication_with_a_key_happens_once_in_the_whole_server(server: ServeProcess) -> None:
    room = "kept:once"
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        joined(there, room)
        asked = {"event": "publish", "room": room, "data": {"data": {"n": 1}, "key": "k1"}, "id": 1}
        positions = []
        for client in (here, there, here):
            client.ask(asked)
            answer = client.next()
            while "offset" in answer:  # the message itself
                answer = client.next()
            positions.append(answer["data"])
        assert positions[0] == positions[1] == positions[2]
        there.ask({"event": "remembered", "room": room, "id": 2})
        assert there.next()["data"] == {"offset": 1, "data": [{"n": 1}]}


def test_a_room_that_is_deleted_begins_anew_everywhere(server: ServeProcess) -> None:
    room = "kept:deleted"
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        before = joined(there, room)
        joined(here, room)
        here.ask({"event": "publish", "room": room, "data": {"data": "a", "key": "x"}, "id": 1})
        there.next()
        here.ask({"event": "delete", "room": room, "id": 2})
        answers = [here.next() for _ in range(3)]
        assert answers[-1]["data"] == "deleted"

        def is_left() -> bool:  # the other worker hears of it a moment later
            there.ask({"event": "count", "room": room, "id": 3})
            answer = there.next()
            assert answer.get("id") == 3, answer
            return answer["data"]["counts"][1] == 0

        eventually(is_left)
        again = joined(there, room, since={"epoch": before["epoch"], "offset": 1})
        assert again["resumed"] is False and again["epoch"] != before["epoch"]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_missed_when_connections_and_workers_die(seed: int) -> None:
    """Clients that come back with their position get every message once, in order."""
    draw = random.Random(seed)
    room, count = "kept:torn", 600
    with serving("program:server", "--workers", "2", cwd=APP) as server:
        is_done = threading.Event()
        acknowledged: list[int] = []

        def publish() -> None:
            n = 0
            while n < count:
                try:
                    with client_of(server.ws("/ws")) as client:
                        while n < count:
                            key = f"key-{seed}-{n}"
                            data = {"data": [n], "key": key}
                            client.ask({"event": "publish", "room": room, "data": data, "id": n})
                            assert client.next()["data"]["offset"]
                            acknowledged.append(n)
                            n += 1
                except Exception:
                    continue  # and the same again, under its key
            is_done.set()

        publisher = threading.Thread(target=publish)
        publisher.start()
        got: list[Any] = []
        since: Any = None
        kills = 0
        while len(got) < count:
            try:
                with client_of(server.ws("/ws")) as client:
                    answer = joined(client, room, **({"since": since} if since else {}))
                    while "epoch" not in answer:
                        raise AssertionError(answer)
                    early = []  # what came before the answer that it does not have
                    if since:
                        assert answer["resumed"] is True
                    else:
                        client.ask({"type": "history", "room": room, "limit": 1000})
                        while "target" not in (first := client.next()):
                            early.append(first)
                        answer = first["data"]
                    got += [m["data"] for m in answer["messages"]]
                    since = {"epoch": answer["epoch"], "offset": answer["offset"]}
                    for message in early:
                        if message["offset"] > since["offset"]:
                            got.append(message["data"])
                            since["offset"] = message["offset"]
                    for _ in range(draw.randrange(5, 60)):
                        if len(got) >= count:
                            break
                        message = client.next()
                        if message["offset"] <= since["offset"]:
                            continue
                        assert message["offset"] == since["offset"] + 1
                        got.append(message["data"])
                        since["offset"] = message["offset"]
                    if kills < 2 and draw.random() < 0.3:
                        kills += 1
                        os.kill(client.pid, signal.SIGKILL)
            except (OSError, EOFError, TimeoutError):
                continue
            except Exception as exc:
                if type(exc).__module__.startswith("websockets"):
                    continue
                raise
        publisher.join()
        assert is_done.is_set()
        assert got == [[n] for n in range(count)]
        eventually(lambda: kills == 0 or "a worker is gone" in server.log())
