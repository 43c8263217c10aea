"""Publications between nodes, by NATS core."""

from __future__ import annotations

import asyncio
import logging
import random

from ...errors import BrokerRefused, BrokerUnavailable
from ...logs import SERVER, log
from ...options.broker import BrokerUrl
from ...options.values import bracketed
from ..absence import Absence
from ..nodes.bus import Changed, Heard
from .connection import Connection, connect

PING_S = 3.0
MOST_UNANSWERED = 2  # pings
RETRY_S = (0.05, 2.0)  # until the next try: the first, and the longest
BATCH = 500  # subscriptions that are repeated before the server is waited for
CLOSE_S = 1.0  # for what was sent last to leave


class NatsBus:
    """A `Bus` over one of the servers of a URL."""

    def __init__(self, url: BrokerUrl) -> None:
        self._url = url
        self._conn: Connection | None = None
        self.is_up = False
        self.max_payload: int | None = None
        self.reason = ""  # why it was down last
        self._given_up = ""  # why, where that was this side's doing
        self._address = ""  # of the server that was reached last
        self._dropped = 0
        self._numbers: dict[bytes, int] = {}  # of subscriptions, by subject
        self._number = 0
        self._keeping: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self._absence = Absence(self._url)

    @property
    def place(self) -> str:
        """The URL without its password; of several servers the one that was reached."""
        several = len(self._url.addresses) > 1
        return f"{self._url} at {self._address}" if several else str(self._url)

    @property
    def dropped(self) -> int:
        """Messages that were published while it was down, or that found no space."""
        return self._dropped + (0 if self._conn is None else self._conn.dropped)

    def attach(self, heard: Heard, changed: Changed) -> None:
        """Give what comes to `heard`, and tell `changed` whenever it is up or down."""
        self._heard = heard
        self._changed = changed

    async def start(self) -> None:
        """Connect, or begin to wait for the server. Raises BrokerRefused."""
        failed = await self._try()
        if isinstance(failed, BrokerRefused):
            raise failed
        if failed is not None:
            self._absence.explain(failed)
        self._keeping = asyncio.create_task(self._keep(), name="nats")

    async def close(self) -> None:
        """Send what waits, a moment long, and release everything."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if (conn := self._conn) is not None and conn.is_open:
            try:
                async with asyncio.timeout(CLOSE_S):
                    await conn.ping()
            except (OSError, BrokerUnavailable):
                pass
            conn.abort()
        self.is_up = False

    def suspect(self) -> None:
        """End the link, and connect anew."""
        self._give_up("nothing comes back")

    def _give_up(self, reason: str) -> None:
        if self._conn is not None:
            self._given_up = reason
            self._conn.abort()

    # Subjects.

    def subscribe(self, subject: bytes) -> None:
        """Hear what is published to a subject."""
        if subject not in self._numbers:
            self._number += 1
            self._numbers[subject] = self._number
            if self._conn is not None:
                self._conn.write(b"SUB %b %d\r\n" % (subject, self._number))

    def unsubscribe(self, subject: bytes) -> None:
        """Hear no more of it."""
        number = self._numbers.pop(subject, None)
        if number is not None and self._conn is not None:
            self._conn.write(b"UNSUB %d\r\n" % number)

    def publish(self, subject: bytes, payload: bytes) -> None:
        """Publish with what else is published in this turn."""
        if self.is_up and self._conn is not None:
            self._conn.publish(subject, payload)
        else:
            self._dropped += 1

    # The connection.

    async def _keep(self) -> None:
        delay = RETRY_S[0]
        while True:
            if self._conn is not None:
                delay = RETRY_S[0]
                await self._watch(self._conn)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            if (failed := await self._try()) is not None:
                self._absence.explain(failed)
                delay = min(2 * delay, RETRY_S[1])

    async def _try(self) -> Exception | None:
        """Connect to one of the servers, in any order; why not, of the last that was tried."""
        failed: Exception = BrokerUnavailable("no server is known")
        addresses = self._url.addresses
        for address in random.sample(addresses, len(addresses)):
            self._lost.clear()
            try:
                conn = await connect(self._url, address, self._heard, self._gone)
                self._conn = conn
                await self._subscribe_again(conn)
                self.max_payload = int(conn.info.result().get("max_payload", 2**20))
                if not conn.is_open:
                    raise BrokerUnavailable("lost again")
            except (OSError, BrokerUnavailable, ValueError) as exc:
                self._drop()
                failed = exc
                continue
            self._absence.end()
            self._given_up = ""
            self._address = f"{bracketed(address.host)}:{address.port}"
            self.is_up = True
            self._changed(True)
            return None
        return failed

    async def _subscribe_again(self, conn: Connection) -> None:
        """Repeat all subscriptions; one made meanwhile is written by who makes it."""
        known = list(self._numbers.items())
        for at in range(0, len(known), BATCH):
            for subject, number in known[at : at + BATCH]:
                if self._numbers.get(subject) == number:
                    conn.write(b"SUB %b %d\r\n" % (subject, number))
            await conn.ping()

    async def _watch(self, conn: Connection) -> None:
        """Return when the connection is gone, or has been silent for too long."""
        said = ""
        while conn.is_open:
            if conn.error != said:
                said = conn.error
                log(SERVER, logging.ERROR, "the broker does not do as it is told", reason=said)
            if conn.unanswered > MOST_UNANSWERED:
                self._give_up("it does not answer")
            else:
                conn.ping()
            try:
                async with asyncio.timeout(PING_S):
                    await self._lost.wait()
            except TimeoutError:
                pass

    def _gone(self, conn: Connection) -> None:
        if conn is self._conn:
            was_up = self.is_up
            self.reason = self._given_up or conn.error or "the connection has ended"
            self._drop()
            if was_up:
                self._changed(False)

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        self.is_up = False
        self._lost.set()
        if conn is not None:
            self._dropped += conn.dropped
            conn.abort()
