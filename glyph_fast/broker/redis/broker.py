"""A node of several that share a Redis: what it publishes reaches the members of all.

In rooms that remember Redis has the order, and nobody gets a message before it has its place. All
else is delivered here at once, and on other nodes a moment later.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ...dialects.publication import ROOM, ROOMS, USER, Publication
from ...logs import SERVER, log
from ...options.broker import BrokerUrl
from ...options.rooms import RoomDeclaration
from ...wire import NOBODY, NOWHERE, Position, SendResult
from ..base import BaseBroker, Deliver, Obey, Published, UserOf, disobey
from ..crossing import pack, unpack
from ..history import Ask, Page
from ..nodes.subjects import ALL, Subjects
from ..nodes.subjects import ROOM as TO_ROOM
from ..nodes.subjects import USER as TO_USER
from ..workers import and_elsewhere
from .bus import RedisBus
from .lease import Lease
from .link import Link
from .places import Places
from .streams import RedisStreams

KNOWN_ROOMS = 4096  # names of which it is known whether they remember
LEASE = b"l"  # a kind of key
NODE_BYTES = 12  # of the name of a node, before what it publishes


class RedisBroker(BaseBroker):
    """Publishes by Redis, which has the order of rooms that remember and keeps their messages."""

    is_alone = False
    remembers = True

    def __init__(self, url: BrokerUrl, prefix: str) -> None:
        super().__init__()
        self._node = secrets.token_bytes(NODE_BYTES)
        self._subjects = Subjects(prefix)
        self.link = Link(url)
        self._bus = RedisBus(self.link)
        self._streams = RedisStreams(self.link, self._subjects)
        self._bus.preparing = self._streams.opened
        self._terms: Callable[[str], RoomDeclaration | None] = lambda name: None
        self._user_of: UserOf = lambda publication: None
        self._places: Places
        self._lease: Lease | None = None
        self.count_here: Callable[[str | None], int] = lambda room: 0

    def attach(self, deliver: Deliver, obey: Obey = disobey) -> None:
        """Give publications for members in this process to `deliver`, and orders to `obey`."""
        super().attach(deliver, obey)

        def reset(room: str, position: Position) -> None:
            obey("reset_room", [room, position])

        self._places = Places(self._bus, self._streams, deliver, reset)
        self._bus.attach(self._heard, self._places.changed)
        self._of_streams = self._streams.keys("").stream.partition(b"{")[0]
        self._bus.subscribe(self._subjects.of(ALL))

    @property
    def state(self) -> str:  # type: ignore[override]
        """Whether Redis is there."""
        if self.link.is_up:
            return "up"
        return "lost" if self.link.was_up else "waiting"

    async def start(self) -> None:
        """Connect, or begin to try. Raises BrokerRefused."""
        await self._bus.start()
        if self._lease is not None:
            self._lease.start()

    async def close(self) -> None:
        """Release everything."""
        if self._lease is not None:
            await self._lease.close()
        self._places.close()
        await self._bus.close()

    def seek_lease(self, changed: Callable[[bool], object]) -> None:
        """From `start` on, tell `changed` whenever this node leads all of them, or not any more."""
        key = self._subjects.of(LEASE)
        self._lease = Lease(self.link, self._streams.scripts, key, changed)

    def remember(
        self, terms: Callable[[str], RoomDeclaration | None], memory: int, user_of: UserOf
    ) -> None:
        """Go by what `terms` says of a room; what there is to be kept Redis keeps."""
        self._terms = self._streams.terms_of = lru_cache(KNOWN_ROOMS)(terms)
        self._user_of = user_of

    # Which rooms have members here.

    def subscribe(self, room: str) -> None:
        """A room has its first member here."""
        if self._terms(room) is not None:
            self._places.subscribe(room)
        else:
            self._bus.subscribe(self._subjects.of(TO_ROOM, room))

    def unsubscribe(self, room: str) -> None:
        """The last member of a room has left."""
        if self._terms(room) is not None:
            self._places.unsubscribe(room)
        else:
            self._bus.unsubscribe(self._subjects.of(TO_ROOM, room))

    # What is published, and comes.

    def publish(self, publication: Any) -> SendResult:
        """Deliver to the members here and publish for those elsewhere; or have it placed first."""
        kind = publication.kind
        if kind == ROOM and self._terms(publication.name) is not None:
            if not self._bus.is_up:
                self._places.lost += 1
                return SendResult(0, 0, self.count_here(publication.name))
            return self._places.publish(publication, self._user_of(publication))
        if kind == ROOMS:
            publication = self._without_remembering(publication)
        result = self.deliver(publication)
        packed = pack(publication)
        if packed is None:
            return result
        subjects = self._subjects
        if kind == ROOM:
            subject = subjects.of(TO_ROOM, publication.name)
        else:
            subject = subjects.of(TO_USER, publication.name) if kind == USER else subjects.of(ALL)
        self._bus.publish(subject, self._node + packed)
        return and_elsewhere(result)

    def _without_remembering(self, publication: Publication) -> Publication:
        """What is left of one to several rooms when those that remember have theirs."""
        for name in publication.name:
            if self._terms(name) is not None:
                self.publish(publication.to_room(name))
        publication.name = tuple(each for each in publication.name if self._terms(each) is None)
        return publication

    def _heard(self, subject: bytes, payload: bytes) -> None:
        if subject.startswith(self._of_streams):
            self._places.heard(subject, payload)
        elif payload[:NODE_BYTES] != self._node:
            try:
                self.deliver(unpack(payload[NODE_BYTES:]))
            except ValueError as exc:
                log(SERVER, logging.ERROR, "not a publication", reason=str(exc))

    # Rooms that remember.

    def take_place(self, publication: Publication, user: str | None) -> None:
        """Nothing: what Redis has placed is delivered as such."""

    async def publish_once(
        self, publication: Publication, id: str = "", user: str = ""
    ) -> Published:
        """Publish, unless that was done under this id already; say which place it has."""
        key = f"{user}\0{id}" if id else ""
        if self._terms(publication.name) is None:
            if key and not await self._streams.claim(publication.name, key):
                return Published(NOWHERE, NOBODY, is_new=False)
            return Published(NOWHERE, self.publish(publication), is_new=True)
        return await self._places.publish_once(publication, self._user_of(publication), key)

    async def history(self, room: str, ask: Ask) -> Page:
        """The messages of a room that are asked for."""
        if self._terms(room) is None:
            return Page(NOWHERE, [])
        return await self._places.history(room, ask)

    async def remove_history(self, room: str) -> None:
        """Forget the messages of a room; its position stays."""
        await self._streams.empty(room)

    def forget(self, room: str) -> None:
        """Forget what a room keeps, and its position."""
        self._streams.forget(room)

    def forget_all(self) -> None:
        """Forget what all rooms keep, and their positions."""
        self._places.begin(self._streams.forget_all())

    def figures(self) -> dict[str, int]:
        """What is kept lies in Redis; whether that is there, and what was lost while it was not."""
        return {
            **super().figures(),
            "broker_up": int(self._bus.is_up),
            "broker_lost": self._places.lost + self._bus.dropped,
        }
