"""The bench of Glyph beside Python: its programs, its page, one short run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import glyph
from glyph_fast.glyph.serving.load import load_program, load_source
from glyph_fast.glyph.syntax.source import Source


def test_both_programs_have_the_same_routes() -> None:
    from bench.glyph_programs.relay import server

    program = load_program(glyph._PROGRAMS / "relay.glyph")
    routes = {route.pattern for route in server.routes() if route.kind == "ws"}
    assert {socket.pattern for socket in program.sockets} == routes
    assert {work.path.replace("bench", ":name") for work in glyph.WORKS} == routes


def test_the_large_program_has_a_thousand_lines_and_loads_without_a_warning() -> None:
    text = glyph.program()
    assert text.count("\n") == 1000
    assert load_source(Source("large.glyph", text)).warnings == []
    assert glyph.loading(repetitions=1)["routes"] > 40


def test_one_run_of_each_language_writes_a_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glyph, "TARGET", 100.0)  # so short a run judges nothing
    monkeypatch.setattr(glyph, "loading", lambda: {"lines": 1000, "routes": 2, "ms": [1.0]})
    short = ["--repetitions", "1", "--server-cpu", "0.02", "--output", str(tmp_path)]
    assert glyph.main(["--only", "echo-16", *short]) == 0
    (page,), (data,) = tmp_path.glob("*-glyph.md"), tmp_path.glob("*-glyph.json")
    assert page.read_text() == capsys.readouterr().out[:-1]
    figures = json.loads(data.read_text())["works"]["echo-16"]
    assert {language: len(runs) for language, runs in figures.items()} == {"glyph": 1, "python": 1}
    for runs in figures.values():
        assert runs[0]["cpu_us"] > 0 and runs[0]["verified"] > 0
    assert "| echo, 64 B, 16 in flight |" in page.read_text()


def test_a_ratio_is_of_medians() -> None:
    def runs(*figures: float) -> list[dict[str, Any]]:
        return [{"cpu_us": figure} for figure in figures]

    assert glyph.ratio({"glyph": runs(1.0, 3.0, 9.0), "python": runs(2.0, 2.0, 8.0)}) == 1.5
