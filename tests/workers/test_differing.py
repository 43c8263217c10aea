"""What differs for a program with workers: each row of docs/workers.md's table has its tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from glyph_fast import Config, Server
from glyph_fast.errors import ConfigError
from glyph_fast.testing import TestClient
from tests.serving import ROOT, ServeProcess, serving
from tests.workers.clients import APP, Client, clients_of_each, eventually

PAGE = (ROOT / "docs" / "workers.md").read_text()

TESTED = {
    "variables of your program, get_data": [
        "test_differing.test_variables_and_data_are_of_one_worker",
        "test_game.test_players_of_every_worker_move_for_everybody",
    ],
    "hub.get_*, len(hub), iteration over a room": [
        "test_differing.test_what_the_hub_lists_is_in_this_worker",
        "test_differing.test_a_loop_over_connections_reaches_those_of_this_worker",
    ],
    "SendResult of a broadcast": ["test_serving.test_a_room_spans_the_workers"],
    "order": [
        "test_serving.test_messages_of_one_sender_keep_their_order",
        "test_streams.test_all_members_on_all_workers_get_one_order",
    ],
    "await hub.count(), hub.presence, hub.history": [
        "test_presence.test_counts_and_presence_are_of_the_whole_server",
        "test_streams.test_a_room_that_is_deleted_begins_anew_everywhere",
    ],
    "delete_room, disconnect_user, metadata of rooms": [
        "test_differing.test_a_room_is_deleted_everywhere_and_told_as_it_was_here",
        "test_differing.test_of_metadata_the_last_change_wins_and_what_is_no_json_stays",
        "test_presence.test_a_user_is_reached_and_sent_out_on_every_worker",
    ],
    "a client of events": ["test_events.test_a_message_may_come_by_any_worker"],
    "hub.send_to(id, message)": ["test_once.test_a_message_finds_a_connection_of_another_worker"],
    "limits of connections, addresses, users and handshakes, and of members of rooms with history "
    "or presence": ["test_scopes.test_the_limit_is_of_what_the_table_says"],
    "server.room while the server runs": [
        "test_seats.test_a_room_that_is_counted_from_now_on_counts_those_who_are_in_it",
    ],
    "on_startup, on_shutdown": ["test_differing.test_it_begins_and_ends_in_every_worker"],
    "@server.background": [
        "test_once.test_a_background_task_runs_in_one_worker_and_moves_when_that_dies",
        "test_game.test_players_of_every_worker_move_for_everybody",
    ],
    "server.worker, conn.worker": [
        "test_once.test_a_message_finds_a_connection_of_another_worker",
        "test_differing.test_one_process_is_worker_0",
    ],
    "await server.serve(), TestClient": [
        "test_differing.test_what_is_one_process_refuses_workers",
    ],
}


def test_every_row_has_tests() -> None:
    section = re.split(r"^## ", PAGE.partition("## What changes for your program\n")[2], flags=re.M)
    rows = re.findall(r"^\| (.+?) \| .+ \|$", section[0], re.M)[1:]
    assert list(TESTED) == [re.sub(r"`|\[|\]\(.*?\)", "", row) for row in rows]
    for name in (name for names in TESTED.values() for name in names):
        module, _, test = name.partition(".")
        assert f"\ndef {test}(" in (Path(__file__).parent / f"{module}.py").read_text(), name


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    notes = tmp_path_factory.mktemp("notes") / "notes"
    env = {"NOTES": str(notes)}
    with serving("differing:server", "--workers", "2", cwd=APP, env=env) as started:
        yield started


def ask(client: Client, event: str, room: str = "", data: Any = None) -> Any:
    client.ask({"event": event, "room": room, "data": data, "id": event})
    while True:
        message = client.next()
        if isinstance(message, dict) and message.get("id") == event:
            return message.get("data")


def test_variables_and_data_are_of_one_worker(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2, many=2) as ((here, near), (there, _)):
        ask(here, "note", data="tea")
        ask(there, "note", data="coffee")
        assert ask(here, "read") == ["tea", "tea"]
        assert ask(near, "read") == ["tea", None]  # data is its connection's
        assert ask(there, "read") == ["coffee", "coffee"]


def test_what_the_hub_lists_is_in_this_worker(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws?user=ann"), 2, many=2) as ((here, near), (there, far)):
        for client in (here, near, there):
            client.join("seen")
        for asking, its, others in ((here, [here, near], there), (far, [there, far], here)):
            own = sorted(each.id for each in its)
            members = sorted(each.id for each in its if each is not far)
            asked = {"room": "seen", "user": "ann", "id": others.id}
            seen = ask(asking, "see", data=asked)
            assert set(own) <= set(seen["connections"])
            assert others.id not in seen["connections"]
            assert seen["count"] == seen["len"] == len(seen["connections"])
            assert set(own) <= set(seen["of user"]) <= set(seen["connections"])
            assert (seen["connection"], seen["is there"]) == (False, True)
            assert (seen["members"], seen["size"]) == (members, len(members))
        ask(far, "delete", "seen")


def test_a_loop_over_connections_reaches_those_of_this_worker(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2, many=2) as ((here, near), (there, far)):
        here.ask({"event": "tell own", "data": "for you"})
        assert here.next() == near.next() == "for you"
        there.ask({"event": "tell own", "data": "for the others"})
        assert there.next() == far.next() == "for the others"  # and nothing before it


def test_a_room_is_deleted_everywhere_and_told_as_it_was_here(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        there.join("short-lived")
        assert ask(here, "delete", "short-lived") is False  # there was none in its worker
        eventually(lambda: ask(there, "rooms") == [])
        for client in (here, there):
            client.join("short-lived")
        assert ask(here, "delete", "short-lived") is True
        assert ask(here, "rooms") == []
        eventually(lambda: ask(there, "rooms") == [])


def test_of_metadata_the_last_change_wins_and_what_is_no_json_stays(server: ServeProcess) -> None:
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        ask(here, "describe", "described", {"a": "1", "b": "1"})
        eventually(lambda: ask(there, "described", "described") == {"a": "1", "b": "1"})
        ask(there, "describe", "described", {"b": "2"})
        eventually(lambda: ask(here, "described", "described") == {"a": "1", "b": "2"})
        ask(here, "describe", "own", {"a": "no JSON"})
        assert ask(here, "described", "own") == {"a": "<object"}
        assert ask(there, "described", "own") == {}
        assert "not for other workers" in server.log()


def test_it_begins_and_ends_in_every_worker(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with serving(
        "differing:server", "--workers", "2", cwd=APP, env={"NOTES": str(notes)}
    ) as server:
        assert sorted(notes.read_text().splitlines()) == ["began 1", "began 2"]
        assert server.stop() == 0
    assert sorted(notes.read_text().splitlines()[2:]) == ["ended 1", "ended 2"]


def test_one_process_is_worker_0(run: Callable[..., Any]) -> None:
    server = Server()

    @server.on_connect
    def welcome(conn: Any) -> None:
        conn.send_json([server.worker, conn.worker])

    async def main() -> None:
        async with TestClient(server) as client:
            assert await (await client.connect()).receive_json() == [0, 0]

    run(main())


def test_what_is_one_process_refuses_workers(run: Callable[..., Any]) -> None:
    async def main() -> None:
        with pytest.raises(ConfigError, match="workers"):
            await Server(Config(workers=2)).serve(port=0)
        with pytest.raises(ConfigError, match="workers"):
            async with TestClient(Server(Config(workers=2))):
                pass
        async with TestClient(Server(Config(workers=2)), workers=1):
            pass  # which the error says

    run(main())
