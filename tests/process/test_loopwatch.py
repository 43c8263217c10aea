"""The watch over the loop: what it names, and when it says nothing."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time

import pytest

from glyph_fast.process.loopwatch import LoopWatch, application_frame


def fields(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, object]]:
    return [record.fields for record in caplog.records if record.event == event]


def hold_up(caplog: pytest.LogCaptureFixture) -> None:
    """Compute until somebody has noticed."""
    deadline = time.monotonic() + 15
    while not fields(caplog, "the loop is held up") and time.monotonic() < deadline:
        sum(range(1000))


def test_a_function_that_holds_up_the_loop_is_named(backend, run, caplog):
    async def main():
        watch = LoopWatch(beat=0.01, lag=0.05)
        watch.start()
        asyncio.get_running_loop().call_soon(hold_up, caplog)
        while not fields(caplog, "the loop goes on"):
            await asyncio.sleep(0.01)
        watch.stop()

    with caplog.at_level(logging.WARNING, "glyph_fast"):
        run(main())
    (warning,) = fields(caplog, "the loop is held up")
    assert str(warning["function"]).endswith(":hold_up")
    assert str(warning["where"]).startswith(__file__)
    (end,) = fields(caplog, "the loop goes on")
    assert end["held_up_seconds"] >= 0.05


def test_a_loop_that_waits_is_not_held_up(backend, run):
    async def main():
        owner = threading.get_ident()

        def sees_nothing() -> bool:
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline:  # the loop needs a moment to come to rest
                if application_frame(sys._current_frames()[owner]) is None:
                    return True
            return False

        assert await asyncio.to_thread(sees_nothing)

    run(main())


def test_it_may_be_stopped_twice_and_before_it_starts(run):
    async def main():
        watch = LoopWatch()
        watch.stop()
        watch.start()
        watch.stop()
        watch.stop()

    run(main())
