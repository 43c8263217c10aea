"""A node of several that share a Redis.

In rooms that remember Redis has the order, and nobody gets a message before it has its place. All
else is what nodes tell each other over whatever bus.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ...dialects.publication import ROOM, ROOMS, Publication
from ...options.broker import BrokerUrl
from ...options.rooms import RoomDeclaration
from ...wire import NOBODY, NOWHERE, Position, SendResult
from ..base import Deliver, Obey, Published, UserOf, disobey
from ..history import Ask, Page
from ..nodes.broker import NodesBroker
from ..nodes.subjects import Subjects
from .lease import Lease
from .making import parts_of
from .places import Places
from .streams import LEASE

KNOWN_ROOMS = 4096  # names of which it is known whether they remember


class RedisBroker(NodesBroker):
    """Publishes by Redis, which has the order of rooms that remember and keeps their messages."""

    remembers = True

    def __init__(self, url: BrokerUrl, prefix: str) -> None:
        self._subjects = Subjects(prefix)
        self.link, self._bus, self._streams, self._scripts = parts_of(url, self._subjects)
        super().__init__(self._bus, prefix)
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
        self._bus.streams = self._places

    async def start(self) -> None:
        """Join the other nodes, or begin to wait for Redis. Raises BrokerRefused."""
        await super().start()
        if self._lease is not None:
            self._lease.start()

    async def close(self) -> None:
        """Leave, and release everything."""
        if self._lease is not None:
            await self._lease.close()
        self._places.close()
        await super().close()

    def seek_lease(self, changed: Callable[[bool], object]) -> None:
        """From `start` on, tell `changed` whenever this node leads all of them, or not any more."""
        key = self._subjects.of(LEASE)
        self._lease = Lease(self.link, self._scripts, key, changed)

    def remember(
        self, terms: Callable[[str], RoomDeclaration | None], memory: int, user_of: UserOf
    ) -> None:
        """Go by what `terms` says of a room; what there is to be kept Redis keeps."""
        self._terms = lru_cache(KNOWN_ROOMS)(terms)
        self._streams.declare(self._terms)
        self._user_of = user_of

    # Which rooms have members here.

    def subscribe(self, room: str) -> None:
        """A room has its first member here."""
        if self._terms(room) is not None:
            self._places.subscribe(room)
        else:
            super().subscribe(room)

    def unsubscribe(self, room: str) -> None:
        """The last member of a room has left."""
        if self._terms(room) is not None:
            self._places.unsubscribe(room)
        else:
            super().unsubscribe(room)

    # What is published, and comes.

    def publish(self, publication: Any) -> SendResult:
        """Deliver to the members here and publish for those elsewhere; or have it placed first."""
        kind = publication.kind
        if kind == ROOM and self._terms(publication.name) is not None:
            if not self._bus.is_up and not self._reaches(publication.name):
                self._places.lost += 1
                return SendResult(0, 0, self.count_here(publication.name))
            return self._places.publish(publication, self._user_of(publication))
        if kind == ROOMS:
            publication = self._without_remembering(publication)
        return super().publish(publication)

    def _reaches(self, room: str) -> bool:
        return self._bus.reaches(self._streams.keys(room).stream)

    def _without_remembering(self, publication: Publication) -> Publication:
        """What is left of one to several rooms when those that remember have theirs."""
        for name in publication.name:
            if self._terms(name) is not None:
                self.publish(publication.to_room(name))
        publication.name = tuple(each for each in publication.name if self._terms(each) is None)
        return publication

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
        """As of any node, with what got no place: what is kept lies in Redis."""
        return {
            **super().figures(),
            "broker_lost": self._places.lost + self._bus.dropped,
        }
