"""The comparison of instruction counts. The counting itself is `ci/bench`'s."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from bench import instruction_counts
from bench.cases import CASES, Case
from bench.instruction_counts import CannotCount, grown, main


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_answers_right(case: Case, core: ModuleType) -> None:
    with case.make(core) as operation:
        operation.check()
        if operation.prepare:
            operation.prepare()
        operation.run()
        operation.check()


def test_growth_beyond_the_tolerance_is_named() -> None:
    assert grown({"a": 1000, "b": 1000}, {"a": 1050, "b": 1051, "new": 9}) == {"b": 1.051}


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, int]:
    """Counts that a test sets, instead of valgrind's."""
    values = {"parse": 1000}
    monkeypatch.setattr(instruction_counts, "BASELINE", tmp_path / "instructions.json")
    monkeypatch.setattr(instruction_counts, "key", lambda: "this compiler")
    monkeypatch.setattr(instruction_counts, "count", lambda: dict(values))
    return values


def test_a_loss_fails_and_a_gain_does_not(counts: dict[str, int]) -> None:
    assert main(["--update"]) == 0
    counts["parse"] = 900
    assert main([]) == 0
    counts["parse"] = 1100
    assert main([]) == 1


def test_figures_of_another_compiler_are_not_compared_with(
    counts: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--update"]) == 0
    monkeypatch.setattr(instruction_counts, "key", lambda: "another compiler")
    assert main([]) == 1
    assert "no figures for another compiler" in capsys.readouterr().err


def test_a_machine_that_cannot_count_fails_with_the_reason(
    counts: dict[str, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def count() -> dict[str, int]:
        raise CannotCount("valgrind is not installed")

    monkeypatch.setattr(instruction_counts, "count", count)
    assert main([]) == 1
    assert "valgrind is not installed" in capsys.readouterr().err


def test_the_figures_kept_cover_every_case() -> None:
    path = Path(instruction_counts.__file__).parent / "instructions.json"
    for counts in json.loads(path.read_text()).values():
        assert set(counts) == {case.name for case in CASES}
