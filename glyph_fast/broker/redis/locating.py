"""Where rooms are, asked of Redis in batches, for who compares that with what has come.

The server speaks to a node over two connections, whose words may cross. So a position that was read
counts only once the other connection has answered as well: by then it has brought all that was
published before the reading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from itertools import count, islice

from ...errors import BrokerUnavailable
from ...logs import SERVER, log
from ...wire import Position
from .bus import RoomBus
from .streams import RedisStreams

AT_ONCE = 200  # rooms whose positions are asked for together
AGAIN_S = 1.0  # before positions that could not be read are asked for again


class Locating:
    """Tells `found` where each room is that was added, once all up to there has been heard."""

    def __init__(
        self, bus: RoomBus, streams: RedisStreams, found: Callable[[str, Position], object]
    ) -> None:
        self._bus = bus
        self._streams = streams
        self._found = found
        self._numbers = count()
        self._unknown: dict[str, int] = {}  # the number of the latest wish to know
        self._failed: dict[str, None] = {}  # asked for again in a moment
        self._task: asyncio.Task[None] | None = None

    def add(self, room: str) -> None:
        """Ask where a room is, whose channel is subscribed to; on the next link if there is none.

        Whoever adds it then adds it again.
        """
        if not self._bus.reaches(self._streams.keys(room).stream):
            return
        self._unknown[room] = next(self._numbers)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ask())

    def discard(self, room: str) -> None:
        """Nobody wants to know any more."""
        self._unknown.pop(room, None)
        self._failed.pop(room, None)

    async def _ask(self) -> None:
        await asyncio.sleep(0)  # those of one turn go together
        try:
            while self._unknown:
                await self._look_for(dict(islice(self._unknown.items(), AT_ONCE)))
        except BrokerUnavailable as exc:
            self._say(exc, self._unknown)
        finally:
            self._task = None
            self._failed |= dict.fromkeys(self._unknown)
            self._unknown.clear()
            if self._failed:
                asyncio.get_running_loop().call_later(AGAIN_S, self._again)

    async def _look_for(self, wishes: dict[str, int]) -> None:
        """Tell where some rooms are; those of which that cannot be known now have failed."""
        channels = [self._streams.keys(room).stream for room in wishes]
        got = await asyncio.gather(*map(self._position, wishes, channels), return_exceptions=True)
        pairs = list(zip(wishes, got, strict=True))
        failed = {room: at for room, at in pairs if isinstance(at, BaseException)}
        found = {room: at for room, at in pairs if not isinstance(at, BaseException)}
        if found:
            await self._bus.settled([self._streams.keys(room).stream for room in found])
        for room, position in found.items():
            if self._unknown.get(room) == wishes[room]:  # else it was asked for again since
                del self._unknown[room]
                self._found(room, position)
        for exc in failed.values():
            if not isinstance(exc, BrokerUnavailable):
                raise exc
        for room in failed:
            if self._unknown.pop(room, None) is not None:
                self._failed[room] = None
        if failed:
            self._say(next(iter(failed.values())), failed)

    async def _position(self, room: str, channel: bytes) -> Position:
        await self._bus.subscribed(channel)
        return await self._streams.position(room)

    def _say(self, exc: BaseException, rooms: Iterable[str]) -> None:
        """Log an error; not one of a lost link, after which all are asked for again."""
        if all(self._bus.reaches(self._streams.keys(each).stream) for each in rooms):
            log(SERVER, logging.ERROR, "positions cannot be read", reason=str(exc))

    def _again(self) -> None:
        failed, self._failed = self._failed, {}
        for room in failed:
            self.add(room)

    def close(self) -> None:
        """End what runs."""
        self._unknown.clear()
        self._failed.clear()
        if self._task is not None:
            self._task.cancel()
