"""Rooms that remember, as one node has them: what is published gets its place in Redis, and what
comes from there is delivered in the order of places, each once.

What a node has missed, be it by an outage or since it was cut off, it finds by positions: that of
each room it has members of is asked for when it has subscribed, and again on every new link. What
is missing is read; where it is not kept any more, members are told that the room was reset.

The server speaks to a node over two connections, whose words may cross. So what is read counts only
once the other connection has answered as well: by then it has brought all that was published before
the reading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any

from ...dialects.publication import Publication
from ...errors import BrokerUnavailable
from ...logs import SERVER, log
from ...wire import NOBODY, PENDING, Position, SendResult
from ..base import Deliver, Published
from ..catching_up import CatchingUp
from ..history import Ask, Page
from ..nodes.bus import Heard
from ..ordering import order, parts_of, read_placed
from .bus import RoomBus
from .connection import settle
from .locating import Locating
from .streams import Placed, RedisStreams

LINGER_S = 1.0  # a room without members is subscribed to for so long

Reset = Callable[[str, Position], object]  # a room, and the position that it goes on from


class Places:
    """The order of rooms as this node takes part in it. For the loop's thread alone.

    `deliver` gets what has its place, and `reset` is told of rooms of which something is lost.
    """

    def __init__(self, bus: RoomBus, streams: RedisStreams, deliver: Deliver, reset: Reset) -> None:
        self.lost = 0  # messages that got no place
        self._bus = bus
        self._streams = streams
        streams.failed = self._failed
        self.rooms: dict[bytes, str] = {}  # with members here, by channel
        self.others: Heard  # gets what was published to other channels
        self._catching_up = CatchingUp(deliver, self._streams.read, reset)
        self._locating = Locating(bus, streams, self._catching_up.is_at)
        self._working: set[asyncio.Task[None]] = set()
        self._said = ""  # the error that was logged last

    # What is published.

    def publish(self, publication: Publication, user: str | None) -> SendResult:
        """Have a publication to a room placed; it is delivered when it comes back."""
        self._streams.tell(publication.name, parts_of(publication, user, ""))
        return PENDING

    def _failed(self, error: Exception) -> None:
        self.lost += 1
        if (text := str(error)) != self._said:
            self._said = text
            log(SERVER, logging.ERROR, "messages get no place", reason=text)

    async def publish_once(
        self, publication: Publication, user: str | None, id: str = ""
    ) -> Published:
        """The same, unless that was done under this id. Raises BrokerUnavailable."""
        future: asyncio.Future[Placed] = asyncio.get_running_loop().create_future()
        made = order(publication, user)
        self._streams.publish(publication.name, made, id, partial(settle, future))
        try:
            position, is_new = await future
        except BrokerUnavailable:
            self.lost += 1
            raise
        return Published(position, PENDING if is_new else NOBODY, is_new)

    # What comes.

    def heard(self, channel: bytes, frame: bytes) -> None:
        """Take what was published to a channel."""
        room = self.rooms.get(channel)
        if room is None:
            self.others(channel, frame)
            return
        try:
            publication = read_placed(frame)
            if publication.name != room:
                raise ValueError("a message for another room")
        except (ValueError, TypeError, IndexError, KeyError) as exc:
            log(SERVER, logging.ERROR, "not a message of a room", reason=str(exc))
            return
        self._catching_up.placed(publication)

    def subscribe(self, room: str) -> None:
        """A room has its first member here."""
        channel = self._streams.keys(room).stream
        self.rooms[channel] = room
        self._bus.subscribe(channel)
        self._locating.add(room)

    def unsubscribe(self, room: str) -> None:
        """The last member of a room has left."""
        channel = self._streams.keys(room).stream
        self.rooms.pop(channel, None)
        self._locating.discard(room)
        self._catching_up.forget(room)
        asyncio.get_running_loop().call_later(LINGER_S, self._leave, channel)

    def _leave(self, channel: bytes) -> None:
        if channel not in self.rooms:
            self._bus.unsubscribe(channel)

    def changed(self, is_up: bool) -> None:
        """The link is there, or not any more."""
        if is_up:
            self._said = ""
            self.compare(self.rooms)

    def compare(self, channels: Iterable[bytes]) -> None:
        """Ask where rooms are of which something may have been missed."""
        for channel in channels:
            if (room := self.rooms.get(channel)) is not None:
                self._locating.add(room)

    # What is kept.

    async def history(self, room: str, ask: Ask) -> Page:
        """The messages of a room that are asked for; up to its position all have been delivered.

        Raises BrokerUnavailable.
        """
        channel = self._streams.keys(room).stream
        if channel not in self.rooms:
            return await self._streams.read(room, ask)
        await self._bus.subscribed(channel)
        page = await self._streams.read(room, ask)
        if not self._catching_up.has(room, page.position):
            await self._bus.settled((channel,))
            if channel in self.rooms:
                self._catching_up.is_at(room, page.position)
                await self._catching_up.caught_up(room)
        return page

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""

        async def logged() -> None:
            try:
                await work
            except BrokerUnavailable as exc:
                log(SERVER, logging.ERROR, "the broker did not do it", reason=str(exc))

        task = asyncio.get_running_loop().create_task(logged())
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    def close(self) -> None:
        """End what runs."""
        for task in self._working:
            task.cancel()
        self._locating.close()
