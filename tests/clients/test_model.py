"""The clients under cuts: connections end in the middle of any byte while three clients publish,
call and listen in three rooms. Tokens end meanwhile, queues overflow, processes follow one another.
What was promised holds for every seed.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.auth.signing import SECRET
from tests.clients.cutting import Cutter
from tests.clients.drive import HERE, Program
from tests.succession import Service, succession
from tests.workers.clients import children_of

PUBLISHES = 120
# Node 20 never tells that a handshake was cut off: the library goes on by itself after ten seconds.
HANDSHAKE = {"node": 1_500, "python": 0}
SEEDS = [int(each) for each in os.environ.get("CLIENT_SEEDS", "1").split(",")]


def nothing(service: Service) -> None:
    """No more happens than the cuts."""


def restart(service: Service) -> None:
    """Processes follow one another on the same socket."""
    for _ in range(2):
        service.restart()


def kill_a_worker(service: Service) -> None:
    """Its clients are on another one afterwards, or on its successor."""
    os.kill(children_of(service.pid)[0], signal.SIGKILL)


WAYS: dict[str, tuple[tuple[str, ...], Callable[[Service], None]]] = {
    "native": (("--engine", "native"), nothing),
    "asyncio": (("--engine", "asyncio"), nothing),
    "tokens": (("--jwt-secret", SECRET), nothing),
    # so answers are lost as well
    "dropping": (("--queue-messages", "8", "--queue-policy", "drop_newest"), nothing),
    "restarts": ((), restart),
    "workers": (("--workers", "2"), kill_a_worker),
    "restarted-workers": (("--workers", "2"), restart),
}
ROOMS = ("chat:a", "chat:b", "chat:c")


def check(report: dict[str, Any], counted: Counter[int], writers: int = 3) -> None:
    """What a report of `programs/model.*` must say."""
    assert report["resets"] == 0
    assert report["rejected"] == []  # each has its place within four minutes
    published = [tuple(each) for each in report["published"]]
    assert len(published) == writers * PUBLISHES
    for room in ROOMS:
        places = sorted((offset, data) for name, offset, data in published if name == room)
        assert len({offset for offset, _ in places}) == len(places)  # one place for each
        for writer in range(writers):
            own = [data for _, data in places if data.startswith(f"{writer}.")]
            assert own == sorted(own, key=lambda data: int(data.split(".")[1]))
            heard = [tuple(each) for each in report["heard"][f"{writer} {room}"]]
            offsets = [offset for offset, _ in heard]
            assert offsets == sorted(set(offsets))  # in order, and none twice
            others = [each for each in places if not each[1].startswith(f"{writer}.")]
            assert [each for each in heard if not each[1].startswith(f"{writer}.")] == others
    for event, value, answer in report["calls"]:
        assert answer == value + 1 if event == "ask back" else counted[value] == 1
    for event, value, message, maybe_sent in report["failed"]:
        if event == "count":
            assert counted[value] <= (1 if maybe_sent else 0), message
    assert all(count == 1 for count in counted.values())
    assert all(members == report["ids"] for each in report["members"] for members in each)


@pytest.mark.slow
@pytest.mark.both_cores
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("engine", ["node", "python"])
def test_nothing_is_lost_doubled_or_out_of_order(
    engine: str, seed: int, way: str, tmp_path: Path
) -> None:
    options, happens = WAYS[way]
    calls = tmp_path / "calls"
    calls.touch()
    with (
        succession("app:server", *options, cwd=HERE, env={"CLIENT_CALLS": str(calls)}) as server,
        Cutter(server.port, seed=seed, spared=HANDSHAKE[engine]) as cutter,
    ):
        url = f"ws://127.0.0.1:{cutter.port}/ws"
        secret = [SECRET] if SECRET in options else []
        with Program(engine, "model", url, str(seed), str(PUBLISHES), *secret) as program:
            assert program.heard() == "ready"
            happens(server)
            assert program.heard() == "written"
            cutter.calm()
            program.say("calm")
            report = program.heard()
            program.over()
        assert cutter.cuts >= 10
        check(report, Counter(map(int, calls.read_text().split())))
