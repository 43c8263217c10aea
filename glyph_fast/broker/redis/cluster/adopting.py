"""Rooms whose slot has moved whole, and to which nothing happens: they are the new primary's too.

A room says which run of which server has given its offsets. Nodes that have seen its slot move know
that the new one goes on with them; those that are started later do not. So whoever sees it has the
rooms say so, be anybody in them or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from ....errors import BrokerUnavailable
from ...nodes.subjects import Subjects
from ..connection import settle
from ..scripts import ADOPT
from ..streams import META, unavailable
from .routing import Routing
from .shard import Shard
from .shards import Shards

MOST = 10_000  # keys of one slot that are looked at
AGAIN_S = 0.2  # while the new primary is not reached
TRIES = 25


class Adopting:
    """Has rooms of slots that have moved say whose they are."""

    def __init__(self, shards: Shards, routing: Routing, subjects: Subjects) -> None:
        self._shards = shards
        self._routing = routing
        self._begin = subjects.of(META).partition(b"{")[0]
        self._slots: dict[int, None] = {}
        self._task: asyncio.Task[None] | None = None

    def adopt(self, slots: Iterable[int]) -> None:
        """Do so with the rooms of slots, one after the other."""
        self._slots |= dict.fromkeys(slots)
        if self._slots and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    def close(self) -> None:
        """End what runs."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        tries = 0
        while self._slots:
            slot = next(iter(self._slots))
            try:
                await self._routing.ask(slot, partial(self._adopt, slot))
            except BrokerUnavailable:
                tries += 1
                if tries < TRIES:
                    await asyncio.sleep(AGAIN_S)
                    continue
            tries = 0
            self._slots.pop(slot, None)
        self._task = None

    async def _adopt(self, slot: int, shard: Shard) -> None:
        if not shard.is_up:
            raise BrokerUnavailable
        runs = " ".join((shard.link.server.run_id, *self._shards.former(slot)))
        for key in await shard.streams.keys_in(slot, MOST):
            if key.startswith(self._begin):
                await _call(shard, key, runs)


async def _call(shard: Shard, key: bytes, runs: str) -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    told = partial(settle, future)
    shard.streams.scripts.call(ADOPT, (1, key, runs), lambda got: told(unavailable(got)))
    await future
