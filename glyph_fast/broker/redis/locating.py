"""Where rooms are, asked of Redis in batches, for who compares that with what has come.

The server speaks to a node over two connections, whose words may cross. So a position that was read
counts only once the other connection has answered as well: by then it has brought all that was
published before the reading.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ...errors import BrokerUnavailable
from ...logs import SERVER, log
from ...wire import Position
from .bus import RedisBus
from .streams import RedisStreams

AT_ONCE = 200  # rooms whose positions are asked for together
AGAIN_S = 1.0  # before positions that could not be read are asked for again


class Locating:
    """Tells `found` where each room is that was added, once all up to there has been heard."""

    def __init__(
        self, bus: RedisBus, streams: RedisStreams, found: Callable[[str, Position], object]
    ) -> None:
        self._bus = bus
        self._streams = streams
        self._found = found
        self._unknown: dict[str, None] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, room: str) -> None:
        """Ask where a room is, whose channel is subscribed to; on the next link if there is none.

        Whoever adds it then adds it again.
        """
        if not self._bus.is_up:
            return
        self._unknown[room] = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._ask())

    def discard(self, room: str) -> None:
        """Nobody wants to know any more."""
        self._unknown.pop(room, None)

    async def _ask(self) -> None:
        await asyncio.sleep(0)  # those of one turn go together
        try:
            while self._unknown:
                rooms = list(self._unknown)[:AT_ONCE]
                channels = [self._streams.keys(room).stream for room in rooms]
                await asyncio.gather(*map(self._bus.subscribed, channels))
                positions = await asyncio.gather(*map(self._streams.position, rooms))
                await self._bus.link.subscriber.ask("PING")
                for room, position in zip(rooms, positions, strict=True):
                    if room in self._unknown:
                        del self._unknown[room]
                        self._found(room, position)
        except BrokerUnavailable as exc:
            if self._bus.is_up:  # not for a lost link, after which all are asked for again
                log(SERVER, logging.ERROR, "positions cannot be read", reason=str(exc))
        finally:
            self._task = None
            if self._unknown:
                asyncio.get_running_loop().call_later(AGAIN_S, self._again)

    def _again(self) -> None:
        if self._unknown and self._task is None:
            self.add(next(iter(self._unknown)))

    def close(self) -> None:
        """End what runs."""
        self._unknown.clear()
        if self._task is not None:
            self._task.cancel()
