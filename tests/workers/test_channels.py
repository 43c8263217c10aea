"""A layer of Channels over the workers of one server."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, Client, clients_of_each, eventually, is_running


@pytest.fixture(scope="module")
def server() -> Iterator[ServeProcess]:
    with serving("layered:server", "--workers", "2", cwd=APP) as started:
        yield started


def do(client: Client, *what: Any) -> Any:
    """What a call of the layer returns in the worker of a client."""
    client.ask({"event": "do", "id": "1", "data": what})
    return client.next().get("data")


@contextmanager
def two(server: ServeProcess) -> Iterator[tuple[Client, Client]]:
    """A client of each worker, and an empty layer."""
    with clients_of_each(server.ws("/ws"), 2) as ((here,), (there,)):
        do(here, "flush")
        yield here, there


def test_a_channel_of_the_other_worker(server: ServeProcess) -> None:
    with two(server) as (here, there):
        channel = do(there, "new_channel")
        for n in range(3):
            assert do(here, "send", channel, {"n": n}) is None
        assert do(here, "send", channel, {"n": 3}) == "ChannelFull"
        assert [do(there, "receive", channel)["n"] for _ in range(3)] == [0, 1, 2]
        assert do(here, "receive", channel) == "ValueError"


def test_a_channel_that_any_worker_reads(server: ServeProcess) -> None:
    with two(server) as (here, there):
        for n in range(3):
            assert do(here, "send", "jobs", {"n": n}) is None
        assert do(there, "send", "jobs", {"n": 3}) == "ChannelFull"
        assert do(there, "receive", "jobs") == {"n": 0}
        assert do(here, "receive", "jobs") == {"n": 1}
        assert do(there, "receive", "jobs") == {"n": 2}


def test_who_waits_gets_it_and_nobody_else(server: ServeProcess) -> None:
    with two(server) as (here, there):
        there.ask({"event": "do", "id": "1", "data": ["receive", "jobs"]})
        do(here, "send", "jobs", {"n": 1})
        assert there.next()["data"] == {"n": 1}
        assert do(here, "cancelled", "jobs") == "TimeoutError"
        assert do(there, "cancelled", "jobs") == "TimeoutError"
        do(here, "send", "jobs", {"n": 2})
        assert do(there, "receive", "jobs") == {"n": 2}


def test_a_group_has_channels_of_all_workers(server: ServeProcess) -> None:
    with two(server) as (here, there):
        mine, other = do(here, "new_channel"), do(there, "new_channel")
        assert do(here, "group_add", "g", mine) is None
        assert do(there, "group_add", "g", other) is None
        assert do(there, "group_add", "g", "jobs") is None
        do(here, "group_send", "g", {"n": 1})
        do(there, "group_send", "g", {"n": 2})
        for client, channel in ((here, mine), (there, other), (here, "jobs")):
            assert [do(client, "receive", channel)["n"] for _ in range(2)] == [1, 2]
        do(here, "group_discard", "g", other)  # by a process that does not have it
        do(there, "group_discard", "g", "jobs")
        do(there, "group_send", "g", {"n": 3})
        assert do(there, "cancelled", other) == do(here, "cancelled", "jobs") == "TimeoutError"
        assert do(here, "receive", mine) == {"n": 3}


def test_a_membership_that_another_worker_makes(server: ServeProcess) -> None:
    with two(server) as (here, there):
        channel = do(there, "new_channel")
        do(here, "group_add", "g", channel)
        do(here, "group_send", "g", {"n": 1})
        assert do(there, "receive", channel) == {"n": 1}


def test_flush_is_everywhere(server: ServeProcess) -> None:
    with two(server) as (here, there):
        channel = do(there, "new_channel")
        do(there, "group_add", "g", channel)
        do(there, "send", channel, {"n": 1})
        do(there, "send", "jobs", {"n": 1})
        do(here, "flush")
        do(here, "group_send", "g", {"n": 2})
        assert do(there, "cancelled", channel) == do(there, "cancelled", "jobs") == "TimeoutError"


def test_what_a_dead_worker_waited_for_goes_to_another() -> None:
    with serving("layered:server", "--workers", "2", cwd=APP) as server, two(server) as (a, b):
        mine = do(a, "new_channel")
        do(a, "group_add", "g", mine)
        b.ask({"event": "do", "id": "1", "data": ["receive", "jobs"]})
        do(a, "send", mine, {"n": 0})
        os.kill(b.pid, signal.SIGKILL)
        eventually(lambda: not is_running(b.pid))
        eventually(lambda: "a worker serves again" in server.log())
        do(a, "send", "jobs", {"n": 1})
        assert do(a, "receive", "jobs") == {"n": 1}
        do(a, "group_send", "g", {"n": 2})
        assert [do(a, "receive", mine)["n"] for _ in range(2)] == [0, 2]
