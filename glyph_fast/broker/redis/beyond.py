"""A server with workers among others that share a Redis: its main process is the node."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...options.broker import BrokerUrl
from ...options.rooms import RoomDeclaration
from ..nodes.main import Beyond
from ..nodes.subjects import Subjects
from .keeping import RedisKeeping
from .lease import Lease
from .making import parts_of
from .streams import LEASE

if TYPE_CHECKING:
    from ..switchboard import Switchboard


class RedisBeyond(Beyond):
    """The other nodes; and Redis, which has the order of rooms that remember."""

    def __init__(self, switchboard: Switchboard, url: BrokerUrl, prefix: str) -> None:
        self._subjects = Subjects(prefix)
        self.link, bus, self._streams, self._scripts = parts_of(url, self._subjects)
        super().__init__(switchboard, bus, prefix)
        self.keeping = RedisKeeping(
            bus, self._streams, switchboard._to_members, switchboard.links_of
        )
        bus.streams = self.keeping
        switchboard.keeper.placing = self.keeping
        self._lease: Lease | None = None

    def remember(self, terms: Callable[[str], RoomDeclaration | None]) -> None:
        """Go by what `terms` says of a room."""
        self._streams.declare(terms)

    async def start(self) -> None:
        """Join the other nodes, or begin to wait for Redis. Raises BrokerRefused."""
        await super().start()
        if self._lease is not None:
            self._lease.start()

    async def close(self) -> None:
        """Leave."""
        if self._lease is not None:
            await self._lease.close()
        self.keeping.close()
        await super().close()

    def seek_lease(self, changed: Callable[[bool], object]) -> None:
        """From `start` on, tell `changed` whenever this node leads all of them, or not any more."""
        self._lease = Lease(self.link, self._scripts, self._subjects.of(LEASE), changed)

    def join(self, room: bytes) -> None:
        """A worker has the first member of a room."""
        name = room.decode("utf-8", "surrogatepass")
        if self._streams.terms_of(name) is not None:
            self.keeping.subscribe(name)
        else:
            super().join(room)

    def leave(self, room: bytes) -> None:
        """No worker has members of a room any more."""
        name = room.decode("utf-8", "surrogatepass")
        if self._streams.terms_of(name) is not None:
            self.keeping.unsubscribe(name)
        else:
            super().leave(room)

    def figures(self) -> dict[str, int]:
        """As of all nodes, with what got no place."""
        found = super().figures()
        return {
            **found,
            "broker_lost": found["broker_lost"] + self.keeping.lost,
            "broker_invalid": found["broker_invalid"] + self.keeping.invalid,
        }
