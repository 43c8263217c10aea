"""Rooms that remember, in a cluster: each at the shard that has its slot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

from ....options.rooms import RoomDeclaration
from ...nodes.subjects import Subjects
from ..connection import Answer, ignore
from ..link import Reached
from ..streams import KNOWN_ROOMS, META, Chunk, RedisStreams
from .routing import Routing
from .shard import Shard
from .shards import Shards
from .slots import slot_of


class ClusterStreams(RedisStreams):
    """What a cluster keeps of rooms: as of one server, but that each call goes to a shard."""

    def __init__(
        self, shards: Shards, routing: Routing, subjects: Subjects, leading: Reached
    ) -> None:
        super().__init__(leading, subjects)
        self._shards = shards
        self._routing = routing
        self.slot_of = lru_cache(KNOWN_ROOMS)(lambda name: slot_of(subjects.of(META, name)))

    def declare(self, terms_of: Callable[[str], RoomDeclaration | None]) -> None:
        """Go by other declarations."""
        self.terms_of = terms_of
        for shard in self._shards.by_address.values():
            shard.streams.declare(terms_of)

    def publish(self, name: str, order: bytes, id: str, answer: Answer) -> None:
        """Give an `ORDER` its place, as one server does."""

        def work(shard: Shard, answered: Answer) -> None:
            shard.streams.publish(name, order, id, answered)

        self._routing.send(self.slot_of(name), work, answer)

    def tell(self, name: str, parts: bytes) -> None:
        """The same without an id, for who only wants to know of errors: `failed` is told."""

        def work(shard: Shard, answered: Answer) -> None:
            shard.streams.tell_and_hear(name, parts, answered)

        self._routing.send(self.slot_of(name), work, self._told)

    def _told(self, got: Any) -> None:
        if isinstance(got, Exception):
            self.failed(got)

    async def claim(self, name: str, id: str) -> bool:
        """Whether an id is new, in a room that gives no places. Raises BrokerUnavailable."""
        return await self._routing.ask(
            self.slot_of(name), lambda shard: shard.streams.claim(name, id)
        )

    async def _read(self, name: str, *what: int, from_newest: bool) -> Chunk:
        read = partial(self._read_at, name, what, from_newest)
        return await self._routing.ask(self.slot_of(name), read)

    @staticmethod
    async def _read_at(name: str, what: tuple[int, ...], from_newest: bool, shard: Shard) -> Chunk:
        above, below, most = what
        return await shard.streams._read(name, above, below, most, from_newest=from_newest)

    async def empty(self, name: str) -> None:
        """Forget what a room keeps; its position stays. Raises BrokerUnavailable."""
        await self._routing.ask(self.slot_of(name), lambda shard: shard.streams.empty(name))

    def forget(self, name: str, answer: Answer = ignore) -> None:
        """Forget what a room keeps, and its position."""

        def work(shard: Shard, answered: Answer) -> None:
            shard.streams.forget(name, answered)

        self._routing.send(self.slot_of(name), work, answer)

    async def forget_all(self) -> None:
        """As `forget`, of all rooms of this server. Raises BrokerUnavailable."""
        shards = self._shards.by_address.values()
        await asyncio.gather(*(shard.streams.forget_all() for shard in shards))
