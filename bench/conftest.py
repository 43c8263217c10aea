"""`pytest bench`: both cores for the micro runs, and a table of the throughput runs at the end."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

RESULTS: pytest.StashKey[list[dict[str, Any]]] = pytest.StashKey()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = []


@pytest.fixture(params=["_core", "_pure"])
def core(request: pytest.FixtureRequest) -> ModuleType:
    """Each twin; one that is missing is a failure."""
    return importlib.import_module(f"glyph_fast.{request.param}")


@pytest.fixture
def results(request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """Rows for the table at the end."""
    return request.config.stash[RESULTS]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    rows = config.stash[RESULTS]
    if not rows:
        return
    terminalreporter.section("throughput of glyph-fast serve")
    head = ("backend", "work", "messages/s", "server µs each", "p50 µs", "p99 µs", "the limit")
    terminalreporter.line(_line(head))
    for row in rows:
        report = row["report"]
        percentiles = report["latency"]["percentiles_us"]
        cells = (
            row["backend"],
            row["work"],
            f"{report['rate']:,.0f}",
            f"{report['server']['cpu_us']:.2f}",
            f"{percentiles['50']:,.0f}",
            f"{percentiles['99']:,.0f}",
            f"{report['limit']}",
        )
        terminalreporter.line(_line(cells))
    terminalreporter.line("closed loop, client in its own process; every message was compared")


def _line(cells: tuple[str, ...]) -> str:
    widths = (20, 34, 12, 15, 9, 9, 10)
    first = "  ".join(f"{cell:<{width}}" for cell, width in zip(cells[:2], widths, strict=False))
    rest = "  ".join(f"{cell:>{width}}" for cell, width in zip(cells[2:], widths[2:], strict=True))
    return f"{first}  {rest}"
