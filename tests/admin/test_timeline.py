"""The last ten minutes of a server, as points of what was added between two observations."""

from __future__ import annotations

from typing import Any

from glyph_fast.admin.observation import Observation, observe
from glyph_fast.admin.timeline import KEPT, Timeline
from glyph_fast.hub.hub import Hub
from glyph_fast.hub.metrics import Durations
from glyph_fast.logs import ErrorLog

PROCESS = {
    "cpu_seconds": 1.0, "memory_bytes": 9, "open_files": 3, "max_files": 9, "loop_lag_seconds": 0.1,
}  # fmt: skip


def seen(uptime: float, **counts: Any) -> Observation:
    made = observe(Hub(), ErrorLog())
    return made._replace(uptime=uptime, counts={**made.counts, **counts}, process=PROCESS)


def test_a_point_is_what_was_added_since_the_one_before() -> None:
    timeline = Timeline(lambda: 1000.0)
    assert timeline.add(seen(10, messages_sent=5)) is None
    first = seen(12, messages_sent=25, connections_total=2, disconnects={"1000": 1, "1006": 3})
    first = first._replace(present={**first.present, "connections": 7})
    first = first._replace(process={**PROCESS, "cpu_seconds": 2.5})
    point = timeline.add(first)
    assert point is not None
    assert (point["at"], point["messages_sent"], point["opened"], point["ended"]) == (
        1000,
        10,
        1,
        2,
    )
    assert (point["connections"], point["cpu"], point["loop_lag_seconds"]) == (7, 0.75, 0.1)
    assert timeline.columns()["messages_sent"] == [10]


def test_times_are_of_what_was_measured_since_and_none_where_nothing_was() -> None:
    timeline = Timeline()
    timeline.add(seen(1))
    now = seen(3)
    counts = list(now.histograms["handler_seconds"].counts)
    counts[5] = 100
    times = {**now.histograms, "handler_seconds": Durations(tuple(counts), 1.0)}
    point = timeline.add(now._replace(histograms=times))
    assert point is not None
    bounds = now.histograms["handler_seconds"].bounds
    assert bounds[4] < (point["handler_seconds_p50"] or 0) < bounds[5]
    assert point["broadcast_seconds_p50"] is None


def test_ten_minutes_are_kept_and_every_column_is_as_long() -> None:
    timeline = Timeline()
    for n in range(KEPT + 50):
        timeline.add(seen(2.0 * n))
    assert {len(column) for column in timeline.columns().values()} == {KEPT}


def test_what_a_dead_worker_did_not_tell_is_no_negative_rate() -> None:
    timeline = Timeline()
    timeline.add(seen(1, messages_sent=100)._replace(process={**PROCESS, "cpu_seconds": 50}))
    point = timeline.add(seen(3, messages_sent=40))
    assert point is not None and point["messages_sent"] == 0 and point["cpu"] == 0


def test_the_time_of_the_latest_drop_is_noted() -> None:
    now = [100.0]
    timeline = Timeline(lambda: now[0])
    timeline.add(seen(1))
    assert timeline.last_drop is None
    for now[0], dropped in ((102.0, 3), (104.0, 3), (106.0, 4), (108.0, 4)):
        timeline.add(seen(now[0], messages_dropped={"oldest": dropped}))
    assert timeline.last_drop == 106.0
    assert timeline.columns()["dropped_oldest"][-1] == 0


def test_before_there_are_points_there_are_no_columns() -> None:
    assert Timeline().columns() == {}
