"""The comparison of instruction counts. The counting itself is `ci/bench`'s."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench import instruction_counts
from bench.asgi_cases import ASGI_CASES
from bench.broker_cases import BROKER_CASES
from bench.cases import CASES, Case
from bench.hub_cases import HUB_CASES
from bench.instruction_counts import CannotCount, grown, main
from bench.tls_cases import TLS_CASES
from glyph_fast import core as core_of_hub


@pytest.mark.parametrize("case", (*CASES, *TLS_CASES), ids=lambda case: case.name)
def test_each_case_answers_right(case: Case, core: ModuleType) -> None:
    with case.make(core) as operation:
        operation.check()
        if operation.prepare:
            operation.prepare()
        operation.run()
        operation.check()


@pytest.mark.both_cores
@pytest.mark.parametrize(
    "case", (*HUB_CASES, *ASGI_CASES, *BROKER_CASES), ids=lambda case: case.name
)
def test_each_case_of_the_hub_answers_right(case: Case) -> None:
    with case.make(core_of_hub) as operation:
        operation.check()
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


ALLOCATIONS = """
import ctypes
library = ctypes.CDLL(None)
for name in ("malloc", "calloc", "realloc", "aligned_alloc"):
    getattr(library, name).restype = ctypes.c_void_p
pointer, size = ctypes.c_void_p, ctypes.c_size_t
first = pointer(library.malloc(size(100_000)))
library.free(first)
assert library.malloc(size(90_000)) == first.value  # the block freed last, of its class
ctypes.memset(first, 7, 90_000)
assert library.realloc(first, size(131_056)) == first.value
moved = library.realloc(first, size(131_057))
assert moved != first.value and library.malloc(size(100_000)) == first.value
assert ctypes.string_at(moved, 90_000) == bytes([7] * 90_000)
cleared = library.calloc(size(10), size(100))
assert ctypes.string_at(cleared, 1000) == bytes(1000)
assert library.calloc(size(1 << 62), size(8)) is None
aligned = pointer(library.aligned_alloc(size(4096), size(5000)))
assert aligned.value % 4096 == 0
ctypes.memset(aligned, 9, 5000)
grown = library.realloc(aligned, size(5001))
assert ctypes.string_at(grown, 5000) == bytes([9] * 5000)
assert len("x" * (64 << 20)) + len(set(range(100_000)))
print("the same each time")
"""


def test_allocations_of_the_counted_process_cost_the_same_each_time(tmp_path: Path) -> None:
    """A block grows where it lies only within its class, and the one freed last comes first."""
    library = instruction_counts.compile_library("allocator", tmp_path)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATIONS], env=environment, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("the same each time\n", "")


def test_the_figures_kept_cover_every_case() -> None:
    path = Path(instruction_counts.__file__).parent / "instructions.json"
    for counts in json.loads(path.read_text()).values():
        assert set(counts) == {case.name for case in instruction_counts.CASES}
