"""`bench.streams` with few clients, and what it takes for an error."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.streams import MISSED, Returning
from tests.serving import ROOT


def answer(numbers: range, resumed: bool = True) -> bytes:
    messages = [{"data": {"number": number}} for number in numbers]
    told = {"type": "join_room_success", "resumed": resumed, "messages": messages}
    text = json.dumps({"data": told}).encode()
    return bytes((0x81, 126)) + len(text).to_bytes(2, "big") + text


def test_who_comes_back_must_be_brought_all() -> None:
    client = Returning(None, is_open=True)  # type: ignore[arg-type]
    client.take(answer(range(MISSED)))
    assert len(client.numbers) == MISSED
    for wrong in (answer(range(1, MISSED)), answer(range(0), resumed=False)):
        with pytest.raises(AssertionError):
            Returning(None, is_open=True).take(wrong)  # type: ignore[arg-type]


def test_few_clients_come_back() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench.streams", "--clients", "20", "--rounds", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    costs, row = map(json.loads, done.stdout.splitlines())
    assert {"publish-room", "publish-history", "resume-100", "publish-100"} <= set(costs)
    assert costs["bytes-per-kept-message"] > costs["bytes-of-its-frame"]
    assert row["clients"] == 20
