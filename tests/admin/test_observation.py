"""Figures of several processes, added up as if of one."""

from __future__ import annotations

import pickle
from typing import Any

from glyph_fast.admin.observation import Observation, merged, observe, only_counts
from glyph_fast.broker.questions import own_classes
from glyph_fast.hub.hub import Hub
from glyph_fast.logs import ErrorLog
from tests.wired import Site


def seen(**present: Any) -> Observation:
    made = observe(Hub(), ErrorLog())
    return made._replace(present={**made.present, **present})


def test_it_is_what_the_metrics_show() -> None:
    site = Site()
    site.connect().send("hi")
    observed = observe(site.hub, ErrorLog())
    shown = site.hub.metrics.snapshot()
    figures = observed.figures
    assert set(figures) == set(shown)
    for each in (figures, shown):
        del each["uptime_seconds"], each["rates"]
    assert figures == shown


def test_main_may_read_what_a_worker_has_seen() -> None:
    observed = seen(connections=3)
    assert own_classes(pickle.dumps(observed, protocol=5)) == observed


def test_numbers_are_added_and_the_largest_rooms_stay() -> None:
    one = seen(connections=2, room_members={f"a{n}": 2 for n in range(20)})
    other = seen(connections=3, room_members={"a7": 5, "b": 1})
    both = merged([one, other])
    assert both.present["connections"] == 5
    assert len(both.present["room_members"]) == 20
    assert next(iter(both.present["room_members"].items())) == ("a7", 7)
    assert "b" not in both.present["room_members"]


def test_what_is_counted_by_kind_is_added_by_kind() -> None:
    one, other = seen(), seen()
    one = one._replace(counts={**one.counts, "disconnects": {"1000": 1, "1001": 2}})
    other = other._replace(counts={**other.counts, "disconnects": {"1001": 3}})
    assert merged([one, other]).counts["disconnects"] == {"1000": 1, "1001": 5}


def test_errors_of_one_kind_are_one_and_the_latest_is_first() -> None:
    def error(handler: str, latest: str, count: int) -> dict[str, Any]:
        return {
            "handler": handler, "exception": "E", "where": "x:1", "count": count, "latest": latest,
            "text": latest,
        }  # fmt: skip

    one = seen()._replace(errors=[error("a", "2026-01-02", 1), error("b", "2026-01-01", 1)])
    other = seen()._replace(errors=[error("b", "2026-01-03", 4)])
    assert merged([one, other]).errors == [error("b", "2026-01-03", 5), error("a", "2026-01-02", 1)]


def test_what_a_process_did_stays_and_what_it_had_goes() -> None:
    one = seen(connections=2, room_members={"a": 2})
    one = one._replace(counts={**one.counts, "messages_sent": 7})
    left = only_counts(one)
    assert left.counts["messages_sent"] == 7
    assert left.present["connections"] == 0 and left.present["room_members"] == {}
