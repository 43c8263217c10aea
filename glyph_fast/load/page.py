"""The report as one HTML file: no scripts, nothing from elsewhere, plots as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .plot import Plot
from .report import Report, duration

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #667085; --rule: #d5dae3; --line: #2f6fde;
  --ground: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --rule: #343b48;
  --line: #6ea0ff; --ground: #12161d } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem; margin-bottom: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .3rem }
p { margin: .3rem 0; color: var(--dim) }
table { border-collapse: collapse; margin-top: 1rem } td { padding: .25rem 1rem .25rem 0;
  border-bottom: 1px solid var(--rule); vertical-align: top }
td:first-child { color: var(--dim); white-space: nowrap }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--dim) }
.rule { stroke: var(--rule) } .line { stroke: var(--line); fill: none; stroke-width: 2 }
.area { fill: var(--line); opacity: .15 }
"""

_MAX_POINTS = 300  # of a line over time
_NINES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def render_page(report: Report) -> str:
    """The whole page."""
    options = report.options
    kind = "binary" if options.binary else "text"
    title = f"{options.mode} · {options.place.text}"
    shape = f"{options.connections:,} connections, {options.in_flight} in flight"
    if options.mode != "connect":
        shape += f", {options.size:,} bytes of {kind}"
    rows = "".join(
        f"<tr><td>{escape(label)}</td><td>{escape(value)}</td></tr>"
        for label, value in report.rows()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{escape(title)}</h1><p>{escape(shape)}</p>"
        f"<p>{escape(report.taken_by)}</p>"
        f"<table>{rows}</table>{''.join(_plots(report))}</html>\n"
    )


def _plots(report: Report) -> Sequence[str]:
    plots = []
    if report.latency.count:
        plots.append(
            "<h2>Latency</h2><p>The share of messages that took at most so long; each step to the "
            f"right is ten times rarer.</p>{_latency(report)}"
        )
    if len(report.series) > 1:
        plots.append(f"<h2>{escape(report.units.capitalize())} per second</h2>{_rates(report)}")
    if len(report.samples) > 1:
        plots.append(f"<h2>Server memory</h2>{_memory(report)}")
    return plots


def _nines(percent: float) -> float:
    """Where a percentile stands: 90 → 1, 99 → 2, 99.9 → 3."""
    return -math.log10(1 - percent / 100)


def _latency(report: Report) -> str:
    histogram = report.latency
    points, seen = [], 0
    for bound, count in histogram.buckets():
        # a step: everything up to here is at most `bound`
        points.append((_nines(100 * seen / histogram.count), min(bound, histogram.maximum) / 1e3))
        seen += count
    end = math.log10(histogram.count) if histogram.count > 1 else 1.0
    points.append((max(end, points[-1][0]), histogram.maximum / 1e3))
    ticks = [(_nines(p), f"{p:g} %") for p in _NINES if _nines(p) <= end]
    plot = Plot(points, x_ticks=ticks, y_text=lambda us: duration(us * 1e3), label="latency")
    return plot.render()


def _rates(report: Report) -> str:
    points, before, counted = [], 0.0, 0
    step = report.series[-1][0] / _MAX_POINTS
    for at, count in report.series:
        counted += count
        if at - before > step:
            points.append((at, counted / (at - before)))
            before, counted = at, 0
    return Plot(points, x_text=lambda s: f"{s:g} s", y_text=_count, label="rate").render()


def _memory(report: Report) -> str:
    start = report.samples[0]["at"]
    points = [(sample["at"] - start, sample["rss_bytes"] / 1e6) for sample in report.samples]
    plot = Plot(points, x_text=lambda s: f"{s:g} s", y_text=lambda mb: f"{mb:g} MB", label="memory")
    return plot.render()


def _count(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g}"
