"""A broker that takes its time."""

from __future__ import annotations

import asyncio

from glyph_fast.broker.history import Ask, Page
from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.errors import BrokerUnavailable


class Slow(MemoryBroker):
    """Reads histories when the test opens the gate, and fails if it is to."""

    __slots__ = ("gate", "is_away", "is_late")

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.is_away = False
        self.is_late = False  # reads before it waits

    async def history(self, room: str, ask: Ask) -> Page:
        page = await super().history(room, ask)
        await self.gate.wait()
        if self.is_away:
            raise BrokerUnavailable("away")
        return page if self.is_late else await super().history(room, ask)
