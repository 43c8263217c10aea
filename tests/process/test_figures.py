"""What a process costs, as Linux tells it."""

from __future__ import annotations

import os
import resource
import time
from typing import Any

import pytest

from glyph_fast.process import figures
from glyph_fast.process.figures import figures_of_all, own_figures


def test_time_memory_and_files_are_those_of_this_process() -> None:
    before = own_figures()
    ballast, files = bytearray(os.urandom(1) * 30_000_000), [open(os.devnull) for _ in range(20)]
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    after = own_figures()
    for each in files:
        each.close()
    assert after["cpu_seconds"] >= before["cpu_seconds"] + 0.02
    assert after["memory_bytes"] > before["memory_bytes"] + 20_000_000
    assert after["open_files"] == before["open_files"] + 20
    assert after["max_files"] == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert len(ballast) > 0


def test_an_older_kernel_is_asked_for_its_list_and_not_often(monkeypatch: Any) -> None:
    asked: list[str] = []

    def listed(path: str) -> list[str]:
        asked.append(path)
        return ["0", "1", "2", "3"]

    class Size:
        st_size = 0

    monkeypatch.setattr(figures.os, "stat", lambda path: Size)
    monkeypatch.setattr(figures.os, "listdir", listed)
    monkeypatch.setattr(figures, "_counted", [float("-inf"), 0])
    assert [figures._open_files() for _ in range(3)] == [3, 3, 3]
    assert len(asked) == 1


def test_what_the_system_does_not_tell_is_zero(monkeypatch: Any) -> None:
    def missing(path: object) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(figures.os, "stat", missing)
    monkeypatch.setattr(figures, "_MEMORY", figures.Path("/nowhere"))
    assert (figures._open_files(), figures._memory()) == (0, 0)
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (resource.RLIM_INFINITY,) * 2)
    assert figures._max_files() == 0


@pytest.mark.parametrize("count", [1, 2])
def test_of_several_times_and_memory_are_sums_and_files_of_the_fullest(count: int) -> None:
    def one(files: int, limit: int, lag: float) -> dict[str, Any]:
        return {
            "cpu_seconds": 1.5, "memory_bytes": 10,
            "open_files": files, "max_files": limit, "loop_lag_seconds": lag,
        }  # fmt: skip

    found = figures_of_all([one(90, 100, 0.1), one(200, 1000, 0.5)][:count])
    assert found == {
        "cpu_seconds": 1.5 * count, "memory_bytes": 10 * count, "open_files": 90, "max_files": 100,
        "loop_lag_seconds": 0.1 if count == 1 else 0.5,
    }  # fmt: skip
    assert figures_of_all([])["max_files"] == 0
