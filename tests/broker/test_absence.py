"""Each reason is told once, until the broker was there again."""

from __future__ import annotations

import logging

from glyph_fast.broker.absence import Absence


def test_each_reason_is_told_once_until_the_broker_was_there(caplog):
    caplog.set_level(logging.WARNING, "glyph_fast")
    absence = Absence("redis://127.0.0.1")
    absence.explain(OSError("refused"))
    absence.explain(OSError("refused"))
    absence.explain(TimeoutError())
    absence.end()
    absence.explain(TimeoutError())
    assert {record.event for record in caplog.records} == {"waiting for the broker"}
    place = "redis://127.0.0.1"
    assert [record.fields for record in caplog.records] == [
        {"broker": place, "reason": "refused"},
        {"broker": place, "reason": "it does not answer in time"},
        {"broker": place, "reason": "it does not answer in time"},
    ]
