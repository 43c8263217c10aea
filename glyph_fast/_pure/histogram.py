"""What is counted of the connections of one loop."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING


class Histogram:
    """How often something took how long.

    `bounds` are seconds; `counts` has one more: an entry for each bound (durations up to it and
    above the one before), and one for what took longer than the last.
    """

    __slots__ = ("_buckets", "total")

    bounds = (
        1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3,
        5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
    )  # fmt: skip

    def __init__(self) -> None:
        self._buckets = [0] * (len(self.bounds) + 1)
        self.total = 0.0  # seconds

    @property
    def counts(self) -> tuple[int, ...]:
        """How many durations fell between each bound and the one before."""
        return tuple(self._buckets)

    def observe(self, seconds: float, weight: int = 1) -> None:
        """Count a duration; as so many, when it stands for others that were not measured."""
        self._buckets[bisect_left(self.bounds, seconds)] += weight
        self.total += seconds * weight


class Counters:
    """Sums over all connections of a server since it started."""

    __slots__ = (
        "broadcast_seconds",
        "bytes_received",
        "bytes_sent",
        "dropped_block",
        "dropped_disconnect",
        "dropped_newest",
        "dropped_oldest",
        "dropped_rate",
        "handler_seconds",
        "messages_received",
        "messages_sent",
        "ping_rtt_seconds",
        "pings_sent",
        "pongs_missed",
        "pongs_received",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, Histogram() if name.endswith("_seconds") else 0)

    if TYPE_CHECKING:
        broadcast_seconds: Histogram
        handler_seconds: Histogram  # one call in HANDLER_SAMPLE, for as many
        ping_rtt_seconds: Histogram
        bytes_received: int
        bytes_sent: int
        dropped_block: int
        dropped_disconnect: int
        dropped_newest: int
        dropped_oldest: int
        dropped_rate: int
        messages_received: int
        messages_sent: int
        pings_sent: int
        pongs_missed: int
        pongs_received: int
