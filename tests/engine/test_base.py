"""The turn's way to its loop, and the sweep; on a loop, without sockets."""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import threading

import pytest

from glyph_fast.core import Limits
from glyph_fast.engine.base import AcceptFailures, Sweep, new_turn, sweep_interval
from tests.engine.peers import Recorder


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        ({}, 1.0),
        ({"write_timeout": 1.0}, 0.5),
        ({"close_timeout": 0.1}, 0.05),
        ({"head_timeout": 0.2}, 0.1),
        ({"keep_alive_timeout": 0.2}, 0.1),
        ({"ping_interval": 0.5}, 0.25),
        ({"ping_interval": 0}, 1.0),
        ({"ping_interval": 0.000001}, 0.001),
    ],
)
def test_a_sweep_comes_twice_in_the_shortest_time_that_is_judged(limits, seconds):
    assert sweep_interval(Limits(**limits)) == pytest.approx(seconds)


def test_what_is_left_over_is_flushed_once_in_a_round_whoever_else_flushes(run):
    async def main():
        loop = asyncio.get_running_loop()
        soon = loop.call_soon
        flushes = []

        def counting(function, *args, **kwargs):
            if getattr(function, "__name__", "") == "flush":
                flushes.append(function)
            return soon(function, *args, **kwargs)

        turn = new_turn(loop, Limits(), Recorder())
        loop.call_soon = counting
        turn.schedule()
        for _ in range(5):  # as the poller does, and what other threads post
            turn.flush()
            turn.schedule()
        assert len(flushes) == 1
        await asyncio.sleep(0)
        turn.schedule()
        assert len(flushes) == 2
        await asyncio.sleep(0)

    run(main())


def test_what_is_posted_is_flushed_once_in_a_round_whoever_else_flushes(run):
    """Else each flush brought another, which brought more: rounds without an end for one client."""

    async def main():
        loop = asyncio.get_running_loop()
        soon, wakes = loop.call_soon_threadsafe, []

        def counting(function, *args, **kwargs):
            wakes.append(function)
            return soon(function, *args, **kwargs)

        turn = new_turn(loop, Limits(), Recorder())
        loop.call_soon_threadsafe = counting
        done = []
        for number in range(5):
            turn.post(done.append, number)
            turn.flush()  # as the poller does
        assert len(wakes) == 1 and done == [0, 1, 2, 3, 4]
        await asyncio.sleep(0)
        turn.post(done.append, 5)
        assert len(wakes) == 2
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done[5:] == [5]

    run(main())


def test_what_is_left_over_and_what_is_posted_are_flushed_together(run):
    """Else a peer had two shares of a round, one by either."""

    async def main():
        loop, done = asyncio.get_running_loop(), []
        turn = new_turn(loop, Limits(), Recorder())
        soon, wakes = loop.call_soon, []
        loop.call_soon = lambda *args, **kwargs: (wakes.append(args), soon(*args, **kwargs))
        turn.post(done.append, 1)
        turn.schedule()
        assert not wakes
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert done == [1]

    run(main())


def test_what_other_threads_post_is_done_in_order_by_one_wake_up(run):
    async def main():
        loop = asyncio.get_running_loop()
        wakes, done = [], []
        threadsafe = loop.call_soon_threadsafe
        turn = new_turn(loop, Limits(), Recorder())

        def counting(*args, **kwargs):
            wakes.append(args)
            return threadsafe(*args, **kwargs)

        loop.call_soon_threadsafe = counting
        finished = asyncio.Event()

        def posts():
            for number in range(1000):
                turn.post(done.append, number)
            turn.post(finished.set)

        thread = threading.Thread(target=posts)
        thread.start()
        thread.join()  # the loop does not turn meanwhile
        await finished.wait()
        assert done == list(range(1000))
        assert len(wakes) == 1

    run(main())


def test_a_thread_that_outlives_the_loop_is_not_disturbed():
    loop = asyncio.new_event_loop()
    turn = new_turn(loop, Limits(), Recorder())
    loop.close()
    turn.post(print, "nobody hears this")


def test_a_failure_to_wake_the_loop_is_not_hidden():
    loop = asyncio.new_event_loop()

    def fail(*args, **kwargs):
        raise RuntimeError("something else")

    loop.call_soon_threadsafe = fail
    turn = new_turn(loop, Limits(), Recorder())
    try:
        with pytest.raises(RuntimeError, match="something else"):
            turn.post(print)
    finally:
        loop.close()


def test_handlers_do_not_see_the_context_of_who_caused_the_flush(run):
    mark = contextvars.ContextVar("mark", default="clean")

    async def main():
        turn = new_turn(asyncio.get_running_loop(), Limits(), Recorder())
        seen = asyncio.get_running_loop().create_future()

        async def soil():
            mark.set("soiled")
            turn.post(lambda: seen.set_result(mark.get()))

        await asyncio.create_task(soil())
        assert await seen == "clean"

    run(main())


def test_the_sweep_goes_on_until_it_is_stopped(run):
    async def main():
        times, now = [], iter(range(1, 1000))  # ms
        loop = asyncio.get_running_loop()
        turn = new_turn(loop, Limits(head_timeout=0.01), Recorder(), clock=lambda: next(now) / 1000)
        three = asyncio.Event()

        def also(time):
            times.append(time)
            if len(times) == 3:
                three.set()

        sweep = Sweep(turn, loop, also)
        await three.wait()
        sweep.stop()
        sweep.stop()  # once more changes nothing
        assert times[:3] == [0.002, 0.003, 0.004]  # the first reading is its own

    run(main())


def test_a_sweep_that_fails_is_not_the_last(run, monkeypatch):
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        turn = new_turn(loop, Limits(head_timeout=0.01), Recorder())
        calls = []
        twice = asyncio.Event()

        def also(now):
            calls.append(now)
            if len(calls) > 1:
                twice.set()
            raise LookupError

        sweep = Sweep(turn, loop, also)
        await twice.wait()
        sweep.stop()

    run(main())


def test_trouble_with_accepting_is_told_when_it_begins_and_when_it_ends(caplog):
    caplog.set_level(logging.INFO, "glyph_fast")
    failures = AcceptFailures()
    for _ in range(5):
        failures.failed(OSError(errno.EMFILE, "Too many open files"))
        failures.swept()
    failures.swept()
    failures.swept()
    failures.failed(OSError(errno.EMFILE, "Too many open files"))
    assert [record.event for record in caplog.records] == [
        "cannot accept connections",
        "accepting connections again",
        "cannot accept connections",
    ]
    assert caplog.records[0].fields == {"reason": "Too many open files"}


def test_a_sweep_after_the_loop_was_held_up_is_left_out_but_not_the_next(run):
    """What peers did meanwhile is read first; a loop that is always late is judged all the same."""

    async def main():
        now, swept = [0.0], []
        loop = asyncio.get_running_loop()
        turn = new_turn(loop, Limits(head_timeout=0.002), Recorder(), clock=lambda: now[0])
        sweep = Sweep(turn, loop, swept.append)
        sweep.stop()
        for seconds in (0.001, 0.002, 5.0, 5.001, 10.0, 20.0, 30.0, 30.001):
            now[0] = seconds
            sweep._run()
            sweep.stop()
        assert swept == [0.001, 0.002, 5.001, 20.0, 30.001]

    run(main())


def test_a_sweep_goes_on_when_there_is_no_memory_for_a_timer(run):
    async def main():
        loop = asyncio.get_running_loop()
        turn = new_turn(loop, Limits(head_timeout=0.02), Recorder())
        later, refused, sweeps = loop.call_later, [], asyncio.Queue()

        def failing(*args, **named):
            if len(refused) < 3 and sweeps.qsize() > len(refused):
                refused.append(args)
                raise MemoryError
            return later(*args, **named)

        loop.call_later = failing
        try:
            sweep = Sweep(turn, loop, sweeps.put_nowait)
            async with asyncio.timeout(20):
                while len(refused) < 3 or sweeps.qsize() < 6:
                    await asyncio.sleep(0)
        finally:
            loop.call_later = later
        sweep.stop()

    run(main())
