"""The limits that are of the whole server, however its connections are spread."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import pytest

from tests.workers.clients import eventually
from tests.workers.door import door


def test_never_more_connections_than_allowed_in_all_and_every_one_of_them() -> None:
    with door("--max-connections", "10") as (server, at):
        assert [at.knock() for _ in range(10)] == [101] * 10
        assert len(at.pids) == 2 or max(at.pids.values()) == 10
        assert [at.knock() for _ in range(6)] == [503] * 6
        at.leave()
        eventually(lambda: at.knock() == 101)
        assert at.knock() == 503


def test_with_large_limits_at_most_a_block_for_each_worker_is_refused_early() -> None:
    with door("--max-connections", "200") as (server, at):
        statuses = [at.knock() for _ in range(230)]
        opened = statuses.count(101)
        assert 200 - 2 * 64 <= opened <= 200
        assert statuses.count(503) == 230 - opened


def test_one_address_has_its_share_of_the_whole() -> None:
    with door("--max-connections-per-ip", "3") as (server, at):
        assert [at.knock() for _ in range(8)] == [101] * 3 + [429] * 5
        at.leave()
        eventually(lambda: at.knock() == 101)
        assert at.knock() == 429


def test_one_user_has_its_share_of_the_whole() -> None:
    with door("--max-connections-per-user", "2") as (server, at):
        assert [at.knock("?user=eve") for _ in range(6)] == [101] * 2 + [429] * 4
        assert [at.knock("?user=kim"), at.knock()] == [101, 101]
        at.open.pop(0).close()
        eventually(lambda: at.knock("?user=eve") == 101)
        assert at.knock("?user=eve") == 429


def test_handshakes_of_one_address_are_counted_together() -> None:
    with door("--handshake-rate", "1/s:10") as (server, at):
        begun = time.monotonic()
        statuses = [at.knock() for _ in range(40)]
        seconds = time.monotonic() - begun
        assert 10 <= statuses.count(101) <= 10 + seconds + 1
        assert statuses.count(429) == 40 - statuses.count(101)


def test_what_a_dead_worker_had_is_free_again() -> None:
    with door("--max-connections-per-ip", "4", "--max-connections", "4") as (server, at):
        assert [at.knock() for _ in range(5)] == [101] * 4 + [503]
        [pid, *_] = at.pids
        os.kill(pid, signal.SIGKILL)
        freed = at.pids[pid]
        eventually(lambda: "a worker serves again" in server.log())
        statuses: list[Any] = [eventually(lambda: at.knock() == 101) for _ in range(freed)]
        assert statuses == [True] * freed
        assert at.knock() in (429, 503)


@pytest.mark.parametrize("rounds", [40])
def test_nothing_is_lost_when_clients_come_and_go(rounds: int) -> None:
    options = ("--max-connections-per-ip", "3", "--max-connections", "3")
    with door(*options, "--max-connections-per-user", "3") as (server, at):
        for _ in range(rounds):
            eventually(lambda: at.knock("?user=eve") == 101)
            at.leave()
        for _ in range(3):
            eventually(lambda: at.knock("?user=eve") == 101)
        assert at.knock("?user=eve") in (429, 503)
