"""`glyph-fast serve` for real, driven over loopback by the load generator in its own process.

The client compares every message; what is asserted is that all came. How many came per second is
printed, with how busy both sides were, and asserted by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bench.rivals.catalogue import BY_NAME, Rival
from bench.rivals.comparison import run_client
from bench.rivals.process import serving
from bench.rivals.works import BY_NAME as WORKS
from bench.rivals.works import Work

BACKENDS = ("glyph-fast", "glyph-fast-asyncio", "glyph-fast-python")
LOADS = ("echo-64-1", "echo-64-16", "fan-out-100-8")
DURATION = ("--duration", "1.5", "--warm-up", "0.3")


@pytest.fixture(scope="module", params=BACKENDS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Rival, int, int]]:
    """A backend, its port and its process."""
    rival = BY_NAME[request.param]
    with serving(rival, tmp_path_factory.mktemp("server"), cpu=None) as (port, pid):
        yield rival, port, pid


@pytest.mark.parametrize("work", [WORKS[name] for name in LOADS], ids=lambda work: work.name)
def test_every_message_arrives_in_order(
    work: Work, server: tuple[Rival, int, int], results: list[dict[str, Any]]
) -> None:
    rival, port, pid = server
    report = run_client(work, port, pid, DURATION, cpu=None, timeout=60)
    assert report["verified"] >= report["count"] > 0
    results.append({"backend": rival.name, "work": work.figures[0].title, "report": report})
