"""Metrics: what is counted, and its plain form."""

from __future__ import annotations

from glyph_fast.core import Counters
from glyph_fast.hub.metrics import Metrics, quantile
from glyph_fast.json import dumps, loads


def test_a_snapshot_is_ready_for_json() -> None:
    metrics = Metrics()
    metrics.disconnects[1000] += 2
    metrics.connections_rejected["origin"] += 1
    snapshot = loads(dumps(metrics.snapshot()))
    assert snapshot["disconnects"] == {"1000": 2}
    assert snapshot["connections_rejected"] == {"origin": 1}


def test_the_counters_of_the_core_show_through() -> None:
    metrics, counters = Metrics(), Counters()
    metrics.core = counters
    counters.dropped_oldest = 3
    counters.messages_received = 5
    assert metrics.messages_dropped == {
        "oldest": 3,
        "newest": 0,
        "block": 0,
        "disconnect": 0,
        "rate": 0,
    }
    assert metrics.snapshot()["messages_received"] == 5


def test_percentiles_lie_within_the_bucket_that_holds_them() -> None:
    assert quantile((1.0, 2.0), (0, 0, 0), 0.5) == 0.0
    assert quantile((1.0, 2.0), (0, 10, 0), 0.5) == 1.5
    assert quantile((1.0, 2.0), (90, 10, 0), 0.95) == 1.5
    assert quantile((1.0, 2.0), (0, 0, 3), 0.5) == 2.0


def test_what_there_is_now_is_asked_for_with_each_snapshot() -> None:
    rooms = [1, 2]
    metrics = Metrics(lambda: {"rooms": len(rooms)})
    rooms.append(3)
    assert metrics.snapshot()["rooms"] == 3


def test_rates_are_per_second_since_the_start_at_first() -> None:
    metrics = Metrics()
    metrics.started_at -= 10
    metrics.core.messages_received = 100
    rates = metrics.snapshot()["rates"]
    assert 9 < rates["messages_received"] <= 10
    assert rates["connections"] == 0
