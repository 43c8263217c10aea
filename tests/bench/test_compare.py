"""Comparing two results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.compare import main, verdict


def test_samples_that_overlap_show_nothing() -> None:
    assert verdict([5.0, 6.0, 7.0], [4.0, 4.5, 5.1]) == "within the spread"


def test_samples_that_stand_apart_show_the_change_of_the_median() -> None:
    assert verdict([9.0, 10.0, 11.0], [7.0, 8.0, 8.5]) == "-20.0%"


@pytest.fixture
def results(tmp_path: Path) -> tuple[str, str]:
    paths = []
    for name, processor, values in (("a", "P", [10.0, 10.1]), ("b", "P", [12.0, 12.1])):
        document = {
            "machine": {"processor": processor},
            "figures": {"echo-64-1": {"floor-turn": values, "only here": [1.0]}},
        }
        paths.append(tmp_path / name)
        paths[-1].write_text(json.dumps(document))
    return str(paths[0]), str(paths[1])


def test_it_prints_a_line_for_what_both_have(
    results: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(results) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("  ")[0] == "echo, 64 B, 1 in flight"
    assert lines[1].endswith("+19.9%")


def test_results_of_different_processors_are_not_compared(
    results: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = json.loads(Path(results[1]).read_text())
    other["machine"]["processor"] = "Q"
    Path(results[1]).write_text(json.dumps(other))
    assert main(results) == 1
    assert "different processors" in capsys.readouterr().err
