"""`bench.presence` with few clients, and what it takes for an error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.presence import Client, figures
from tests.serving import ROOT


def frame(message: object) -> bytes:
    text = json.dumps(message).encode()
    assert 126 <= len(text) < 65_536
    return bytes((0x81, 126)) + len(text).to_bytes(2, "big") + text


def client(*messages: object) -> Client:
    found = Client(None, is_open=True)  # type: ignore[arg-type]
    data = b"".join(map(frame, messages))
    for at in range(0, len(data), 7):
        found.take(data[at : at + 7])
    return found


def answer(**presence: object) -> object:
    return {"data": {"status": "joined", "presence": presence}, "pad": "x" * 100}


def change(**data: object) -> object:
    return {"data": data, "pad": "x" * 100}


def test_a_client_counts_what_it_was_told() -> None:
    one = client(
        answer(version=3, members=[{"id": "a"}]),
        change(version=4, joined=[{"id": "b"}, {"id": "a"}], left=[]),
    )
    assert (one.members, one.entries, one.messages, one.version) == (2, 3, 2, 4)
    many = client(answer(version=3, clients=2000, users=7), change(version=4, clients=2001))
    assert (many.members, many.entries) == (2001, 0)
    row = figures([one, many], 1.0, 0.5)
    assert (row["messages_most"], row["messages_bound"], row["entries_most"]) == (2, 12, 3)


def test_a_hole_in_the_versions_is_an_error() -> None:
    with pytest.raises(AssertionError, match="a change was lost"):
        client(answer(version=3, members=[]), change(version=5, joined=[], left=[]))


def test_few_clients_are_told_of_each_other() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.presence", "--clients", "20"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)
    assert row["clients"] == 20 and row["messages_most"] <= row["messages_bound"]
