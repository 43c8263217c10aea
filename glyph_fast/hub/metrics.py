"""The figures of a server: the core's counters, and those of the layers above it.

Nothing is added up while messages pass but plain numbers; sums over connections, rates and
percentiles are made when somebody asks for them.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..core import Counters, Histogram
from ..wire import (
    ABNORMAL,
    GOING_AWAY,
    INTERNAL_ERROR,
    INVALID_DATA,
    NO_STATUS,
    NORMAL,
    POLICY_VIOLATION,
    PROTOCOL_ERROR,
    SERVICE_RESTART,
    SLOW_CONSUMER,
    TOO_BIG,
)

RATE_WINDOW_S = 10.0  # rates are averages over about so long
SAMPLE_S = 1.0  # between two samples that rates are taken from, at least
_RATED = (
    "connections_total", "messages_received", "messages_sent", "bytes_received", "bytes_sent",
)  # fmt: skip

# Every reason there is to refuse an upgrade, so that each has a zero before it has a count.
REJECTIONS = (
    "address", "application", "authentication", "draining", "error", "full", "handshake",
    "on_connect", "origin", "proxy", "rate", "route", "user",
)  # fmt: skip

# What became of clients who came with a position.
RESUMES = ("resumed", "refused")

# Close codes that have a zero before they have a count: the growth of a series that begins with its
# first event cannot be seen.
CLOSE_CODES = (
    NORMAL, GOING_AWAY, PROTOCOL_ERROR, NO_STATUS, ABNORMAL, INVALID_DATA, POLICY_VIOLATION,
    TOO_BIG, INTERNAL_ERROR, SERVICE_RESTART, SLOW_CONSUMER,
)  # fmt: skip


# Statuses of what is refused before any route is asked.
REFUSALS = (400, 408, 413, 414, 417, 431, 501, 505)

HISTOGRAMS = ("handler_seconds", "broadcast_seconds", "ping_rtt_seconds")
BOUNDS = Histogram().bounds  # of every histogram, in seconds

MAX_CODES = 100  # close codes told apart: clients may choose from some two thousand
OTHER_CODE = 0  # what the others are counted under


class Durations(NamedTuple):
    """The counts of a histogram, apart from it: `counts` and `total` are as there."""

    counts: tuple[int, ...]
    total: float  # seconds

    @property
    def bounds(self) -> tuple[float, ...]:
        """Those of every histogram."""
        return BOUNDS


class Metrics:
    """Figures since the server started. The loop's thread writes them.

    `present` gives what there is now, rather than what has been: connections, rooms, queues.
    """

    __slots__ = (
        "_present",
        "_samples",
        "commands_refused",
        "connections_rejected",
        "connections_total",
        "core",
        "disconnects",
        "events_invalid",
        "handler_errors",
        "messages_unhandled",
        "requests_refused",
        "resumes",
        "started_at",
    )

    def __init__(self, present: Callable[[], Mapping[str, Any]] = dict) -> None:
        self.core = Counters()  # those of the Turn, once there is one
        self.started_at = time.time()  # seconds since the epoch
        self.connections_total = 0  # WebSocket connections that were opened
        self.connections_rejected: Counter[str] = Counter()  # by reason
        self.disconnects: Counter[int] = Counter()  # by close code
        self.events_invalid = 0  # events whose data did not fit the type of their handler
        self.handler_errors = 0  # exceptions raised by handlers
        self.messages_unhandled = 0  # messages for which there was no handler
        self.requests_refused: Counter[int] = Counter()  # HTTP that is none, or too much; by status
        self.commands_refused = 0  # built-in client messages answered with an error
        self.resumes: Counter[str] = Counter()  # of clients with a position, by `RESUMES`
        self._present = present
        self._samples: deque[tuple[float, tuple[int, ...]]] = deque()  # clock reading, _RATED

    def count_disconnect(self, code: int) -> None:
        """Count the end of a connection, by its close code while those are not too many."""
        if code not in self.disconnects and len(self.disconnects) >= MAX_CODES:
            code = OTHER_CODE
        self.disconnects[code] += 1

    @property
    def messages_dropped(self) -> dict[str, int]:
        """Messages not delivered, by the policy that dropped them, or of clients beyond a rate."""
        core = self.core
        return {
            "oldest": core.dropped_oldest,
            "newest": core.dropped_newest,
            "block": core.dropped_block,
            "disconnect": core.dropped_disconnect,
            "rate": core.dropped_rate,
        }

    def snapshot(self) -> dict[str, Any]:
        """All figures as plain values, ready for JSON. Sizes are bytes, times are seconds.

        `rates` are per second, over the last ten seconds when somebody has asked since, else over
        the time since the start. The times of handlers, broadcasts and pings are summaries of all
        of them: count, sum, and percentiles to the precision of the histogram's bounds.
        """
        counts = self.counts()
        return as_figures(
            self.uptime, self._present(), counts, self.histograms(), self.rates(counts)
        )

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return time.time() - self.started_at

    def present(self) -> Mapping[str, Any]:
        """Return the figures of this moment."""
        return self._present()

    def counts(self) -> dict[str, Any]:
        """Return what has happened since the start: numbers, and numbers by what they are of."""
        core = self.core
        return {
            "connections_total": self.connections_total,
            "connections_rejected": dict(self.connections_rejected),
            "disconnects": {str(code): n for code, n in sorted(self.disconnects.items())},
            "messages_received": core.messages_received,
            "messages_sent": core.messages_sent,
            "messages_dropped": self.messages_dropped,
            "messages_unhandled": self.messages_unhandled,
            "bytes_received": core.bytes_received,
            "bytes_sent": core.bytes_sent,
            "requests_refused": {str(each): n for each, n in sorted(self.requests_refused.items())},
            "commands_refused": self.commands_refused,
            "events_invalid": self.events_invalid,
            "resumes": {result: self.resumes[result] for result in RESUMES},
            "handler_errors": self.handler_errors,
            "pings_sent": core.pings_sent,
            "pongs_received": core.pongs_received,
            "pongs_missed": core.pongs_missed,
        }

    def histograms(self) -> dict[str, Durations]:
        """Return how long handlers, broadcasts and pings have taken."""
        found = {name: getattr(self.core, name) for name in HISTOGRAMS}
        return {name: Durations(each.counts, each.total) for name, each in found.items()}

    def rates(self, counts: Mapping[str, Any]) -> dict[str, float]:
        """Return some of the counts by the second, over the latest ones."""
        now = time.monotonic()
        values = tuple(counts[name] for name in _RATED)
        samples = self._samples
        while len(samples) > 1 and samples[1][0] <= now - RATE_WINDOW_S:
            samples.popleft()  # the one that stays is the youngest that is old enough
        if samples and samples[0][0] <= now - SAMPLE_S:
            since, before = samples[0]
        else:
            since, before = now - self.uptime, (0,) * len(_RATED)
        if not samples or samples[-1][0] <= now - SAMPLE_S:
            samples.append((now, values))
        seconds = max(now - since, 1e-3)
        return {
            name.removesuffix("_total"): (value - was) / seconds
            for name, value, was in zip(_RATED, values, before, strict=True)
        }


def as_figures(
    uptime: float,
    present: Mapping[str, Any],
    counts: Mapping[str, Any],
    histograms: Mapping[str, Durations],
    rates: Mapping[str, float],
) -> dict[str, Any]:
    """Put together what `Metrics.snapshot` returns."""
    return {
        "uptime_seconds": uptime,
        **present,
        **counts,
        **{name: summary(each) for name, each in histograms.items()},
        "rates": dict(rates),
    }


def summary(histogram: Histogram | Durations) -> dict[str, float]:
    """Count, sum, and the 50th, 95th and 99th percentile of durations, in seconds."""
    counts = histogram.counts
    return {
        "count": sum(counts),
        "sum": histogram.total,
        "p50": quantile(histogram.bounds, counts, 0.5),
        "p95": quantile(histogram.bounds, counts, 0.95),
        "p99": quantile(histogram.bounds, counts, 0.99),
    }


def quantile(bounds: tuple[float, ...], counts: tuple[int, ...], share: float) -> float:
    """The duration that `share` of all do not exceed, as if each bucket were filled evenly.

    0.0 when there are none; the last bound for what lies beyond it.
    """
    rank = share * sum(counts)
    below, low = 0, 0.0
    for bound, count in zip(bounds, counts, strict=False):
        if count and below + count >= rank:
            return low + (bound - low) * (rank - below) / count
        below, low = below + count, bound
    return low if below < sum(counts) else 0.0
