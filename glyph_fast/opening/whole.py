"""Limits of a server of several workers as a whole: asked of main, and counted there.

Connections are lent to a worker in blocks, so that it asks for one in many; addresses, users and
handshakes are asked for each time, where there is a limit. Main never gives more than there is.
A worker has at most a block that it does not use, which is how many may be refused early.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable
from inspect import isawaitable
from math import ceil
from typing import Any

from ..errors import BrokerUnavailable
from ..http.forwarded import network_of
from ..hub.identity import Identity
from ..hub.users import user_of
from ..options.config import Config
from ..websocket.handshake import Accept
from ..wire import ENDING
from .admission import HandshakeRate, Refusal

LARGEST_BLOCK = 64  # connections
BLOCKS = 8  # for each worker, of what there is in all, so that none has all of it

Ask = Callable[..., Awaitable[Any]]
ADDRESS, USER = "address", "user"  # what is counted, with which one


def block_of(limit: int, workers: int) -> int:
    """Return how many connections a worker may hold in reserve."""
    return max(1, min(LARGEST_BLOCK, limit // (BLOCKS * workers)))


class Shares:
    """The shares that main has given to each worker. For its loop."""

    def __init__(self, config: Config, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = config.max_connections
        self._limits = {
            ADDRESS: config.max_connections_per_ip,
            USER: config.max_connections_per_user,
        }
        self._rate = HandshakeRate(config.handshake_rate) if config.handshake_rate else None
        self._clock = clock
        self._counts: Counter[tuple[str, str]] = Counter()  # of all workers; no zeros
        self._lent: Counter[Hashable] = Counter()  # connections, by the worker's link
        self._of: dict[Hashable, Counter[tuple[str, str]]] = {}  # the counts of each worker

    def answers(self) -> dict[str, Callable[..., Any]]:
        """Return the questions that a worker may ask, by name."""
        return {
            "lend": self.lend, "return": self.give_back, "handshake": self.handshake,
            "take": self.take, "release": self.release,
        }  # fmt: skip

    def lend(self, link: Hashable, wanted: int) -> int:
        """Give a worker connections: as many as it wants, or as there are."""
        given = min(wanted, self._free)
        self._free -= given
        self._lent[link] += given
        return given

    def give_back(self, link: Hashable, count: int) -> None:
        """A worker has no use for so many."""
        self._free += count
        self._lent[link] -= count

    def handshake(self, link: Hashable, network: str) -> float:
        """Count a handshake; 0.0 where it may be, else the seconds until it may."""
        return 0.0 if self._rate is None else self._rate.take(network, self._clock())

    def take(self, link: Hashable, kind: str, name: str) -> bool:
        """Count a connection of an address or a user; False where that is one too many."""
        limit, key = self._limits[kind], (kind, name)
        if limit is not None and self._counts[key] >= limit:
            return False
        self._counts[key] += 1
        self._of.setdefault(link, Counter())[key] += 1
        return True

    def release(self, link: Hashable, taken: list[tuple[str, str]]) -> None:
        """Free again what was taken."""
        own = self._of.get(link)
        for key in taken if own is not None else ():
            self._subtract(own or Counter(), key, 1)

    def gone(self, link: Hashable) -> None:
        """A worker is gone, and all that it had is free."""
        self._free += self._lent.pop(link, 0)
        for key, count in self._of.pop(link, Counter()).items():
            self._subtract(Counter(), key, count)

    def _subtract(self, own: Counter[tuple[str, str]], key: tuple[str, str], count: int) -> None:
        for counts in (own, self._counts):
            if key in counts:
                counts[key] -= count
                if not counts[key]:
                    del counts[key]


class Whole:
    """Those limits as a worker goes by them. `used()` is how many connections it has."""

    used: Callable[[], int]

    def __init__(
        self, config: Config, workers: int, ask: Ask, order: Callable[..., object]
    ) -> None:
        self._ask = ask
        self._order = order
        self._block = block_of(config.max_connections, workers)
        self._counts_address = config.max_connections_per_ip is not None
        self._has_rate = config.handshake_rate is not None
        self._counts_user = config.max_connections_per_user is not None
        self._taken: dict[Any, list[tuple[str, str]]] = {}  # by connection
        self.lent = 0  # connections
        self._asked_for = 0  # of main, which has not answered yet
        self.waiting = 0  # handshakes that wait to be lent one; they are not counted as lent yet

    def must_ask(self, remote: str | None) -> bool:
        """Return whether main has to be asked before one more from there may come."""
        if self.used() >= self.lent:
            return True
        return remote is not None and (self._counts_address or self._has_rate)

    async def admit(self, conn: Any, remote: str | None) -> None:
        """Ask main whether one may come, which `used` counts already. Raises Refusal."""
        try:
            if self.used() > self.lent:
                await self._borrow()
            if remote is not None:
                await self._admit_from(conn, network_of(remote))
        except BrokerUnavailable:
            raise Refusal("draining", 503, "server is shutting down") from None

    async def _borrow(self) -> None:
        # Those who wait have asked for themselves. Answers come in order, so 0 waits for theirs.
        wanted = max(0, self.used() + self._block // 2 - self.lent - self._asked_for)
        self.waiting += 1
        self._asked_for += wanted
        try:
            self._lent_more(await self._asked(self._lent_more, "lend", wanted))
        finally:
            self.waiting -= 1
            self._asked_for -= wanted
        if self.used() - self.waiting > self.lent:
            raise Refusal("full", 503, "too many connections")

    async def _admit_from(self, conn: Any, network: str) -> None:
        if self._has_rate and (wait := await self._ask("handshake", network)):
            fields = {"Retry-After": str(ceil(wait))}
            raise Refusal("rate", 429, "too many handshakes from this address", fields)
        if not self._counts_address or conn in self._taken:  # another route is asked
            return
        if not await self._take(conn, ADDRESS, network):
            raise Refusal("address", 429, "too many connections from this address")

    def checked(self, conn: Any, identity: Any) -> Any:
        """Return an authenticator's result; where users have a limit, once main has agreed."""
        return self._check(conn, identity) if self._counts_user else identity

    async def _check(self, conn: Any, identity: Any) -> Any:
        if isawaitable(identity):
            identity = await identity
        user = user_of(_plain(identity))
        try:
            if isinstance(user, str) and not await self._take(conn, USER, user):
                raise Refusal("user", 429, "too many connections of this user")
        except BrokerUnavailable:
            raise Refusal("draining", 503, "server is shutting down") from None
        return identity

    async def _take(self, conn: Any, kind: str, name: str) -> bool:
        def untake(was_free: bool) -> None:
            if was_free:
                self._order("release", [(kind, name)])

        is_free: bool = await self._asked(untake, "take", kind, name)
        if conn._phase >= ENDING:
            untake(is_free)
        elif is_free:
            self._taken.setdefault(conn, []).append((kind, name))
        return is_free

    async def _asked(self, undo: Callable[[Any], object], call: str, *args: Any) -> Any:
        """The answer to a question; `undo` gets it when nobody waits for it any more."""
        asking = asyncio.ensure_future(self._ask(call, *args))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(lambda done: _is_failed(done) or undo(done.result()))
            raise

    def _lent_more(self, count: int) -> None:
        self.lent += count

    def release(self, conn: Any) -> None:
        """A connection is gone, or was refused."""
        if (taken := self._taken.pop(conn, None)) is not None:
            self._order("release", taken)
        unused = self.lent - self.used()
        if unused > self._block:
            more = unused - self._block // 2
            self.lent -= more
            self._order("return", more)


def _is_failed(done: asyncio.Future[Any]) -> bool:
    return done.cancelled() or done.exception() is not None


def _plain(identity: Any) -> Any:
    if isinstance(identity, Accept):
        identity = identity.identity
    return identity.user if isinstance(identity, Identity) else identity
