"""Micro runs of both cores. What is timed is printed by pytest-benchmark; what is asserted is the
answer, never a time."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

from bench.cases import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answers_right_and_is_timed(case: Case, core: ModuleType, benchmark: Any) -> None:
    with case.make(core) as operation:
        operation.check()
        benchmark.group = case.name
        benchmark.extra_info["units"] = operation.units
        if operation.prepare:
            benchmark.pedantic(operation.run, setup=operation.prepare, rounds=100)
        else:
            benchmark(operation.run)
        operation.check()


# The time a run takes is bounded: 24 of them at half a second.
pytestmark = pytest.mark.benchmark(max_time=0.5, min_rounds=5, warmup=False)
