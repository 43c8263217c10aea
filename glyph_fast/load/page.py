"""The report as one HTML file: no scripts, nothing from elsewhere, plots as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from .comparison import CAUTION, Comparison
from .plot import Plot, Point
from .report import Report, duration

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #667085; --rule: #d5dae3;
  --line: #2f6fde; --other: #b4540a; --ground: #fff }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --rule: #343b48;
  --line: #6ea0ff; --other: #f2a65a; --ground: #12161d } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
h1 { font-size: 1.4rem; margin-bottom: 0 } h2 { font-size: 1.05rem; margin: 2rem 0 .3rem }
p { margin: .3rem 0; color: var(--dim) }
table { border-collapse: collapse; margin-top: 1rem } td { padding: .25rem 1rem .25rem 0;
  border-bottom: 1px solid var(--rule); vertical-align: top }
td:first-child { color: var(--dim); white-space: nowrap }
svg { width: 100%; height: auto } svg text { font: 12px system-ui, sans-serif; fill: var(--dim) }
svg .said { fill: var(--ink); font-weight: 600 } .mark { fill: var(--line) }
.rule { stroke: var(--rule) } .line { stroke: var(--line); fill: none; stroke-width: 2 }
.other1 { stroke: var(--other); stroke-dasharray: 5 4 } .key { color: var(--other) }
.figures { display: flex; flex-wrap: wrap; gap: .5rem 2.5rem; margin: 1.2rem 0 }
.figures b { display: block; font-size: 2rem; line-height: 1.2; color: var(--ink) }
.plots { display: grid; gap: 0 2rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)) }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.compared td:first-child { white-space: normal }
.compared :is(td, th):last-child { padding-right: 0 } th { text-align: left;
  font-weight: 500; color: var(--dim); padding: .25rem 1rem .25rem 0 }
code { font: .9em ui-monospace, monospace }
.area { fill: var(--line); opacity: .15 }
"""

_MAX_POINTS = 300  # of a line over time
_NINES = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)


def render_page(report: Report, earlier: Comparison | None = None) -> str:
    """The whole page, with an earlier run beside this one where there is one."""
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
        f"<style>{STYLE}</style><header><h1>{escape(title)}</h1><p>{escape(shape)}</p>"
        f"<p>{escape(report.taken_by)}</p>"
        f"<p>{escape(report.machine)}</p>"
        + (f"<p><code>{escape(report.command)}</code></p>" if report.command else "")
        + f'</header><main><div class="figures">{_headline(report)}</div>'
        f"{_compared(report, earlier)}<table>{rows}</table>"
        f'<div class="plots">{"".join(_plots(report, earlier))}</div></main></html>\n'
    )


def _headline(report: Report) -> str:
    """Write the figures that most people look for, large."""
    figures = [(f"{report.rate:,.0f}", f"{report.units} per second")]
    if report.latency.count:
        figures += [
            (duration(report.latency.percentile(p)), f"at most, for {p:g} %") for p in (50.0, 99.0)
        ]
    if report.server_us is not None:
        figures.append((f"{report.server_us:.2f} µs", f"of server CPU per {report.unit}"))
    return "".join(f"<p><b>{escape(value)}</b>{escape(what)}</p>" for value, what in figures)


def _compared(report: Report, earlier: Comparison | None) -> str:
    if earlier is None:
        return ""
    rows = "".join(
        f"<tr><td>{escape(row.label)}</td>"
        + "".join(f'<td class="n">{escape(text)}</td>' for text in row[1:])
        + "</tr>"
        for row in earlier.rows(report)
    )
    different = earlier.differences(report)
    doubt = f"The runs differ in {', '.join(different)}. " if different else ""
    return (
        f"<h2>Compared</h2><p>With the run of {escape(earlier.taken_at)} UTC, drawn dashed. "
        f'{escape(doubt)}{escape(CAUTION)}</p><table class="compared"><tr><td></td>'
        '<th class="n">now</th><th class="n key">before</th>'
        f'<th class="n">change</th></tr>{rows}</table>'
    )


def _plots(report: Report, earlier: Comparison | None) -> Sequence[str]:
    plots = []
    if report.latency.count:
        plots.append(
            "<section><h2>Latency</h2><p>The share of messages that took at most so long; each "
            f"step to the right is ten times rarer.</p>{_latency(report, earlier)}</section>"
        )
    if len(report.series) > 1:
        title = escape(f"{report.units.capitalize()} per second")
        plots.append(f"<section><h2>{title}</h2><p></p>{_rates(report, earlier)}</section>")
    if len(report.busy) > 1:
        plots.append(
            '<section><h2>Processor</h2><p>Parts of one CPU: the server, and <span class="key">'
            f"the client</span>, dashed.</p>{_busy(report)}</section>"
        )
    if len(report.samples) > 1:
        plots.append(f"<section><h2>Server memory</h2><p></p>{_memory(report)}</section>")
    return plots


def _nines(percent: float) -> float:
    """Return the place of a percentile on the axis: 90 → 1, 99 → 2, 99.9 → 3."""
    return -math.log10(1 - percent / 100)


def _latency(report: Report, earlier: Comparison | None) -> str:
    histogram = report.latency
    buckets = [(bound / 1e3, count) for bound, count in histogram.buckets()]
    points = _latency_points(buckets, histogram.maximum / 1e3)
    others = {}
    if earlier is not None and earlier.buckets:
        others["before"] = _latency_points(earlier.buckets, earlier.maximum_us)
    end = max(x for x, _ in points)
    ticks = [(_nines(p), f"{p:g} %") for p in _NINES[1:] if _nines(p) <= end]
    marks = [
        (_nines(p), at / 1e3, duration(at))
        for p in _NINES[1:]
        if _nines(p) <= end and (at := histogram.percentile(p))
    ]
    return Plot(
        points,
        x_ticks=ticks,
        y_text=lambda us: duration(us * 1e3),
        label="latency",
        others=others,
        marks=marks,
    ).render()


def _latency_points(buckets: Sequence[tuple[float, int]], maximum_us: float) -> list[Point]:
    total = sum(count for _, count in buckets)
    points, seen = [], 0
    for bound, count in buckets:
        # a step: everything up to here is at most `bound`
        points.append((_nines(100 * seen / total), min(bound, maximum_us)))
        seen += count
    end = math.log10(total) if total > 1 else 1.0
    return [*points, (max(end, points[-1][0]), maximum_us)]


def _rates(report: Report, earlier: Comparison | None) -> str:
    before = None if earlier is None else _rate_points(earlier.series)
    return Plot(
        _rate_points(report.series),
        x_text=lambda s: f"{s:g} s",
        y_text=_count,
        label="rate",
        others={"before": before} if before else None,
    ).render()


def _rate_points(series: Sequence[tuple[float, int]]) -> list[Point]:
    points, before, counted = [], 0.0, 0
    step = series[-1][0] / _MAX_POINTS if series else 0.0
    for at, count in series:
        counted += count
        if at - before > step:
            points.append((at, counted / (at - before)))
            before, counted = at, 0
    return points


def _busy(report: Report) -> str:
    """Each point stands for a part of the run that is as long as the others."""
    size = math.ceil(len(report.busy) / (_MAX_POINTS // 2))
    server, client = [], []
    for start in range(0, len(report.busy), size):
        piece = report.busy[start : start + size]
        at = piece[-1][0]
        client.append((at, sum(each[1] for each in piece) / len(piece)))
        known = [each[2] for each in piece if each[2] is not None]
        if known:
            server.append((at, sum(known) / len(known)))
    return Plot(
        server,
        x_text=lambda s: f"{s:g} s",
        y_text=lambda part: f"{part:.0%}",
        label="processor",
        others={"client": client},
    ).render()


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
