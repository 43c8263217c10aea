"""The bench of compression: that it measures what it says, and prints what it measured."""

from __future__ import annotations

import json

import pytest

from bench import compression
from bench.rivals.catalogue import ROOT


@pytest.mark.parametrize("module", ["zlib", "isal.isal_zlib"])
def test_a_library_is_measured(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "SECONDS", 0.001)
    monkeypatch.setattr(compression, "CONTEXTS", 3)
    monkeypatch.setattr(compression, "SIZES", (512,))
    figures = compression.measure_library(module, 1)
    assert 1.5 < figures["512 ratio"] < 3
    for what in ("deflate", "deflate, context kept", "inflate"):
        assert figures[f"512 {what}"] > 0


def test_the_kept_results_are_as_printed() -> None:
    for path in (ROOT / "bench" / "results").glob("*-compression.json"):
        found = json.loads(path.read_text())
        assert compression.markdown(found) == path.with_suffix(".md").read_text()


def test_a_library_that_is_absent_is_a_row_that_says_so() -> None:
    text = compression._library_table({"zlib-ng": "No module named 'zlib_ng'"})
    assert "| zlib-ng | not run: No module named 'zlib_ng' |" in text
