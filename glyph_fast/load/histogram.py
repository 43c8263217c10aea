# cython: annotation_typing=False
"""Durations counted in buckets whose width grows with the value, as HdrHistogram does.

Each power of two is cut into 64 buckets, so a percentile is at most 1.6 % above the value it stands
for, from a nanosecond to an hour, in a list of some thousand integers. Histograms of several runs
add up, which percentiles do not.

Plain Python, which `setup.py` compiles with the types of `histogram.pxd`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

_BITS = 7  # values below 2**7 have a bucket each
_HALF = _BITS - 1
_MAX_BITS = 42  # 2**42 ns: 73 minutes; longer ones count as that
_SIZE = ((_MAX_BITS - _BITS) << _HALF) + (1 << _BITS)

PERCENTILES = (50.0, 75.0, 90.0, 99.0, 99.9, 99.99)


class Histogram:
    """The number of times that each duration, in nanoseconds, was seen."""

    def __init__(self) -> None:
        self._counts = array("q", bytes(8 * _SIZE))
        self.count = 0
        self.total = 0  # ns; the exact sum, so the mean is exact
        self.minimum = 0  # ns
        self.maximum = 0  # ns

    def record(self, value: int) -> None:
        """Count one duration. A negative one (a clock that stepped) counts as 0."""
        if value < 0:
            value = 0
        if not self.count or value < self.minimum:
            self.minimum = value
        if value > self.maximum:
            self.maximum = value
        self.count += 1
        self.total += value
        shift = value.bit_length() - _BITS
        index = value if shift <= 0 else (shift << _HALF) + (value >> shift)
        self._counts[min(index, _SIZE - 1)] += 1

    def add(self, other: Histogram) -> None:
        """Count everything that `other` has counted."""
        if not other.count:
            return
        self.minimum = min(self.minimum, other.minimum) if self.count else other.minimum
        self.maximum = max(self.maximum, other.maximum)
        self.count += other.count
        self.total += other.total
        for index in range(_SIZE):
            self._counts[index] += other._counts[index]

    @property
    def mean(self) -> float:
        """Nanoseconds; 0 while nothing was counted."""
        # `float`, because the division of two C integers would be one as well.
        return float(self.total) / self.count if self.count else 0.0

    def percentile(self, percent: float) -> int:
        """The smallest bucket bound, in ns, that at least `percent` of the values do not exceed."""
        if not 0 <= percent <= 100:
            raise ValueError(f"a percentile is between 0 and 100, not {percent}")
        wanted = self.count * percent / 100
        seen = 0
        for bound, count in self.buckets():
            seen += count
            if seen >= wanted:
                return min(bound, self.maximum)
        return self.maximum

    def buckets(self) -> Iterator[tuple[int, int]]:
        """Every bucket in use, in order: its greatest value in ns, and its count."""
        for index in range(_SIZE):
            if self._counts[index]:
                yield _upper_bound(index), self._counts[index]

    def to_dict(self) -> dict[str, object]:
        """Return what a report holds: microseconds, and the buckets for those who plot them."""
        return {
            "count": self.count,
            "mean_us": round(self.mean / 1e3, 3),
            "min_us": round(self.minimum / 1e3, 3),
            "max_us": round(self.maximum / 1e3, 3),
            "percentiles_us": {f"{p:g}": self.percentile(p) / 1e3 for p in PERCENTILES},
            "buckets_us": [[bound / 1e3, count] for bound, count in self.buckets()],
        }


def _upper_bound(index: int) -> int:
    if index < 1 << _BITS:
        return index
    shift = (index >> _HALF) - 1
    return (((index & ((1 << _HALF) - 1)) + (1 << _HALF) + 1) << shift) - 1
