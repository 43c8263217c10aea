"""What is said to the shard that has a slot, and said again where that has moved.

A server that does not have a slot, or not yet, has done nothing. So what it refuses is repeated
once it is known where the slot is, in the order in which it was said; what is said of that slot
meanwhile waits behind it. Nothing waits for longer than `HELD_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, NamedTuple, TypeVar

from ....errors import BrokerUnavailable
from ..connection import LOST, Answer
from .shard import Shard, Work
from .shards import Shards
from .slots import is_elsewhere

HELD_S = 5.0
MOVING = "the slots of the cluster are moving"

T = TypeVar("T")


class _Call(NamedTuple):
    work: Work
    answer: Answer
    until: float  # of the loop's clock


class _Moving:
    """What waits until it is known where a slot is."""

    def __init__(self) -> None:
        self.refused: list[_Call] = []  # in the order in which it was said
        self.held: list[_Call] = []  # what was said since
        self.task: asyncio.Task[None] | None = None


class Routing:
    """Says something of a slot to its shard. For the loop's thread alone."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._open: dict[int, int] = {}  # how much is not answered, by slot
        self._moving: dict[int, _Moving] = {}

    def send(self, slot: int, work: Work, answer: Answer) -> None:
        """Have work done by the shard of a slot, behind what was sent before."""
        call = _Call(work, answer, asyncio.get_running_loop().time() + HELD_S)
        moving = self._moving.get(slot)
        if moving is not None:
            moving.held.append(call)
        else:
            self._send(slot, call)

    def _send(self, slot: int, call: _Call) -> None:
        shard = self._shards.at[slot]
        if shard is None or not shard.is_up:
            call.answer(BrokerUnavailable(LOST))
            return
        self._open[slot] = self._open.get(slot, 0) + 1
        call.work(shard, partial(self._answered, slot, call))

    def _answered(self, slot: int, call: _Call, got: Any) -> None:
        left = self._open[slot] = self._open[slot] - 1
        if not left:
            del self._open[slot]
        if is_elsewhere(got):
            self._moving.setdefault(slot, _Moving()).refused.append(call)
        else:
            call.answer(got)
        moving = self._moving.get(slot)
        if moving is not None and not left and moving.task is None:
            moving.task = asyncio.get_running_loop().create_task(self._repeat(slot))

    def moved(self, slots: Iterable[int]) -> None:
        """Slots have other shards: what the former ones have not answered comes first."""
        for slot in slots:
            if slot in self._open:
                self._moving.setdefault(slot, _Moving())

    async def _repeat(self, slot: int) -> None:
        """Send what waits once there is a shard to send it to, or say that there is none."""
        loop = asyncio.get_running_loop()
        waits_until = loop.time() + HELD_S
        while True:
            await self._shards.looked_again()
            shard = self._shards.at[slot]
            if shard is not None and shard.is_up or loop.time() > waits_until:
                break
        moving = self._moving.pop(slot)
        for call in moving.refused + moving.held:
            if loop.time() > call.until:
                call.answer(BrokerUnavailable(MOVING))
            else:
                self._send(slot, call)

    async def ask(self, slot: int, work: Callable[[Shard], Awaitable[T]]) -> T:
        """The answer of the shard of a slot. Raises BrokerUnavailable."""
        loop = asyncio.get_running_loop()
        until, has_moved = loop.time() + HELD_S, False
        while True:
            shard = self._shards.at[slot]
            try:
                if shard is None:
                    raise BrokerUnavailable(LOST)
                return await work(shard)
            except BrokerUnavailable as exc:
                has_moved = has_moved or is_elsewhere(exc)
                if not has_moved or loop.time() > until:
                    raise
            await self._shards.looked_again()

    def close(self) -> None:
        """Nothing is repeated any more."""
        moving, self._moving = self._moving, {}
        for each in moving.values():
            if each.task is not None:
                each.task.cancel()
            for call in each.refused + each.held:
                call.answer(BrokerUnavailable(LOST))
