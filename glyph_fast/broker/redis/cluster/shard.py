"""One primary of a cluster, as a node is connected to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ....errors import BrokerUnavailable
from ....options.broker import BrokerUrl
from ...nodes.bus import Changed, Heard
from ...nodes.subjects import Subjects
from ..bus import BATCH, RedisBus
from ..connection import LOST, Answer, pack
from ..link import Link
from ..scripts import SPUBLISH
from ..streams import UNANSWERED, RedisStreams, unavailable
from .subscriber import ShardSubscriber


class ShardLink(Link):
    """A link to one primary; `moved` is told of channels that it does not serve any more."""

    moved: Callable[[bytes], object]

    def _subscriber(self) -> ShardSubscriber:
        return ShardSubscriber(self._gone, self.pushed, self.moved)


class ShardBus(RedisBus):
    """What is published at one primary."""

    def attach(self, heard: Heard, changed: Changed) -> None:
        """Give what comes to `heard`, and tell `changed` whenever it is up or down."""
        wanted = self._wanted

        def pushed(channel: bytes, payload: bytes) -> None:
            if channel in wanted:  # else it has moved, and what is there is asked for
                heard(channel, payload)

        self.link.pushed = pushed
        self.link.opened = self._opened
        self.link.changed = lambda is_up: self._changed(is_up, changed)

    def send(self, subject: bytes, payload: bytes, answer: Answer) -> None:
        """Publish, and give on what the server says."""
        self.link.commands.send(pack((b"SPUBLISH", subject, payload)), answer)

    def drop(self, subject: bytes) -> None:
        """Hear no more of a subject, which this server does not serve: so it is not told."""
        self._wanted.pop(subject, None)
        for future in self._waiting.pop(subject, ()):
            if not future.done():
                future.set_exception(BrokerUnavailable(LOST))

    def unserved(self, subject: bytes) -> bool:
        """Note that a subscription has ended; whether that matters."""
        if subject in self._wanted:
            self._wanted[subject] = False
            return True
        return False

    def again(self, subject: bytes) -> None:
        """Subscribe to a subject whose subscription has ended."""
        if self._wanted.get(subject) is False:
            self._later(self._joining, subject)

    async def _opened(self) -> None:
        """Subscribe once to all that are wanted, on a new link; some may have moved."""
        if self.preparing is not None:
            await self.preparing()
        subscriber = self.link.subscriber
        said: set[bytes] = set()
        while missing := [each for each in self._wanted if each not in said]:
            for at in range(0, len(missing), BATCH):
                subscriber.subscribe(missing[at : at + BATCH], self._confirmed)
                await subscriber.ask("PING")  # answered behind them
            said.update(missing)


class ShardStreams(RedisStreams):
    """The rooms of one primary. `former(name)` are runs of others that gave a room's offsets."""

    publishing = SPUBLISH

    def __init__(
        self, link: Link, subjects: Subjects, former: Callable[[str], tuple[str, ...]]
    ) -> None:
        super().__init__(link, subjects)
        self._former = former

    def run_of(self, name: str) -> str:
        """The server that gives the offsets of a room, and those from which it has moved."""
        return " ".join((super().run_of(name), *self._former(name)))

    def tell_and_hear(self, name: str, parts: bytes, answer: Answer) -> None:
        """As `tell`, for who wants to know of this one's errors."""
        if not self._link.is_up or self.terms_of(name) is None:
            answer(BrokerUnavailable(LOST))
            return

        def told(got: Any) -> None:
            if isinstance(got, Exception):
                answer(unavailable(got))
            else:
                self._told(got)
                answer(None)

        before, _, _, last = self._around.get(name) or self._call_around(name)
        command = b"%b$%d\r\n%b%b%b" % (before, len(parts), parts, last, UNANSWERED)
        self.scripts.send(command, told)

    def moved(self) -> None:
        """Rooms have come or gone."""
        self._draw_epoch()

    async def keys_in(self, slot: int, most: int) -> list[bytes]:
        """Some of the keys of a slot. Raises BrokerUnavailable."""
        found: list[bytes] = await self._ask("CLUSTER", "GETKEYSINSLOT", slot, most)
        return found

    async def _unlink(self, keys: list[bytes]) -> None:
        for each in keys:  # of several slots
            await self._ask("UNLINK", each)


class Shard:
    """A primary: its link, what is published there, and its rooms that remember."""

    def __init__(
        self, url: BrokerUrl, subjects: Subjects, former: Callable[[str], tuple[str, ...]]
    ) -> None:
        self.link = ShardLink(url)
        self.bus = ShardBus(self.link)
        self.streams = ShardStreams(self.link, subjects, former)
        self.bus.preparing = self.streams.opened

    @property
    def is_up(self) -> bool:
        """Whether it can be reached."""
        return self.link.is_up


Work = Callable[[Shard, Answer], Any]  # what to say to a shard, and who gets the answer
