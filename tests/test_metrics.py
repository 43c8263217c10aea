"""Metrics: what is counted, and its plain form."""

from __future__ import annotations

from glyph_fast.core import Counters
from glyph_fast.json import dumps, loads
from glyph_fast.metrics import Metrics


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
    assert metrics.messages_dropped == {"oldest": 3, "newest": 0, "block": 0, "disconnect": 0}
    assert metrics.snapshot()["messages_received"] == 5
