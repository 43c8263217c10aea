"""The seam between the answers of an operators' port and whoever has the connections."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from .. import json
from ..broker.history import Ask, Page
from ..hub.hub import Hub
from ..hub.room_presence import PresenceStats, Present
from ..logs import ErrorLog
from ..process.figures import figures_of_all, own_figures
from ..wire import Position
from .calls import CALLS, finished
from .centrifugo.connections import ORDER, Here, told
from .centrifugo.publications import Outgoing
from .finding import Found, find, largest_streams
from .observation import Observation, observe

LAG_KEPT_S = 1.5  # how long a measure of the loop is told


class RoomSeen(NamedTuple):
    """One room: the ids of its members, and what is noted about it."""

    members: list[str]
    metadata: dict[str, Any]


class Operated(Protocol):
    """One process that serves, or all workers of a server. For its loop.

    Whoever does not answer in time is left out: an operator's question never waits for good.
    """

    channels: Any  # those of a Channels layer, with `do`

    async def observe(self) -> Observation:
        """The figures."""

    def workers(self) -> Sequence[Mapping[str, Any]] | None:
        """A line for each worker; None in a server of one process."""

    async def act(self, name: str, params: object, key: str = "") -> dict[str, Any]:
        """Do a call of `CALLS`, once for a key. Raises CallError."""

    async def find(self, text: str, limit: int) -> Found:
        """The connections whose id, user, address or route has a text in it."""

    def streams(self, limit: int) -> list[dict[str, Any]]:
        """The rooms that remember most."""

    async def rooms(self) -> Mapping[str, int]:
        """Count the members of each room."""

    async def room(self, name: str) -> RoomSeen | None:
        """One room, if it is there."""

    async def describe_room(self, name: str, values: dict[str, Any]) -> bool:
        """Note these about a room and nothing else; a room that is not there is made for them.

        Whether there was anything to do. Raises ValueError for a bad name.
        """

    def remembers(self, room: str) -> bool:
        """Return whether a room has a history."""

    async def history(self, room: str, ask: Ask) -> Page:
        """Return what a room keeps."""

    async def remove_history(self, room: str) -> Position:
        """Forget what a room keeps; its position stays."""

    def shows(self, room: str) -> bool:
        """Return whether it can be asked who is in a room."""

    async def presence(self, room: str) -> tuple[PresenceStats, list[Present]]:
        """Return who is in a room."""

    def check_name(self, room: str) -> None:
        """Raise ValueError unless a room may be called so."""

    async def publish(self, room: str, what: Outgoing, id: str = "") -> Position:
        """Publish in a room, once for an id; the place it got. Raises BrokerUnavailable."""

    async def each(self, call: str, *args: Any) -> list[Any]:
        """Call a method of `centrifugo.connections.Here` in each process that serves."""


class OneProcess:
    """A server that is this process.

    `loop_lag` says how late its loop was, in seconds, since it was asked before.
    """

    def __init__(self, hub: Hub, errors: ErrorLog, loop_lag: Callable[[], float] = float) -> None:
        self._hub = hub
        self._rooms = hub.get_room_manager()
        self._errors = errors
        self._loop_lag = loop_lag
        self._lag, self._asked_at = 0.0, 0.0  # the latest answer
        self.channels = self._rooms._broker.channels
        self._here = Here(hub)

    async def observe(self) -> Observation:
        """The figures."""
        own = {**own_figures(), "loop_lag_seconds": self._lag_of_late()}
        return observe(self._hub, self._errors)._replace(process=figures_of_all([own]))

    def _lag_of_late(self) -> float:
        """For some seconds the same to everybody who asks: the question begins a new measure."""
        if time.monotonic() - self._asked_at > LAG_KEPT_S:
            self._lag, self._asked_at = round(self._loop_lag(), 3), time.monotonic()
        return self._lag

    async def find(self, text: str, limit: int) -> Found:
        """The connections that match."""
        return find(self._hub, text, limit)

    def streams(self, limit: int) -> list[dict[str, Any]]:
        """The rooms that remember most."""
        return largest_streams(self._rooms._broker, limit)

    def workers(self) -> None:
        """There are none."""

    async def act(self, name: str, params: object, key: str = "") -> dict[str, Any]:
        """Do a call, once for a key. Raises CallError."""
        return await finished(CALLS[name](self._hub, params, key))

    async def rooms(self) -> Mapping[str, int]:
        """Count the members of each room."""
        return {room.name: len(room) for room in self._rooms}

    async def room(self, name: str) -> RoomSeen | None:
        """One room, if it is there."""
        return seen(self._hub, name)

    async def describe_room(self, name: str, values: dict[str, Any]) -> bool:
        """Replace what is noted about a room."""
        self._rooms._check_name(name)
        room = self._rooms.get_room(name)
        if room is None:
            if not values:
                return False
            room = self._rooms.get_or_create_room(name)
            room._is_kept = False  # its metadata keeps it
        room.replace_metadata(values)
        return True

    def remembers(self, room: str) -> bool:
        """Return whether a room has a history."""
        return self._rooms._terms(room) is not None

    async def history(self, room: str, ask: Ask) -> Page:
        """Return what a room keeps."""
        page: Page = await self._rooms._broker.history(room, ask)
        return page

    async def remove_history(self, room: str) -> Position:
        """Forget what a room keeps."""
        await self._hub.remove_history(room)
        return (await self._hub.history(room, limit=0)).position

    def shows(self, room: str) -> bool:
        """Return whether it can be asked who is in a room."""
        return self._rooms._shows(room)

    async def presence(self, room: str) -> tuple[PresenceStats, list[Present]]:
        """Return who is in a room."""
        members = await self._hub.presence(room)
        return await self._hub.presence_stats(room), members

    def check_name(self, room: str) -> None:
        """Raise ValueError unless a room may be called so."""
        self._rooms._check_name(room)

    async def publish(self, room: str, what: Outgoing, id: str = "") -> Position:
        """Publish in a room, once for an id; the place it got."""
        return (await self._hub._publish_once(what.publication(room), id)).position

    async def each(self, call: str, *args: Any) -> list[Any]:
        """Call a method here, and have other nodes do the same."""
        if self._rooms._broker.has_nodes and (order := told(call, args)) is not None:
            self._rooms._broker.tell(ORDER, *order)
        return [self._here.do(call, *args)]


def seen(hub: Hub, name: str) -> RoomSeen | None:
    """A room of this process."""
    room = hub.get_room_manager().get_room(name)
    if room is None:
        return None
    return RoomSeen([conn.id for conn in room], _plain(room.get_all_metadata()))


def _plain(metadata: dict[str, Any]) -> dict[str, Any]:
    """Metadata as JSON can hold it: what a program noted may be any object."""
    plain = {}
    for key, value in metadata.items():
        try:
            json.dumps(value)
            plain[key] = value
        except (TypeError, ValueError):
            plain[key] = repr(value)
    return plain
