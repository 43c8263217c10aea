"""The two connections to the primary, for commands and for what is published.

They are made and lost together, for one alone would be of no use, and watched: a server that
answers nothing on one of them for `SILENT_S` is taken for gone, whatever the kernel thinks. What is
found out about the server when they are made holds as long as they do.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ...errors import BrokerRefused, BrokerUnavailable
from ...options.broker import CLUSTER, BrokerUrl
from ..absence import Absence
from .connection import Connection, Pushed, Subscriber, pack
from .finding import places
from .login import Server, connect

PING_S = 1.5
MOST_UNANSWERED = 4  # pings; so a link that is dead is noticed after 6 s to 7.5 s
RETRY_S = (0.05, 2.0)  # until the next try: the first, and the longest
CLOSE_S = 1.0  # for what was sent last to leave
ENDED = "the connection has ended"

_WRONG_KIND = {
    True: "it is a part of a cluster, for which there is redis+cluster://",
    False: "it is no cluster: redis:// is for one server",
}
_PING = pack(("PING",))


class Reached(Protocol):
    """A server that has been reached, as who asks it something needs it."""

    @property
    def is_up(self) -> bool:
        """Whether it can be asked now."""

    @property
    def commands(self) -> Connection:
        """The connection for that."""

    @property
    def server(self) -> Server:
        """Who it is."""


class Link:
    """Keeps both connections; `opened` is awaited with new ones before they count as up.

    `pushed` gets what is published; `changed` is told whenever it is up or not any more.
    """

    commands: Connection
    subscriber: Subscriber
    server: Server

    def __init__(self, url: BrokerUrl) -> None:
        self.url = url
        self.is_up = False
        self.was_up = False  # ever
        self.pushed: Pushed
        self.opened: Callable[[], Awaitable[None]]
        self.changed: Callable[[bool], object]
        self._keeping: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self.reason = ""  # why it was down last
        self._given_up = ""  # why, where that was this side's doing
        self._absence = Absence(self.url)

    async def start(self) -> None:
        """Connect, and go on to; return at once where the server cannot be reached.

        Raises BrokerRefused.
        """
        first = await self._try()
        if isinstance(first, BrokerRefused):
            raise first
        if first is not None:
            self._absence.explain(first)
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="redis link")

    async def close(self) -> None:
        """End both connections once what was sent has left, and make no others."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if self.is_up:
            self.is_up = False
            try:
                async with asyncio.timeout(CLOSE_S):
                    await self.commands.ask("PING")
            except (OSError, BrokerUnavailable):
                pass
            self._abort()

    def lose(self, reason: str) -> None:
        """Give up both connections: they are of no use any more. Others are made at once."""
        if self.is_up:
            self._given_up = reason
            self._abort()

    def _abort(self) -> None:
        self.commands.abort()
        self.subscriber.abort()

    async def _keep(self) -> None:
        delay = RETRY_S[0]
        while True:
            if self.is_up:
                delay = RETRY_S[0]
                await self._watch()
                self._down(ENDED)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            if (failed := await self._try()) is not None:
                self._absence.explain(failed)
                delay = min(2 * delay, RETRY_S[1])

    async def _try(self) -> Exception | None:
        """Make both connections, and return why not."""
        failed: Exception = BrokerUnavailable("no primary is known")
        try:
            async for address in places(self.url):
                try:
                    self.commands, self.server = await connect(self._command, address, self.url)
                    if self.server.is_cluster is not (self.url.kind == CLUSTER):
                        self.commands.abort()
                        raise BrokerRefused(_WRONG_KIND[self.server.is_cluster])
                    if not self.server.is_primary:
                        raise BrokerUnavailable("it is a replica")
                    await self._complete(address)
                except (OSError, BrokerUnavailable) as exc:
                    failed = exc
                    continue
                return None
        except (OSError, BrokerUnavailable) as exc:  # no Sentinel tells
            failed = exc
        return failed

    def _command(self) -> Connection:
        return Connection(self._gone)

    def _subscriber(self) -> Subscriber:
        return Subscriber(self._gone, self.pushed)

    async def _complete(self, address: Any) -> None:
        self._lost.clear()
        self._given_up = ""
        try:
            self.subscriber, again = await connect(self._subscriber, address, self.url)
            if again.run_id != self.server.run_id:
                self.subscriber.abort()
                raise BrokerUnavailable("two servers answer at one address")
            await self.opened()
            if self._lost.is_set():
                raise BrokerUnavailable("lost again")
        except BaseException:
            self.commands.abort()
            raise
        self.is_up = self.was_up = True
        self._absence.end()
        self.changed(True)

    def _gone(self, connection: Connection) -> None:
        self._lost.set()
        if self.is_up and connection in (self.commands, self.subscriber):
            self._down(self._given_up or connection.refused or ENDED)
            self._abort()

    def _down(self, reason: str) -> None:
        if self.is_up:
            self.is_up = False
            self.reason = reason
            self.changed(False)

    async def _watch(self) -> None:
        """Return when one of the connections is gone, or has been silent for too long."""
        unanswered = [0, 0]

        def heard(which: int) -> Callable[[Any], None]:
            def note(answer: Any) -> None:
                if not isinstance(answer, BrokerUnavailable):
                    unanswered[which] = 0

            return note

        notes = heard(0), heard(1)
        while not self._lost.is_set():
            for which, connection in enumerate((self.commands, self.subscriber)):
                unanswered[which] += 1
                connection.send(_PING, notes[which])
            try:
                async with asyncio.timeout(PING_S):
                    await self._lost.wait()
            except TimeoutError:
                if max(unanswered) >= MOST_UNANSWERED:
                    self.lose("it does not answer")
