"""A run's findings as a table, as JSON and as a page."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from glyph_fast import __version__
from glyph_fast.load import Options, Report
from glyph_fast.load.comparison import Comparison
from glyph_fast.load.histogram import Histogram
from glyph_fast.load.live import print_summary
from glyph_fast.load.machine import command, machine
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
    assert "<b>500</b>deliveries per second" in page
    assert "99 %</text>" in page and page.count('class="mark"') >= 3
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


def test_the_page_says_on_what_and_by_which_command(report: Report) -> None:
    report.machine, report.command = "2 × <Chip>", "glyph-fast bench ws://a/ -c 8"
    page = render_page(report)
    assert "2 × &lt;Chip&gt;" in page and "<code>glyph-fast bench ws://a/ -c 8</code>" in page
    assert report.to_dict()["machine"] == "2 × <Chip>"


def test_processor_time_is_drawn_over_the_run(report: Report) -> None:
    report.busy = [(n / 10, 0.5, 0.9) for n in range(1, 1000)]
    page = render_page(report)
    assert page.count("<svg") == 3 and "<h2>Processor</h2>" in page and "100%" in page
    assert len(page) < 60_000  # however long it took
    report.busy = [(0.1, 0.5, None), (0.2, 0.5, None)]  # the server is out of sight
    assert "<h2>Processor</h2>" in render_page(report)


def test_an_earlier_run_stands_beside_this_one(report: Report, tmp_path: Path) -> None:
    before = json.loads(json.dumps(report.to_dict()))
    before["rate"], before["server"]["cpu_us"] = 400.0, 2000.0
    before["options"]["connections"] = 11
    file = tmp_path / "before.json"
    file.write_text(json.dumps(before))
    earlier = Comparison.from_file(file)
    rows = {row.label: row[1:] for row in earlier.rows(report)}
    assert rows["deliveries/s"] == ("500", "400", "+25.0 %")
    assert rows["CPU per delivery"] == ("1500.000 µs", "2000.000 µs", "-25.0 %")
    assert rows["p50"][2] == "+0.0 %"
    assert earlier.differences(report) == ["connections"]
    page = render_page(report, earlier)
    assert "The runs differ in connections." in page and "One run each" in page
    assert page.count('class="line other1"') == 2  # latency and rate
    console = Console(file=io.StringIO(), width=100)
    print_summary(report, console, earlier=earlier)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "+25.0 %" in shown and "The runs differ in connections." in shown


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"options": 5}', "\xff", '{"rate": "x"}'])
def test_what_is_no_run_is_not_compared(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    with pytest.raises(ValueError):
        Comparison.from_file(file)


def test_the_command_hides_the_password_of_a_url() -> None:
    url, shown = "ws://me:secret@a/ws", "ws://a/ws"
    assert command(["bench", url, "-c", "8"], url, shown) == "glyph-fast bench ws://a/ws -c 8"
    assert re.fullmatch(r"\d+ × .+, \w+ \S+", machine())
