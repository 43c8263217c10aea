"""The figures of a process at one moment as plain values, and those of several as if of one."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..hub.hub import LARGEST_ROOMS, Hub
from ..hub.metrics import HISTOGRAMS, Durations, as_figures
from ..logs import ErrorLog

SLOWEST = 10  # consumers that are named
ERRORS = 10  # kinds of errors that are named


class Observation(NamedTuple):
    """The figures of `Metrics`, the slowest consumers, and the latest errors of handlers."""

    uptime: float  # seconds
    counts: Mapping[str, Any]
    present: Mapping[str, Any]
    histograms: Mapping[str, Durations]
    rates: Mapping[str, float]
    slowest: list[dict[str, Any]]
    errors: list[dict[str, Any]]
    process: Mapping[str, Any] = {}  # as `figures_of_all`, where it was asked for

    @property
    def figures(self) -> dict[str, Any]:
        """As `Metrics.snapshot`."""
        return as_figures(self.uptime, self.present, self.counts, self.histograms, self.rates)


def observe(hub: Hub, errors: ErrorLog) -> Observation:
    """Observe this process."""
    metrics = hub.metrics
    counts = metrics.counts()
    return Observation(
        metrics.uptime,
        counts,
        metrics.present(),
        metrics.histograms(),
        metrics.rates(counts),
        slowest_consumers(hub),
        errors.recent(ERRORS),
    )


def slowest_consumers(hub: Hub) -> list[dict[str, Any]]:
    """The connections with most bytes waiting, or that have lost messages; the worst first."""
    behind = [
        (conn.queued_bytes, conn.messages_dropped, conn)
        for conn in hub.get_connections()
        if conn.queued_bytes or conn.messages_dropped
    ]
    worst = heapq.nlargest(SLOWEST, behind, key=lambda each: each[:2])
    return [
        {
            "connection": conn.id,
            "remote": conn.remote,
            "queued_bytes": waiting,
            "queued_messages": conn.queued_messages,
            "messages_dropped": dropped,
            "ping_rtt_seconds": conn.stats["ping_rtt_seconds"],
        }
        for waiting, dropped, conn in worst
    ]


def only_counts(one: Observation) -> Observation:
    """Return what is left of a process that has ended: what it did stays counted."""
    present: dict[str, Any] = {
        name: {} if isinstance(n, dict) else 0 for name, n in one.present.items()
    }
    rates = dict.fromkeys(one.rates, 0.0)
    return one._replace(uptime=0.0, present=present, rates=rates, slowest=[], errors=[])


def merged(observed: Iterable[Observation]) -> Observation:
    """The figures of several processes, added up; the longest uptime is that of all."""
    every = list(observed)
    present: dict[str, Any] = _added(each.present for each in every)
    members: Mapping[str, int] = present.get("room_members", {})
    largest = heapq.nlargest(LARGEST_ROOMS, members.items(), key=lambda each: each[1])
    slowest = [one for each in every for one in each.slowest]
    return Observation(
        max((each.uptime for each in every), default=0.0),
        _added(each.counts for each in every),
        {**present, "room_members": dict(largest)},
        {name: _all_durations(each.histograms[name] for each in every) for name in HISTOGRAMS},
        _added(each.rates for each in every),
        heapq.nlargest(
            SLOWEST, slowest, key=lambda each: (each["queued_bytes"], each["messages_dropped"])
        ),
        _all_errors(one for each in every for one in each.errors),
    )


def _added(figures: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for each in figures:
        for name, value in each.items():
            if isinstance(value, Mapping):
                counter = sums.setdefault(name, Counter())
                counter.update(value)
            else:
                sums[name] = sums.get(name, 0) + value
    return {name: dict(n) if isinstance(n, Counter) else n for name, n in sums.items()}


def _all_durations(durations: Iterable[Durations]) -> Durations:
    every = list(durations)
    counts = tuple(map(sum, zip(*(each.counts for each in every), strict=True)))
    return Durations(counts, sum(each.total for each in every))


def _all_errors(errors: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    kinds: dict[tuple[str, str, str], dict[str, Any]] = {}
    for each in errors:
        key = (each["handler"], each["exception"], each["where"])
        known = kinds.get(key)
        if known is None:
            kinds[key] = dict(each)
        else:
            known["count"] += each["count"]
            if each["latest"] > known["latest"]:
                known["latest"], known["text"] = each["latest"], each["text"]
    return sorted(kinds.values(), key=lambda each: each["latest"], reverse=True)[:ERRORS]
