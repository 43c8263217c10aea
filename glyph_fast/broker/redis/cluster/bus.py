"""What nodes publish to each other, by the sharded publish and subscribe of a cluster."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any

import hiredis

from ....errors import BrokerUnavailable
from ....logs import SERVER, log
from ....options.values import bracketed
from ...nodes.bus import Changed, Heard
from ...nodes.subjects import NODES, Subjects
from ..bus import Streams
from ..connection import LOST, Answer
from .adopting import Adopting
from .routing import Routing
from .shard import Shard
from .shards import Shards
from .slots import slot_of

KNOWN_SUBJECTS = 16384  # whose slots are at hand


class ClusterBus:
    """A `Bus` over the shards of a cluster: up while each slot has one that is up."""

    max_payload: int | None = None

    def __init__(self, shards: Shards, routing: Routing, subjects: Subjects) -> None:
        self.dropped = 0
        self.is_up = False
        self.reason = ""  # why it was down last
        self.streams: Streams | None = None  # set before `attach`
        self.preparing: Callable[[], Awaitable[None]] | None = None
        self.slot_of = lru_cache(KNOWN_SUBJECTS)(slot_of)
        self._shards = shards
        self._routing = routing
        self._adopting = Adopting(shards, routing, subjects)
        self._control = subjects.of(NODES)
        self._homes: dict[bytes, Shard | None] = {}  # of the subjects that are wanted
        self._ended: dict[bytes, None] = {}  # subscriptions that a server did not keep
        self._heard: Heard
        self._changed: Changed

    def attach(self, heard: Heard, changed: Changed) -> None:
        """Give what comes to `heard`, and tell `changed` whenever it is up or down."""
        self._heard, self._changed = heard, changed
        if (streams := self.streams) is not None:
            streams.others = heard
            self._heard = streams.heard
        self._shards.moved = self._moved
        self._shards.moved_whole = self._adopting.adopt
        self._shards.looked = self._repeat

    def add(self, shard: Shard) -> None:
        """Take what comes from a new shard."""
        shard.bus.attach(
            lambda channel, payload: self._heard(channel, payload),
            lambda is_up: self._shard_changed(shard, is_up),
        )
        shard.link.moved = lambda subject: self._unserved(shard, subject)

    @property
    def place(self) -> str:
        """The URL without its password."""
        return str(self._shards.url)

    async def start(self) -> None:
        """Begin to connect. Raises BrokerRefused."""
        await self._shards.start()

    async def close(self) -> None:
        """Release everything."""
        self._adopting.close()
        self._routing.close()
        await self._shards.close()

    # Which shards are up.

    def reaches(self, subject: bytes) -> bool:
        """Whether what is published to a subject now has somewhere to go."""
        shard = self._shards.at[self.slot_of(subject)]
        return shard is not None and shard.is_up

    def _shard_changed(self, shard: Shard, is_up: bool) -> None:
        if not is_up:
            self._shards.ended(shard)
            self._shards.doubt()
        (address,) = shard.link.url.addresses
        self._judge(f"{bracketed(address.host)}:{address.port}: {shard.link.reason}")
        if is_up:
            self._compare([each for each, home in self._homes.items() if home is shard])

    def _judge(self, reason: str) -> None:
        """Tell whether all slots can be reached, where that has changed."""
        shards = self._shards
        is_up = shards.is_whole and all(each.is_up for each in shards.by_address.values())
        if is_up is not self.is_up:
            self.is_up, self.reason = is_up, reason
            self._changed(is_up)

    def suspect(self) -> None:
        """Nothing comes back: end the link by which nodes tell each other that they are there."""
        shard = self._shards.at[self.slot_of(self._control)]
        if shard is not None:
            shard.bus.suspect()
        self._shards.doubt()

    # Subscriptions.

    def subscribe(self, subject: bytes) -> None:
        """Hear what is published to a subject from now on."""
        if subject not in self._homes:
            self._settle_at(subject, self._shards.at[self.slot_of(subject)])

    def _settle_at(self, subject: bytes, shard: Shard | None) -> None:
        self._homes[subject] = shard
        if shard is not None:
            shard.bus.subscribe(subject)

    def unsubscribe(self, subject: bytes) -> None:
        """Hear no more of it."""
        shard = self._homes.pop(subject, None)
        self._ended.pop(subject, None)
        if shard is not None:
            shard.bus.unsubscribe(subject)

    async def subscribed(self, subject: bytes) -> None:
        """Return when what is published to a subject comes. Raises BrokerUnavailable."""
        while True:
            shard = self._homes.get(subject)
            if shard is None:
                raise BrokerUnavailable(LOST)
            try:
                await shard.bus.subscribed(subject)
            except BrokerUnavailable:
                if self._homes.get(subject) is shard:
                    raise
            if self._homes.get(subject) is shard:
                return

    async def settled(self, subjects: Iterable[bytes]) -> None:
        """Return when all that was published to subjects until now has been heard.

        Raises BrokerUnavailable.
        """
        subjects = list(subjects)
        for subject in subjects:
            await self.subscribed(subject)
        for shard in {self._homes.get(subject) for subject in subjects}:
            if shard is None or not shard.is_up:
                raise BrokerUnavailable(LOST)
            await shard.link.subscriber.ask("PING")

    def _unserved(self, shard: Shard, subject: bytes) -> None:
        """A server has ended a subscription, or refused it, as the slot is elsewhere."""
        if self._homes.get(subject) is shard and shard.bus.unserved(subject):
            self._ended[subject] = None
            self._shards.doubt()

    def _moved(self, slots: list[int]) -> None:
        """Subscribe at the shards that have slots now, and compare what may have been missed."""
        moved = set(slots)
        self._routing.moved(slots)
        subjects = [each for each in self._homes if self.slot_of(each) in moved]
        for subject in subjects:
            if (former := self._homes[subject]) is not None:
                former.bus.drop(subject)
            self._settle_at(subject, self._shards.at[self.slot_of(subject)])
            self._ended.pop(subject, None)
        self._judge("some slots have no primary that is reached")
        self._compare(subjects)

    def _repeat(self) -> None:
        """Subscribe again where a subscription has ended though the slot is where it was."""
        for subject in list(self._ended):
            shard = self._homes.get(subject)
            if shard is not None and shard.is_up:
                del self._ended[subject]
                shard.bus.again(subject)
                self._compare([subject])

    def _compare(self, subjects: list[bytes]) -> None:
        if self.streams is not None:
            self.streams.compare(subjects)

    # Publishing.

    def publish(self, subject: bytes, payload: bytes) -> None:
        """Publish with what else is published in this turn. Never waits and never raises."""

        def send(shard: Shard, answer: Answer) -> None:
            shard.bus.send(subject, payload, answer)

        self._routing.send(self.slot_of(subject), send, self._published)

    def _published(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.dropped += 1
            if isinstance(answer, hiredis.ReplyError):
                log(SERVER, logging.ERROR, "the broker does not publish", reason=str(answer))
