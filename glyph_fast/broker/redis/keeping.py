"""Rooms that remember, as the main process of several workers has them: Redis has the order.

Main gives no places itself. It hands orders on to Redis, and what comes back with a place to the
workers that have members, unread. Workers notice by the offsets what they have missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from ...errors import BrokerUnavailable
from ...wire import NOWHERE
from ..frames import Kind
from ..history import Ask, Page
from ..keeper import Forward, position_frame
from ..link import Link as WorkerLink
from ..nodes.bus import Heard
from ..ordering import Order
from ..questions import answer, refusal
from .bus import RoomBus
from .locating import Locating
from .streams import RedisStreams

LINGER_S = 1.0  # a room without members is subscribed to for so long
_PLACED = int(Kind.PLACED)

LinksOf = Callable[[str], Iterable[WorkerLink]]  # to the workers with members of a room


class RedisKeeping:
    """What a `Keeper` leaves to Redis. `forward` sends a frame to the workers with members."""

    def __init__(
        self, bus: RoomBus, streams: RedisStreams, forward: Forward, links_of: LinksOf
    ) -> None:
        self.rooms: dict[bytes, str] = {}  # with members on this machine, by channel
        self.others: Heard  # gets what was published to other channels
        self.lost = 0  # messages that got no place
        self.invalid = 0
        self._bus = bus
        self._streams = streams
        self._forward = forward
        self._links_of = links_of
        self._locating = Locating(bus, streams, self._tell_position)
        self._tasks: set[asyncio.Task[None]] = set()

    # What workers say.

    def order(self, asked: Order, link: WorkerLink, frame: bytes) -> None:
        """Have an `ORDER` placed, and tell the asker."""

        def placed(got: Any) -> None:
            if isinstance(got, Exception):
                self.lost += 1
            if not asked.number or not link.is_open:
                return
            if isinstance(got, Exception):
                link.send_always(refusal(asked.number, str(got)))
            else:
                link.send_always(answer(asked.number, tuple(got)))

        self._streams.publish(asked.name, frame, asked.id, placed)

    def ask(self, link: WorkerLink, number: int, call: str, args: tuple[Any, ...]) -> None:
        """Answer a question about a room, once Redis has."""
        task = asyncio.get_running_loop().create_task(self._answer(link, number, call, args))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def knows(self, call: str) -> bool:
        """Whether a question is for Redis."""
        return call in _ANSWERED

    async def _answer(
        self, link: WorkerLink, number: int, call: str, args: tuple[Any, ...]
    ) -> None:
        try:
            told = answer(number, await _ANSWERED[call](self, *args))
        except BrokerUnavailable as exc:
            told = refusal(number, str(exc))
        if number and link.is_open:
            link.send_always(told)

    async def _history(self, room: str, ask: Ask) -> Page:
        if self._streams.terms_of(room) is None:
            return Page(NOWHERE, [])
        channel = self._streams.keys(room).stream
        if channel not in self.rooms:
            return await self._streams.read(room, ask)
        await self._bus.subscribed(channel)
        page = await self._streams.read(room, ask)
        await self._bus.settled((channel,))  # by now workers have been sent all up to it
        return page

    async def _remove_history(self, room: str) -> None:
        await self._streams.empty(room)

    async def _forget(self, room: str) -> None:
        self._streams.forget(room)

    async def _forget_all(self) -> None:
        await self._streams.forget_all()

    async def _claim(self, room: str, key: str) -> bool:
        return await self._streams.claim(room, key)

    # Which rooms have members here, and where they are.

    def subscribe(self, room: str) -> None:
        """A room has its first member on this machine."""
        if self._streams.terms_of(room) is not None:
            channel = self._streams.keys(room).stream
            self.rooms[channel] = room
            self._bus.subscribe(channel)
            self._locating.add(room)

    def unsubscribe(self, room: str) -> None:
        """The last member of a room has left."""
        channel = self._streams.keys(room).stream
        if self.rooms.pop(channel, None) is not None:
            self._locating.discard(room)
            asyncio.get_running_loop().call_later(LINGER_S, self._leave, channel)

    def _leave(self, channel: bytes) -> None:
        if channel not in self.rooms:
            self._bus.unsubscribe(channel)

    def locate(self, room: str) -> None:
        """Tell workers where a room is: one has joined it, or may have missed something."""
        if self._streams.keys(room).stream in self.rooms:
            self._locating.add(room)

    def _tell_position(self, room: str, position: Any) -> None:
        told = position_frame(room.encode("utf-8", "surrogatepass"), position)
        for link in self._links_of(room):
            link.send_always(told)

    def changed(self, is_up: bool) -> None:
        """The link is there, or not any more."""
        if is_up:
            self.compare(self.rooms)

    def compare(self, channels: Iterable[bytes]) -> None:
        """Ask where rooms are of which something may have been missed."""
        for channel in channels:
            if (room := self.rooms.get(channel)) is not None:
                self._locating.add(room)

    # What comes.

    def heard(self, channel: bytes, frame: bytes) -> None:
        """Hand a message with its place on, unread but for its frame."""
        room = self.rooms.get(channel)
        if room is None:
            self.others(channel, frame)
            return
        size = int.from_bytes(frame[:4], "little")
        if len(frame) < 5 or size != len(frame) - 4 or frame[4] != _PLACED:
            self.invalid += 1
            return
        self._forward(room.encode("utf-8", "surrogatepass"), frame)

    def close(self) -> None:
        """End what runs."""
        self._locating.close()
        for task in self._tasks:
            task.cancel()


_Answer = Callable[..., Coroutine[Any, Any, Any]]
_ANSWERED: dict[str, _Answer] = {
    "history": RedisKeeping._history,
    "remove_history": RedisKeeping._remove_history,
    "forget": RedisKeeping._forget,
    "forget_all": RedisKeeping._forget_all,
    "claim": RedisKeeping._claim,
}

__all__ = ["RedisKeeping"]
