"""What nodes publish to each other, by the publish and subscribe of Redis."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Protocol

import hiredis

from ...errors import BrokerUnavailable
from ...logs import SERVER, log
from ..nodes.bus import Bus, Changed, Heard
from .connection import LOST, pack
from .link import Link

_PING = pack(("PING",))
BATCH = 500  # channels of one command; the next is sent when all of these are confirmed


class Streams(Protocol):
    """Who takes what is published in rooms that remember."""

    others: Heard

    def heard(self, channel: bytes, frame: bytes) -> None:
        """A message of one of these rooms; or what `others` gets."""

    def changed(self, is_up: bool) -> None:
        """The link is there, or not any more."""

    def compare(self, channels: Iterable[bytes]) -> None:
        """Something may have been missed of these channels."""


class RoomBus(Bus, Protocol):
    """A bus that brings messages of rooms that remember as well."""

    streams: Streams | None  # set before `attach`
    preparing: Callable[[], Awaitable[None]] | None  # awaited with each new link

    def reaches(self, subject: bytes) -> bool:
        """Whether what is published to a subject now has somewhere to go."""

    async def subscribed(self, subject: bytes) -> None:
        """Return when what is published to a subject comes. Raises BrokerUnavailable."""

    async def settled(self, subjects: Iterable[bytes]) -> None:
        """Return when all that was published to subjects until now has been heard.

        Raises BrokerUnavailable.
        """


class RedisBus:
    """A `Bus` over a link, which others may use for commands as well."""

    max_payload: int | None = None

    def __init__(self, link: Link) -> None:
        self.link = link
        self.dropped = 0
        self.preparing: Callable[[], Awaitable[None]] | None = None  # awaited with each new link
        self.streams: Streams | None = None  # set before `attach`
        self._wanted: dict[bytes, bool] = {}  # channels; whether the server has confirmed it
        self._waiting: dict[bytes, list[asyncio.Future[None]]] = {}  # for that
        self._joining: list[bytes] = []  # channels subscribed to in this turn
        self._leaving: list[bytes] = []
        self._next: deque[bytes] = deque()  # to subscribe to when a batch is confirmed
        self._is_joining = False  # a batch is on its way

    def attach(self, heard: Heard, changed: Changed) -> None:
        """Give what comes to `heard`, and tell `changed` whenever it is up or down."""
        streams = self.streams
        if streams is None:
            self.link.pushed = heard
        else:
            streams.others = heard
            self.link.pushed = streams.heard
        self.link.opened = self._opened
        self.link.changed = lambda is_up: self._changed(is_up, changed)

    @property
    def is_up(self) -> bool:
        """Whether what is published now has somewhere to go."""
        return self.link.is_up

    def reaches(self, subject: bytes) -> bool:
        """Whether what is published to a subject now has somewhere to go."""
        return self.link.is_up

    async def settled(self, subjects: Iterable[bytes]) -> None:
        """Return when all that was published to subjects until now has been heard.

        Raises BrokerUnavailable.
        """
        await self.link.subscriber.ask("PING")

    @property
    def place(self) -> str:
        """The URL without its password."""
        return str(self.link.url)

    @property
    def reason(self) -> str:
        """Why the link was down last."""
        return self.link.reason

    async def start(self) -> None:
        """Begin to connect. Raises BrokerRefused."""
        await self.link.start()

    async def close(self) -> None:
        """Release everything."""
        await self.link.close()

    # Subscriptions.

    def subscribe(self, subject: bytes) -> None:
        """Hear what is published to a subject from now on."""
        if subject not in self._wanted:
            self._wanted[subject] = False
            self._later(self._joining, subject)

    def unsubscribe(self, subject: bytes) -> None:
        """Hear no more of it."""
        if self._wanted.pop(subject, None) is not None:
            self._later(self._leaving, subject)

    async def subscribed(self, subject: bytes) -> None:
        """Return when what is published to a subject comes. Raises BrokerUnavailable."""
        if self._wanted.get(subject):
            return
        if not self.is_up:
            raise BrokerUnavailable(LOST)
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(subject, []).append(future)
        await future

    def _later(self, subjects: list[bytes], subject: bytes) -> None:
        if not self.is_up:
            return  # all that are wanted are subscribed to then
        if not self._joining and not self._leaving:
            asyncio.get_running_loop().call_soon(self._change)
        subjects.append(subject)

    def _change(self) -> None:
        """Say what has changed in this turn, as it is now."""
        joining, self._joining = self._joining, []
        leaving, self._leaving = self._leaving, []
        gone = [each for each in leaving if each not in self._wanted]
        new = [each for each in dict.fromkeys(joining) if each in self._wanted]
        for at in range(0, len(gone), BATCH):
            self.link.subscriber.unsubscribe(gone[at : at + BATCH])
        self._next.extend(new)
        if not self._is_joining:
            self._join()

    def _join(self) -> None:
        """Subscribe to as many of those that come next as one command may have, then to more."""
        batch: list[bytes] = []
        while self._next and len(batch) < BATCH:
            if (subject := self._next.popleft()) in self._wanted:
                batch.append(subject)
        self._is_joining = bool(batch)
        if batch:
            self.link.subscriber.subscribe(batch, self._confirmed)
            self.link.subscriber.send(_PING, self._joined)  # answered behind them

    def _joined(self, answer: Any) -> None:
        if isinstance(answer, BrokerUnavailable):  # the next link subscribes to all
            self._is_joining = False
            self._next.clear()
        else:
            self._join()

    def _confirmed(self, subject: bytes) -> None:
        if subject in self._wanted:
            self._wanted[subject] = True
        for future in self._waiting.pop(subject, ()):
            if not future.done():
                future.set_result(None)

    async def _opened(self) -> None:
        """Subscribe to all that are wanted, on a new link."""
        if self.preparing is not None:
            await self.preparing()
        subscriber = self.link.subscriber
        while missing := [each for each, known in self._wanted.items() if not known]:
            for at in range(0, len(missing), BATCH):
                subscriber.subscribe(missing[at : at + BATCH], self._confirmed)
                await subscriber.ask("PING")  # answered behind them

    def _changed(self, is_up: bool, changed: Changed) -> None:
        if not is_up:
            for each in self._wanted:
                self._wanted[each] = False
            for futures in self._waiting.values():
                for future in futures:
                    if not future.done():
                        future.set_exception(BrokerUnavailable(LOST))
            self._waiting.clear()
        changed(is_up)
        if self.streams is not None:
            self.streams.changed(is_up)

    def suspect(self) -> None:
        """End the link, and connect anew."""
        self.link.lose("nothing comes back")

    # Publishing.

    def publish(self, subject: bytes, payload: bytes) -> None:
        """Publish with what else is published in this turn. Never waits and never raises."""
        if self.link.is_up:
            self.link.commands.send(pack((b"PUBLISH", subject, payload)), self._published)
        else:
            self.dropped += 1

    def _published(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self.dropped += 1
            if isinstance(answer, hiredis.ReplyError):
                log(SERVER, logging.ERROR, "the broker does not publish", reason=str(answer))
