"""A run's findings as a table, as JSON and as a page."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime

import pytest

from glyph_fast import __version__
from glyph_fast.load import Options, Report
from glyph_fast.load.histogram import Histogram
from glyph_fast.load.meter import Usage
from glyph_fast.load.page import render_page
from glyph_fast.load.plot import Plot, round_ticks
from glyph_fast.load.report import duration


@pytest.fixture
def report() -> Report:
    latency = Histogram()
    for value in range(1000, 200_000, 100):
        latency.record(value)
    options = Options(url="ws://127.0.0.1:1/<room>&", mode="fan-out", connections=10)
    usage = Usage(2_000_000_000, 1_000_000_000, 1_500_000_000)
    series = [(0.5, 100), (1.0, 300), (1.5, 200), (2.0, 400)]
    return Report(options, "delivery", 1000, usage, latency, verified=1100, series=series)


def test_server_cpu_is_divided_by_what_was_counted(report: Report) -> None:
    assert report.server_us == 1500.0
    assert report.rate == 500.0
    assert report.to_dict()["server"]["cpu_us"] == 1500.0


def test_page_and_json_say_when_and_with_what_it_was_measured(report: Report) -> None:
    report.taken_at = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    assert f"<p>2026-03-04 05:06 UTC, glyph-fast {__version__} (" in render_page(report)
    data = report.to_dict()
    assert data["taken_at"] == "2026-03-04T05:06:07+00:00"
    assert data["client"]["version"] == __version__


def test_json_holds_what_the_table_shows(report: Report) -> None:
    data = json.loads(json.dumps(report.to_dict()))
    assert data["verified"] == 1100
    assert data["loop"] == "closed"
    assert data["latency"]["percentiles_us"]["50"] == pytest.approx(100, rel=0.03)
    assert sum(count for _, count in data["latency"]["buckets_us"]) == data["latency"]["count"]


def test_a_server_out_of_sight_has_no_cpu_figures(report: Report) -> None:
    report.usage = Usage(1, 1, None)
    assert report.to_dict()["server"]["cpu_us"] is None
    assert "out of sight" in dict(report.rows())["busy"]


def test_the_summary_says_which_loop_it_was(report: Report) -> None:
    assert any("closed loop" in value for _, value in report.rows())
    report.is_open_loop = True
    assert any("open loop" in value for _, value in report.rows())


def test_the_page_has_its_plots_and_nothing_from_elsewhere(report: Report) -> None:
    page = render_page(report)
    assert page.count("<svg") == 2
    assert "&lt;room&gt;&amp;" in page
    assert "<script" not in page and "src=" not in page and "http://" not in page


def test_a_plot_is_well_formed_and_inside_its_frame() -> None:
    svg = ElementTree.fromstring(Plot([(0, 0), (5, 30), (10, 20)], label="a & b").render())
    width, height = map(float, svg.attrib["viewBox"].split()[2:])
    (line,) = svg.iter("polyline")
    points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in points)
    assert points[1][1] < points[2][1] < points[0][1]


@pytest.mark.parametrize("top", [0.003, 1, 7, 99, 1234, 5e6])
def test_rules_stand_at_round_numbers_and_cover_everything(top: float) -> None:
    ticks = round_ticks(top)
    assert ticks[0] == 0
    assert ticks[-2] < top <= ticks[-1] * (1 + 1e-9)
    assert 2 <= len(ticks) <= 7


@pytest.mark.parametrize(
    "ns, text", [(850, "850 ns"), (12_340, "12.3 µs"), (4_560_000, "4.56 ms"), (2e9, "2 s")]
)
def test_durations_read_well(ns: float, text: str) -> None:
    assert duration(ns) == text
