"""Processes of one server, one after the other, as far as what rooms remember goes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from glyph_fast.broker.bequeathing import Bequest
from glyph_fast.broker.inheriting import Inheriting
from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.core import encode_frame
from glyph_fast.options.rooms import Declarations, RoomDeclaration
from glyph_fast.wire import TEXT, Position


class Clock:
    """The time, which the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def until(is_so: Callable[[], bool]) -> None:
    """Return when it is so."""
    while not is_so():
        await asyncio.sleep(0.001)


def broker(clock: Clock, memory: int = 10**9, **terms: Any) -> MemoryBroker:
    """What remembers rooms `kept:*`."""
    made = MemoryBroker(clock)
    options = {"history_size": 100_000, "history_bytes": 10**9, **terms}
    declared = Declarations(in_program=[RoomDeclaration(pattern="kept:*", **options)])
    made.remember(declared.history_of, memory)
    return made


def fill(made: MemoryBroker, room: str, texts: list[str]) -> Position:
    """Have messages in a room; return where it is."""
    for text in texts:
        made.histories.append(room, encode_frame(TEXT, text.encode()), TEXT, "not-me", "ann")
    return made.histories.stream(room).position


class Pair:
    """A former process's end of the link, and its successor."""

    def __init__(self) -> None:
        here, there = socket.socketpair()
        self.former = Bequest(there)
        self.memory = broker(Clock())
        self.came = 0
        self.others: list[bytes] = []
        self.inheriting = Inheriting(here, self.memory, self._heard, self._came)

    def _heard(self, link: Any, frames: list[bytes]) -> None:
        self.others += frames

    def _came(self) -> None:
        self.came += 1

    def send(self, *frames: bytes) -> None:
        for each in frames:
            self.former.link.send_always(each)

    async def comes(self) -> None:
        await until(lambda: self.came == 1)


def filled() -> MemoryBroker:
    made = broker(Clock())
    for n in range(20):
        made.histories.clock.now += 1  # type: ignore[attr-defined]
        fill(made, f"kept:{n}", ["x" * 1000] * 100)
    return made
