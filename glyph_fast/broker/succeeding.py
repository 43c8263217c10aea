"""The broker of a process until it has the order of rooms from the one before it.

Rooms that remember nothing are served as ever. What is published to the others waits, and so does
who asks for their histories, joining included; then all of it is done in the order in which it
came. In `on_startup` nobody may wait, since the order is handed over only to a process that serves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from ..dialects.publication import ROOM, ROOMS, Publication
from ..errors import BrokerUnavailable
from ..options.rooms import RoomDeclaration
from ..wire import NOBODY, NOWHERE, PENDING, SendResult
from .base import BaseBroker, Published
from .held import Held
from .history import Ask, Page
from .memory import MemoryBroker

TOO_MUCH = "the former process has not handed over yet, and too much waits for it"


class Succeeding(BaseBroker):
    """Keeps what has to wait in `held`, and hands all else to `memory`, which is to follow it."""

    __slots__ = ("_memory", "_terms", "held", "is_starting", "publish")

    remembers = True

    def __init__(
        self, memory: MemoryBroker, terms: Callable[[str], RoomDeclaration | None], held: Held
    ) -> None:
        self._memory = memory
        self._terms = terms
        self.ids, self.channels = memory.ids, memory.channels
        self.deliver, self.obey = memory.deliver, memory.obey
        self.publish = self._publish
        self.held = held
        self.is_starting = True  # until clients can connect

    def go_on(self, done: Callable[[], object]) -> None:
        """The order is here: do what waits, and call `done` when nothing does any more."""
        self.held.release(partial(self._end, done))

    def _end(self, done: Callable[[], object]) -> None:
        self.publish = self._memory.publish  # for who has this broker still at hand
        done()

    def subscribe(self, room: str) -> None:
        """Nothing: there is no other process whose members it could be told of."""

    def unsubscribe(self, room: str) -> None:
        """Nothing."""

    def remember(self, terms: Any, memory: int, user_of: Any) -> None:
        """Nothing: what is declared is known when a process begins to serve."""

    def take_place(self, publication: Publication, user: str | None) -> None:
        """Give a publication its place: it does not wait any more."""
        self._memory.take_place(publication, user)

    def _publish(self, publication: Publication) -> SendResult:
        kind, name = publication.kind, publication.name
        if kind == ROOM and self._terms(name) or kind == ROOMS and any(map(self._terms, name)):
            waits = self.held.add(partial(self._memory.publish, publication), len(publication.data))
            return PENDING if waits else NOBODY
        return self.deliver(publication)

    async def publish_once(
        self, publication: Publication, id: str = "", user: str = ""
    ) -> Published:
        """Publish, unless that was done under this id already; say which place it has."""
        if not id and self._terms(publication.name) is None:
            return self._memory.publish_now(publication, id, user)
        size = len(publication.data) + len(id) + len(user)
        published = self._later(partial(self._memory.publish_now, publication, id, user), size)
        if self.is_starting:
            return Published(NOWHERE, PENDING, is_new=True)
        found: Published = await published
        return found

    def _later(self, act: Callable[[], Any], size: int = 0) -> asyncio.Future[Any]:
        """The result of what has to wait. Raises BrokerUnavailable when too much does."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def do() -> None:
            try:
                result = act()
            except Exception as exc:
                if not future.done():
                    future.set_exception(exc)
            else:
                if not future.done():
                    future.set_result(result)

        if not self.held.add(do, size):
            raise BrokerUnavailable(TOO_MUCH)
        return future

    async def history(self, room: str, ask: Ask) -> Page:
        """The messages of a room that are asked for; while the process starts there are none."""
        if self.is_starting:
            return Page(NOWHERE, [], is_lost=ask.since is not None)
        page: Page = await self._later(partial(self._memory.histories.read, room, ask))
        return page

    async def remove_history(self, room: str) -> None:
        """Forget what a room keeps; its position stays."""
        removed = self._later(partial(self._memory.histories.empty, room))
        if not self.is_starting:
            await removed

    def forget(self, room: str) -> None:
        """Forget what a room keeps, and its position."""
        self.held.add(partial(self._memory.forget, room))

    def forget_all(self) -> None:
        """Forget what all rooms keep, and their positions."""
        self.held.add(self._memory.forget_all)

    def figures(self) -> dict[str, int]:
        """Return what is kept here already."""
        return self._memory.figures()

    def sweep(self) -> None:
        """Forget what is too old."""
        self._memory.sweep()
