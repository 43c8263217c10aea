"""The findings of a run, as data: for JSON, for the summary, for the page with plots."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .. import __version__
from ..core import NAME as CORE
from . import flow
from .histogram import PERCENTILES, Histogram
from .machine import machine
from .meter import Usage
from .options import Options


@dataclass
class Report:
    """The findings of one run. A figure that was not measured is None."""

    options: Options
    unit: str  # what was counted: message, delivery, handshake, cycle
    count: int  # units in the measured stretch
    usage: Usage
    latency: Histogram
    is_open_loop: bool = False
    verified: int = 0  # messages compared with what was sent, in order, over the whole run
    series: list[tuple[float, int]] = field(default_factory=list)  # seconds, units since the last
    rss_bytes: int | None = None  # of the server, at the end
    rss_per_connection: float | None = None  # bytes, idle
    idle_cpu_us_per_second: float | None = None  # of the server, with idle connections
    notes: dict[str, Any] = field(default_factory=dict)  # what only this mode has to say
    samples: list[dict[str, float]] = field(default_factory=list)  # churn: memory over time
    busy: list[tuple[float, float, float | None]] = field(default_factory=list)
    """Seconds; the parts of a CPU that the client and the server had since the last."""
    machine: str = field(default_factory=machine)
    command: str = ""  # as it may be shown
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def units(self) -> str:
        """The plural of `unit`."""
        return f"{self.unit[:-1]}ies" if self.unit.endswith("y") else f"{self.unit}s"

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.count / self.usage.seconds if self.usage.wall_ns else 0.0

    @property
    def server_us(self) -> float | None:
        """Server CPU per unit, in microseconds."""
        if self.usage.server_ns is None or not self.count:
            return None
        return self.usage.server_ns / 1e3 / self.count

    @property
    def client_us(self) -> float:
        """Client CPU per unit, in microseconds."""
        return self.usage.client_ns / 1e3 / self.count if self.count else 0.0

    @property
    def loop_text(self) -> str:
        """Tell how latency was taken: a closed loop hides the waits of a slow server."""
        if self.is_open_loop:
            return "open loop: latency counts from when a message was due"
        return (
            "closed loop: a message goes out when an answer came, so a slow server slows the "
            "client, and latency is that of this pace only"
        )

    @property
    def taken_by(self) -> str:
        """Tell when and with what it was measured."""
        core = f"{CORE} core, {'compiled' if flow.is_compiled else 'interpreted'} client"
        when = f"{self.taken_at:%Y-%m-%d %H:%M} UTC"
        return f"{when}, glyph-fast {__version__} ({core}), Python {platform.python_version()}"

    def to_dict(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        usage = self.usage
        return {
            "options": self.options.to_dict(),
            "taken_at": self.taken_at.isoformat(timespec="seconds"),
            "client": {
                "version": __version__,
                "core": CORE,
                "compiled": flow.is_compiled,
                "python": platform.python_version(),
            },
            "machine": self.machine,
            "command": self.command,
            "unit": self.unit,
            "count": self.count,
            "verified": self.verified,
            "seconds": round(usage.seconds, 3),
            "rate": round(self.rate, 1),
            "loop": "open" if self.is_open_loop else "closed",
            "latency": self.latency.to_dict(),
            "server": {
                "cpu_us": _rounded(self.server_us, 4),
                "cpu_seconds": None if usage.server_ns is None else usage.server_ns / 1e9,
                "busy": _rounded(usage.server_busy, 3),
                "rss_bytes": self.rss_bytes,
                "rss_per_connection": _rounded(self.rss_per_connection, 1),
                "idle_cpu_us_per_second": _rounded(self.idle_cpu_us_per_second, 2),
            },
            "client_cpu_us": round(self.client_us, 4),
            "client_busy": round(usage.client_busy, 3),
            "limit": usage.limit,
            "series": [[round(at, 3), count] for at, count in self.series],
            "busy": [[round(at, 3), round(c, 3), _rounded(s, 3)] for at, c, s in self.busy],
            "samples": self.samples,
            "notes": self.notes,
        }

    def rows(self) -> list[tuple[str, str]]:
        """The summary, as label and value."""
        usage = self.usage
        rows = [
            (self.units, f"{self.count:,} in {usage.seconds:.2f} s, all as expected"),
            ("rate", f"{self.rate:,.0f} {self.units}/s"),
        ]
        if self.latency.count:
            texts = (f"p{p:g} {duration(self.latency.percentile(p))}" for p in PERCENTILES)
            rows.append(("latency", " · ".join(texts)))
            rows.append(("", self.loop_text))
        if self.server_us is not None:
            rows.append(("server CPU", f"{self.server_us:.3f} µs per {self.unit}"))
        if usage.server_busy is not None:
            text = f"server {usage.server_busy:.0%}, client {usage.client_busy:.0%}"
            rows.append(("busy", f"{text}; the limit: {usage.limit}"))
        else:
            rows.append(("busy", f"client {usage.client_busy:.0%}; the server is out of sight"))
        if self.rss_bytes is not None:
            rows.append(("server memory", f"{self.rss_bytes / 1e6:.1f} MB"))
        if self.rss_per_connection is not None:
            rows.append(("per idle connection", f"{self.rss_per_connection:,.0f} bytes"))
        if self.idle_cpu_us_per_second is not None:
            text = f"{self.idle_cpu_us_per_second:.1f} µs per second"
            rows.append(("CPU while idle", text))
        rows += [(key.replace("_", " "), str(value)) for key, value in self.notes.items()]
        return rows


def duration(ns: float) -> str:
    """A duration to read: `850 ns`, `12.3 µs`, `4.56 ms`, `1.2 s`."""
    if not ns:
        return "0"
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{ns / size:.3g} {unit}"
    return f"{ns:.0f} ns"


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
