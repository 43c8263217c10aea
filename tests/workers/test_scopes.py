"""Each limit is of what the table of docs/limits.md says: of the whole server, or of one worker."""

from __future__ import annotations

import json
import re
import select
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from tests.serving import ROOT, ServeProcess, serving
from tests.workers.clients import APP, WITHIN_S, eventually
from tests.workers.door import door
from tests.workers.guests import JOIN, Guest, guests

WHOLE, WORKER, SMALLER = "the whole server", "one worker", "one connection, room or message"
PAGE = (ROOT / "docs" / "limits.md").read_text()
MANY = 40  # clients, of which each of two workers gets some with near certainty

Check = Callable[[], None]
CHECKS: dict[str, tuple[str, Check]] = {}


def check(limit: str, scope: str) -> Callable[[Check], Check]:
    """The decorated function tests the row of a limit."""

    def add(function: Check) -> Check:
        CHECKS[limit] = scope, function
        return function

    return add


def rows() -> dict[str, str]:
    """The scopes of the table, by its limits, in plain text."""
    section = re.split(r"^## ", PAGE.partition("## With several workers\n")[2], flags=re.M)[0]
    found = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", section, re.M)[1:]
    return {re.sub(r"`|\[|\]\(.*?\)", "", limit): scope for limit, scope in found}


def test_every_row_has_its_check() -> None:
    assert {limit: scope for limit, (scope, _) in CHECKS.items()} == rows()


@pytest.mark.parametrize("limit", rows())
def test_the_limit_is_of_what_the_table_says(limit: str) -> None:
    CHECKS[limit][1]()


def admitted(query: str, *options: str) -> int:
    """How many of many connections are let in."""
    with door(*options) as (_, at):
        return [at.knock(query) for _ in range(MANY)].count(101)


@check("--max-connections", WHOLE)
def connections_in_all() -> None:
    assert admitted("", "--max-connections", "10") == 10


@check("--max-connections-per-ip", WHOLE)
def connections_of_an_address() -> None:
    assert admitted("", "--max-connections-per-ip", "10") == 10


@check("--max-connections-per-user", WHOLE)
def connections_of_a_user() -> None:
    assert admitted("?user=eve", "--max-connections-per-user", "10") == 10


@check("--handshake-rate", WHOLE)
def handshakes_of_an_address() -> None:
    assert admitted("", "--handshake-rate", "1/h:10") == 10


def open_sockets(sockets: list[socket.socket]) -> list[socket.socket]:
    """Those that the server has not closed; it has sent nothing on any."""
    ended = select.select(sockets, [], [], 0)[0]
    return [each for each in sockets if each not in ended]


@check("--max-connections-per-ip, idle", WORKER)
def silent_connections() -> None:
    options = "--max-connections-per-ip", "3", "--head-timeout", "60s"
    with door(*options) as (server, _), ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            for _ in range(MANY)
        ]
        eventually(lambda: len(open_sockets(sockets)) <= 2 * 3)
        assert len(open_sockets(sockets)) == 2 * 3


def joined(room: str) -> int:
    """How many of many clients get into a room of five."""
    with (
        serving("limited:server", "--workers", "2", "--max-room-members", "5", cwd=APP) as server,
        guests(server, MANY) as all_of_them,
    ):
        answers = Counter(each.do(room, JOIN) for each in all_of_them)
        assert answers["joined"] + answers["room is full"] == MANY
        return answers["joined"]


@check("--max-room-members, max_members of rooms with history or presence", WHOLE)
def members_of_a_room_that_remembers() -> None:
    assert joined("remembering:a") == 5


@check("--max-room-members, max_members of other rooms", WORKER)
def members_of_a_plain_room() -> None:
    assert joined("plain:a") == 2 * 5


@check("requests with a body under way", WORKER)
def bodies_of_an_address() -> None:
    head = b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    with door("--max-connections-per-ip", "3") as (server, _), ExitStack() as stack:
        answers: Counter[bytes] = Counter()
        for _ in range(MANY):
            sock = socket.create_connection(("127.0.0.1", server.port), timeout=WITHIN_S)
            stack.enter_context(sock).sendall(head)
            answers[sock.recv(12)] += 1
        assert answers == {b"HTTP/1.1 100": 2 * 3, b"HTTP/1.1 429": MANY - 2 * 3}


def one_of_each(server: ServeProcess, stack: ExitStack) -> list[Guest]:
    """A client of each worker."""
    found = {each.pid: each for each in stack.enter_context(guests(server, MANY))}
    return list(found.values())


@check("--history-memory", WHOLE)
def memory_of_histories() -> None:
    options = "--workers", "2", "--history-memory", "256KiB"
    with serving("limited:server", *options, cwd=APP) as server, ExitStack() as stack:
        near, far = one_of_each(server, stack)
        for guest, room in ((near, "first"), (far, "second"), (near, "third")):
            for _ in range(10):  # 100 KiB in each room: two fit
                message = {"event": "publish", "data": "x" * 10240}
                assert guest.do(f"remembering:{room}", message) == "published"
        left = [near.do(f"remembering:{it}", {"event": "kept"}) for it in ("second", "third")]
        assert left == [10, 10]
        assert far.do("remembering:first", {"event": "kept"}) == 0


@check("all others", SMALLER)
def what_one_connection_may() -> None:
    options = "--max-rooms-per-connection", "2", "--max-message-size", "1000"
    with (
        serving("limited:server", "--workers", "2", *options, cwd=APP) as server,
        ExitStack() as stack,
    ):
        for guest in one_of_each(server, stack):
            answers = [guest.do(f"plain:{n}", JOIN) for n in range(3)]
            assert answers == ["joined", "joined", "a connection may be in 2 rooms at a time"]
            guest.socket.send(json.dumps("x" * 1000))
            with pytest.raises(ConnectionClosed) as closed:
                guest.socket.recv(timeout=WITHIN_S)
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
