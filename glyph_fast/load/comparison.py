"""An earlier run beside this one: what changed, and whether the two can be compared at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .report import Report, duration

CAUTION = "One run each: make several of both before you believe a small difference."
_SHOWN = ("50", "90", "99", "99.9")
# What makes a run another measurement, whatever the server does.
_ALIKE = (
    "mode", "connections", "publishers", "in_flight", "size", "rate", "binary", "compression",
)  # fmt: skip


class Row(NamedTuple):
    """One figure of both runs."""

    label: str
    now: str
    before: str
    change: str  # with its sign, in percent


class Comparison:
    """An earlier run, read from its JSON. ValueError for what is none."""

    def __init__(self, data: Any) -> None:
        try:
            self.taken_at = str(data["taken_at"])[:16].replace("T", " ")
            self.options: Mapping[str, Any] = dict(data["options"])
            self.unit = str(data["unit"])
            self.rate = float(data["rate"])
            self.cpu_us = _number(data["server"]["cpu_us"])
            self.rss_bytes = _number(data["server"]["rss_bytes"])
            latency = data["latency"]
            self.percentiles = {p: float(us) for p, us in latency["percentiles_us"].items()}
            self.buckets = [(float(us), int(count)) for us, count in latency["buckets_us"]]
            self.maximum_us = float(latency["max_us"])
            self.series = [(float(at), int(count)) for at, count in data["series"]]
            self.command = str(data.get("command", ""))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise ValueError("not the JSON of a run") from None

    @classmethod
    def from_file(cls, path: Path) -> Comparison:
        """The run in a file. ValueError for what is none, OSError where it cannot be read."""
        return cls(json.loads(path.read_bytes()))

    def differences(self, report: Report) -> list[str]:
        """The options in which the two runs differ: figures of such runs say little."""
        now = report.options.to_dict()
        return [name for name in _ALIKE if name in self.options and self.options[name] != now[name]]

    def rows(self, report: Report) -> Sequence[Row]:
        """The figures that both runs have."""
        found = [_row(f"{report.units}/s", report.rate, self.rate, lambda n: f"{n:,.0f}")]
        now = report.latency.to_dict()["percentiles_us"] if report.latency.count else {}
        assert isinstance(now, dict)
        for p in _SHOWN:
            if p in now and self.percentiles.get(p):
                found.append(
                    _row(f"p{p}", now[p], self.percentiles[p], lambda us: duration(us * 1e3))
                )
        if report.server_us is not None and self.cpu_us is not None:
            text = f"CPU per {report.unit}"
            found.append(_row(text, report.server_us, self.cpu_us, lambda us: f"{us:.3f} µs"))
        if report.rss_bytes is not None and self.rss_bytes is not None:
            memory = (float(report.rss_bytes), self.rss_bytes)
            found.append(_row("memory", *memory, lambda n: f"{n / 1e6:.1f} MB"))
        return found


def _row(label: str, now: float, before: float, text: Any) -> Row:
    change = f"{100 * (now - before) / before:+.1f} %" if before else ""
    return Row(label, text(now), text(before), change)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
