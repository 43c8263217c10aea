"""The primaries of a cluster, and which slots each has: asked again and again, and when in doubt.

Where a slot has gone from one primary to another while both were primaries, its rooms have moved
there whole, and go on. Where its primary is another one otherwise, a replica was made primary: its
rooms may be behind what members know, and begin new epochs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import hiredis

from ....errors import BrokerRefused, BrokerUnavailable
from ....options.broker import BrokerUrl
from ....options.values import Address
from ...absence import Absence
from ..connection import Connection
from ..login import connect, refusal
from .shard import Shard
from .slots import NOBODY, Owners, Range, elect, read_slots

LOOK_S = 2.0  # between two looks where the slots are
PAUSE_S = 0.05  # at least
ANSWER_S = 1.0  # for servers to tell
MOST_FORMER = 8  # runs of other servers from which a room is taken over

Make = Callable[[BrokerUrl], Shard]


class Shards:
    """Which shard has which slot. `moved` is told of slots that have another one."""

    def __init__(self, url: BrokerUrl, make: Make) -> None:
        self.url = url
        self.by_address: dict[Address, Shard] = {}
        self.at: list[Shard | None] = [None] * len(NOBODY)
        self.is_whole = False  # whether each slot has a primary
        self.moved: Callable[[list[int]], object] = lambda slots: None
        self.moved_whole: Callable[[list[int]], object] = lambda slots: None
        self.looked: Callable[[], object] = lambda: None
        self._make = make
        self._owners: Owners = NOBODY
        self._views: frozenset[tuple[Range, ...]] = frozenset()
        self._former: dict[int, tuple[str, ...]] = {}  # by slot
        self._due = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._keeping: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting: dict[Address, asyncio.Task[None]] = {}
        self._absence = Absence(self.url)

    # Their life.

    async def start(self) -> None:
        """Find the primaries and connect to them, and go on to. Raises BrokerRefused."""
        failed = await self._look()
        if isinstance(failed, BrokerRefused):
            raise failed
        starting = list(self._starting.values())
        if starting:
            await asyncio.wait(starting)
            for each in starting:
                if isinstance(refused := each.exception(), BrokerRefused):
                    await self.close()
                    raise refused
        self._keeping = asyncio.get_running_loop().create_task(self._keep(), name="redis cluster")

    async def close(self) -> None:
        """End all connections."""
        tasks = {*self._tasks, *self._starting.values()}
        if self._keeping is not None:
            tasks.add(self._keeping)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for future in self._waiting:
            future.cancel()
        await asyncio.gather(*(each.link.close() for each in self.by_address.values()))

    async def _keep(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._due.wait()
            self._due.clear()
            waiting, self._waiting = self._waiting, []
            try:
                await self._look()
            finally:
                for future in waiting:
                    if not future.done():
                        future.set_result(None)
            await asyncio.sleep(PAUSE_S)

    def doubt(self) -> None:
        """Something was not where it was looked for: look again soon."""
        self._due.set()

    async def looked_again(self) -> None:
        """Return when it was looked where the slots are, from now on."""
        if self._keeping is None or self._keeping.done():
            await asyncio.sleep(PAUSE_S)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self.doubt()
        await future

    # Looking.

    async def _look(self) -> Exception | None:
        """Look where the slots are, and return why that is not known."""
        up = [each for each in self.by_address.items() if each[1].is_up]
        views = await _told((address, shard.link.commands) for address, shard in up)
        failed: Exception | None = None
        if not views:
            views, failed = await self._ask_anybody()
        if views:
            self._absence.end()
            self._take(views)
        elif failed is not None:
            self._absence.explain(failed)
        self.looked()
        return None if views else failed

    async def _ask_anybody(self) -> tuple[list[tuple[Range, ...]], Exception]:
        """What the first server tells that can be reached, of those that were ever known."""
        failed: Exception = BrokerUnavailable("no server of the cluster answers")
        for address in dict.fromkeys((*self.by_address, *self.url.addresses)):
            try:
                conn, server = await connect(
                    lambda: Connection(lambda gone: None), address, self.url
                )
            except (OSError, BrokerUnavailable) as exc:
                failed = exc
                continue
            try:
                if not server.is_cluster:
                    raise BrokerRefused("it is no cluster: redis:// is for one server")
                async with asyncio.timeout(ANSWER_S):
                    answer = await conn.ask("CLUSTER", "SLOTS")
                return [read_slots(answer, address)], failed
            except hiredis.ReplyError as exc:
                failed = refusal(exc)
            except (OSError, BrokerUnavailable) as exc:
                failed = exc
            finally:
                conn.abort()
        return [], failed

    # What was found.

    def _take(self, views: list[tuple[Range, ...]]) -> None:
        if frozenset(views) == self._views and len(self._views) == 1:
            return
        self._views = frozenset(views)
        owners = elect(views, self._owners)
        changed = [slot for slot, was in enumerate(self._owners) if was != owners[slot]]
        if not changed:
            return
        before, self._owners = self._owners, owners
        there = {each for each in owners if each is not None}
        self._note_former(changed, before, there)
        for address in there:
            if address not in self.by_address:
                self._begin(address)
        for slot in changed:
            owner = owners[slot]
            self.at[slot] = None if owner is None else self.by_address.get(owner)
        self.is_whole = None not in self.at
        gone = [each for each in self.by_address if each not in there]
        shards = [self.by_address.pop(each) for each in gone]
        for shard in {self.at[slot] for slot in changed}:
            if shard is not None:
                shard.streams.moved()
        self.moved(changed)
        self.moved_whole([slot for slot in changed if slot in self._former])
        for address, shard in zip(gone, shards, strict=True):
            self._go_on(self._end(address, shard))

    def _note_former(self, changed: Iterable[int], before: Owners, there: set[Address]) -> None:
        """Note of slots that have moved whole which runs their rooms were of."""
        there_before = {each for each in before if each is not None}
        for slot in changed:
            was, now = before[slot], self._owners[slot]
            shard = None if was is None else self.by_address.get(was)
            is_whole = was in there or now in there_before
            if now is None or shard is None or not shard.is_up or not is_whole:
                self._former.pop(slot, None)
                continue
            runs = (shard.link.server.run_id, *self._former.get(slot, ()))
            self._former[slot] = tuple(dict.fromkeys(runs))[:MOST_FORMER]

    def former(self, slot: int) -> tuple[str, ...]:
        """The runs of servers from which a slot has moved whole."""
        return self._former.get(slot, ())

    def ended(self, shard: Shard) -> None:
        """A link has ended: another run may answer next, of which rooms are no more whole."""
        for slot in [each for each in self._former if self.at[each] is shard]:
            del self._former[slot]

    # New ones.

    def _begin(self, address: Address) -> None:
        shard = self._make(replace(self.url, addresses=(address,)))
        self.by_address[address] = shard
        starting = asyncio.get_running_loop().create_task(self._connect(address, shard))
        self._starting[address] = starting
        starting.add_done_callback(lambda done: self._started(address, done))

    async def _connect(self, address: Address, shard: Shard) -> None:
        try:
            await shard.link.start()
        except BrokerRefused as exc:
            self._absence.explain(exc)
            if self._keeping is None:
                raise  # the start ends with it
            await asyncio.sleep(LOOK_S)
            if self.by_address.get(address) is shard:  # then it is begun anew
                self._go_on(self._connect(address, shard))

    async def _end(self, address: Address, shard: Shard) -> None:
        """End a link, be it only being made."""
        if (starting := self._starting.pop(address, None)) is not None:
            starting.cancel()
            await asyncio.wait({starting})
        await shard.link.close()

    def _started(self, address: Address, task: asyncio.Task[None]) -> None:
        if self._starting.get(address) is task:
            del self._starting[address]

    def _go_on(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _told(asked: Iterable[tuple[Address, Connection]]) -> list[tuple[Range, ...]]:
    """What servers tell, of those that answer in time."""

    async def one(address: Address, conn: Connection) -> tuple[Range, ...]:
        return read_slots(await conn.ask("CLUSTER", "SLOTS"), address)

    tasks = [asyncio.ensure_future(one(*each)) for each in asked]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, timeout=ANSWER_S)
    finally:
        for each in tasks:
            each.cancel()
    done = [each for each in tasks if each.done() and not each.cancelled()]
    return [each.result() for each in done if each.exception() is None]


__all__ = ["Shards"]
