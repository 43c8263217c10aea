"""What waits is done in its order, within bounds, and nothing overtakes it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from glyph_fast.broker.held import AT_ONCE, TURN_S, Held

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_all_is_done_in_order_and_what_comes_meanwhile_behind_it(run: Run) -> None:
    async def main() -> None:
        held, done = Held(), []
        count = 3 * AT_ONCE
        for n in range(count):
            held.add(partial(done.append, n))
        held.add(lambda: held.add(partial(done.append, "late")))
        over = asyncio.Event()
        held.release(over.set)
        assert 0 < len(done) <= AT_ONCE  # others have their turn
        held.add(partial(done.append, count))
        await over.wait()
        assert done == [*range(count), count, "late"]
        assert len(held) == 0

    run(main())


def test_what_takes_long_is_spread_over_turns(run: Run) -> None:
    async def main() -> None:
        held, turns, over = Held(), 0, asyncio.Event()
        for _ in range(10):
            held.add(partial(time.sleep, TURN_S))
        held.release(over.set)
        while not over.is_set():
            turns += 1
            await asyncio.sleep(0)
        assert turns >= 9

    run(main())


def test_one_that_fails_is_told_and_the_others_are_done(run: Run, caplog: Any) -> None:
    async def main() -> None:
        held, done = Held(), []
        held.add(lambda: 1 / 0)
        held.add(partial(done.append, 1))
        held.release(partial(done.append, "end"))
        assert done == [1, "end"]

    run(main())
    assert "ZeroDivisionError" in caplog.text


def test_no_more_waits_than_may(caplog: Any) -> None:
    held = Held(limit=100)
    assert [held.add(bool, 30) for _ in range(5)] == [True, True, True, False, False]
    assert held.add(bool, 10)
    assert (len(held), held.refused) == (4, 2)
    assert caplog.text.count("too much waits") == 1
