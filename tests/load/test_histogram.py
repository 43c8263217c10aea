"""The histogram of latencies."""

from __future__ import annotations

import random

import pytest

from glyph_fast.load.histogram import Histogram


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def test_percentiles_are_within_a_bucket_of_the_sorted_values() -> None:
    draw = random.Random(1)
    values = [int(draw.lognormvariate(11, 1.5)) for _ in range(5000)]
    histogram = filled(values)
    ordered = sorted(values)
    for percent in (50, 90, 99, 99.9):
        exact = ordered[int(len(ordered) * percent / 100) - 1]
        assert exact <= histogram.percentile(percent) <= exact * 1.016 + 1


def test_extremes_sum_and_mean_are_exact() -> None:
    histogram = filled([7, 1_000_003, 12])
    assert (histogram.count, histogram.minimum, histogram.maximum) == (3, 7, 1_000_003)
    assert histogram.total == 1_000_022
    assert histogram.mean == 1_000_022 / 3
    assert histogram.percentile(100) == 1_000_003


def test_histograms_add_up_to_the_histogram_of_all_values() -> None:
    first, second = [5, 900, 40_000], [3, 77_000_000]
    both = filled(first)
    both.add(filled(second))
    both.add(Histogram())
    assert both.to_dict() == filled(first + second).to_dict()


@pytest.mark.parametrize("value", [0, 1, 127, 128, 129, 255, 256, 1 << 20, (1 << 41) + 1])
def test_a_value_lies_in_the_bucket_that_ends_above_it(value: int) -> None:
    ((bound, count),) = filled([value]).buckets()
    assert count == 1
    assert value <= bound <= value * 1.016 + 1


def test_a_clock_that_stepped_back_counts_as_zero() -> None:
    assert filled([-5]).percentile(50) == 0


def test_a_duration_beyond_the_last_bucket_is_kept_as_the_maximum() -> None:
    assert filled([1 << 50]).percentile(50) == filled([1 << 50]).percentile(100)


def test_nothing_recorded_has_no_percentile() -> None:
    assert Histogram().percentile(99) == 0
    assert Histogram().mean == 0


def test_a_percentile_beyond_a_hundred_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        Histogram().percentile(101)
