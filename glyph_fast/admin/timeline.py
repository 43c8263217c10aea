"""The last ten minutes of a server, for who opens the dashboard now: a point each two seconds.

A point is made of what was added between two observations, so it is as large for a busy server as
for an idle one, and so is the memory of all.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from ..hub.metrics import BOUNDS, HISTOGRAMS, quantile
from .observation import Observation

STEP_S = 2.0  # between two points
KEPT = 300  # points
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

Value: TypeAlias = "float | None"  # None: there was nothing to measure
Point: TypeAlias = dict[str, Value]

_RATES: dict[str, Callable[[Mapping[str, Any]], float]] = {
    "messages_received": lambda counts: counts["messages_received"],
    "messages_sent": lambda counts: counts["messages_sent"],
    "bytes_received": lambda counts: counts["bytes_received"],
    "bytes_sent": lambda counts: counts["bytes_sent"],
    "opened": lambda counts: counts["connections_total"],
    "ended": lambda counts: sum(counts["disconnects"].values()),
    "refused": lambda counts: sum(counts["connections_rejected"].values()),
    "resumed": lambda counts: counts["resumes"]["resumed"],
    "not_resumed": lambda counts: counts["resumes"]["refused"],
}
_PRESENT = ("connections", "queue_bytes", "history_bytes")
_PROCESS = ("memory_bytes", "open_files", "loop_lag_seconds")


class Timeline:
    """Points in order, the latest last."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._points: deque[Point] = deque(maxlen=KEPT)
        self._before: Observation | None = None
        self._dropped = 0
        self.last_drop: float | None = None  # seconds since the epoch, to within a step

    def add(self, now: Observation) -> Point | None:
        """Make the point of what was observed now; None for the first, which has none before it."""
        before, self._before = self._before, now
        dropped = sum(now.counts["messages_dropped"].values())
        if dropped > self._dropped:
            self.last_drop = self._clock()
        self._dropped = dropped
        seconds = 0.0 if before is None else now.uptime - before.uptime
        if before is None or seconds <= 0:
            return None
        point = {"at": round(self._clock(), 1), **_point(before, now, seconds)}
        self._points.append(point)
        return point

    def columns(self) -> dict[str, list[Value]]:
        """The points, each value as a column: `{"at": […], "connections": […], …}`."""
        return {name: [each[name] for each in self._points] for name in self._names()}

    def _names(self) -> list[str]:
        return list(self._points[-1]) if self._points else []


def _point(before: Observation, now: Observation, seconds: float) -> Point:
    point: Point = {name: now.present[name] for name in _PRESENT}
    for name, count in _RATES.items():
        point[name] = _rate(count(now.counts), count(before.counts), seconds)
    was = before.counts["messages_dropped"]
    for reason, n in now.counts["messages_dropped"].items():
        point[f"dropped_{reason}"] = _rate(n, was.get(reason, 0), seconds)
    for name in HISTOGRAMS:
        pairs = zip(now.histograms[name].counts, before.histograms[name].counts, strict=True)
        added = tuple(max(0, n - m) for n, m in pairs)
        for share, value in SHARES.items():
            found = quantile(BOUNDS, added, value) if any(added) else None
            point[f"{name}_{share}"] = None if found is None else float(f"{found:.3g}")
    used = now.process["cpu_seconds"] - before.process["cpu_seconds"]
    point["cpu"] = round(max(0.0, used) / seconds, 3)  # of one processor
    return {**point, **{name: now.process[name] for name in _PROCESS}}


def _rate(now: float, before: float, seconds: float) -> float:
    # A worker that died may have told less than it did.
    return round(max(0.0, now - before) / seconds, 1)


__all__ = ["KEPT", "STEP_S", "Point", "Timeline"]
