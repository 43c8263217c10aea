"""How many members a room may have, over several processes."""

from __future__ import annotations

import http.client
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, WITHIN_S, eventually
from tests.workers.guests import JOIN, guests

MOST = 20  # of a room of the program
WAYS = [
    pytest.param("kept:a", JOIN, id="history"),
    pytest.param("here:a", JOIN, id="presence"),
    pytest.param("here:b", {"type": "join_room", "presence": True}, id="presence that is followed"),
    pytest.param("kept:b", {"event": "join"}, id="conn.join"),
    pytest.param("here:c", {"event": "join"}, id="conn.join with presence"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ServeProcess]:
    with serving("limited:server", "--workers", "2", cwd=APP) as started:
        yield started


@pytest.mark.parametrize(("room", "message"), WAYS)
def test_of_many_at_once_as_many_get_in_as_there_is_space_for(
    server: ServeProcess, room: str, message: dict[str, Any]
) -> None:
    with guests(server, 50) as all_of_them:
        for each in all_of_them:
            each.ask(room, message)
        answers = [each.answer() for each in all_of_them]
        assert Counter(answers) == {"joined": MOST, "room is full": 50 - MOST}
        members = [each for each, it in zip(all_of_them, answers, strict=True) if it == "joined"]
        others = [each for each in all_of_them if each not in members]
        assert members[0].do(room, message) == "joined"  # it is one already
        assert members[0].do(room, {"type": "leave_room"}) == "left"
        assert [each.do(room, message) for each in others[:2]] == ["joined", "room is full"]
        members[1].socket.close()
        eventually(lambda: others[2].do(room, message) == "joined")
        assert others[3].do(room, message) == "room is full"


def test_join_room_knows_its_own_process_and_is_counted_by_who_asks(server: ServeProcess) -> None:
    with guests(server, 50) as all_of_them:
        here = [each for each in all_of_them if each.pid == all_of_them[0].pid]
        there = [each for each in all_of_them if each not in here]
        at_once = {"event": "join at once"}
        first, second = here[: MOST // 2], there[: MOST // 2 + 1]
        assert {each.do("kept:c", JOIN) for each in first} == {"joined"}
        assert {each.do("kept:c", at_once) for each in second} == {"joined"}  # one too many
        assert here[-1].do("kept:c", JOIN) == there[-1].do("kept:c", JOIN) == "room is full"
        assert second[0].do("kept:c", {"type": "leave_room"}) == "left"
        assert here[-1].do("kept:c", JOIN) == "room is full"
        assert second[1].do("kept:c", {"type": "leave_room"}) == "left"
        assert there[-1].do("kept:c", JOIN) == "joined"


def test_the_members_of_a_worker_that_is_killed_make_space() -> None:
    with (
        serving("limited:server", "--workers", "2", cwd=APP) as server,
        guests(server, 50) as all_of_them,
    ):
        survivor = all_of_them[0].pid
        here = [each for each in all_of_them if each.pid == survivor]
        [dead] = {each.pid for each in all_of_them} - {survivor}
        for each in all_of_them:
            each.ask("kept:d", JOIN)
        answers = {each: each.answer() for each in all_of_them}
        outside = [each for each in here if answers[each] != "joined"]
        left = sum(each.pid == dead and answers[each] == "joined" for each in all_of_them)
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: "a worker serves again" in server.log())
        with guests(server, 40) as new:
            more = [each.do("kept:d", JOIN) for each in (*outside, *new)]
        assert more == ["joined"] * left + ["room is full"] * (len(more) - left)


def test_a_room_that_is_counted_from_now_on_counts_those_who_are_in_it(
    server: ServeProcess,
) -> None:
    room = "plain:late"
    with guests(server, 50) as all_of_them:
        first = all_of_them[0]
        here = [each for each in all_of_them if each.pid == first.pid][:4]
        there = [each for each in all_of_them if each.pid != first.pid]
        assert {each.do(room, JOIN) for each in here} == {"joined"}
        for each in (first, there[0]):  # what is declared at run time holds in its worker
            assert each.do(room, {"event": "declare"}) == "declared"
        assert [each.do(room, JOIN) for each in there[:3]] == ["joined", "joined", "room is full"]
        assert {each.do(room, {"type": "leave_room"}) for each in here} == {"left"}
        answers = [each.do(room, JOIN) for each in (*here, *there[3:5])]
        assert answers == ["joined"] * 4 + ["room is full"] * 2


def test_a_stream_of_events_finds_a_room_full_of_members_elsewhere(server: ServeProcess) -> None:
    room = "kept:e"
    with guests(server, 50) as all_of_them, ExitStack() as stack:
        assert {each.do(room, JOIN) for each in all_of_them[: MOST - 1]} == {"joined"}

        def status() -> int:
            asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WITHIN_S)
            stack.callback(asking.close)
            asking.request("GET", f"/events?room={room}")
            answer = asking.getresponse()
            if answer.status == 200:
                stack.callback(answer.close)
                # Its first event comes before it has its seat, and the first id after.
                assert any(line.startswith(b"id:") for line in iter(answer.readline, b""))
            return answer.status

        assert status() == 200
        assert all_of_them[-1].do(room, JOIN) == "room is full"
        assert [status() for _ in range(4)] == [503] * 4  # on whichever worker
