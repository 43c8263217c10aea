"""Handing over: within its time, without holding up the loop, and what was said last arrives."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from glyph_fast.broker import bequeathing
from glyph_fast.broker.bequeathing import Bequest
from glyph_fast.broker.estate import PIECE
from glyph_fast.broker.frames import Kind, frame
from tests.estates import Clock, Pair, broker, fill, filled, until

Run = Callable[[Coroutine[Any, Any, None]], None]


def test_all_is_handed_over_and_forgotten(run: Run) -> None:
    async def main() -> None:
        pair, memory = Pair(), filled()
        await pair.former.hand_over(memory)
        await pair.comes()
        assert len(pair.memory.histories) == 20
        assert (len(memory.histories), memory.histories.nbytes) == (0, 0)
        pair.send(frame(Kind.TELL, b"last"))
        await pair.former.close()
        await until(lambda: not pair.inheriting.link.is_open)
        assert pair.others == [frame(Kind.TELL, b"last")]

    run(main())


def test_a_large_history_holds_up_neither_loop_nor_memory(run: Run) -> None:
    async def main() -> None:
        pair, memory = Pair(), broker(Clock())
        for n in range(20):
            fill(memory, f"kept:{n}", ["x" * 1000] * 1000)
        turns, waiting = 0, 0

        async def watch() -> None:
            nonlocal turns, waiting
            while not pair.came:
                turns += 1
                waiting = max(waiting, pair.former.link.waiting_bytes)
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        await pair.former.hand_over(memory)
        await watching
        assert waiting < 2 * PIECE
        assert turns > 20_000_000 // (2 * PIECE)
        await pair.former.close()
        pair.inheriting.close()

    run(main())


def test_a_successor_that_does_not_read_is_not_waited_for(run: Run, monkeypatch: Any) -> None:
    async def main() -> None:
        monkeypatch.setattr(bequeathing, "WAIT_S", 0.01)
        monkeypatch.setattr(bequeathing, "LEAVE_S", 0.01)
        here, there = socket.socketpair()
        bequest, memory = Bequest(here), filled()
        await bequest.hand_over(memory)
        assert len(memory.histories) == 0
        await bequest.close()
        there.close()

    run(main())


def test_a_successor_that_is_gone_is_told_of(run: Run, caplog: Any) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        bequest, lost = Bequest(here), []
        bequest.lost = lambda: lost.append(1)
        there.close()
        await bequest.hand_over(filled())
        assert "the new process does not take what rooms remember" in caplog.text
        assert lost == [1]
        await bequest.close()

    run(main())
