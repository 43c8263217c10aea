"""Joining rooms whose members are counted for all processes, by a broker that takes its time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.errors import BrokerUnavailable, ConnectionClosed, RoomFull
from glyph_fast.options.config import Config
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

ROOMS = {"chat": {"history_size": 100, "max_members": 3}, "plain": {"max_members": 3}}


class Counting(MemoryBroker):
    """Counts seats, some of which other processes have, and answers when the gate is open."""

    __slots__ = ("asked", "gate", "is_away", "seats")

    counts_members = True

    def __init__(self, elsewhere: int = 0) -> None:
        super().__init__()
        self.seats = elsewhere
        self.asked = 0
        self.is_away = False
        self.gate = asyncio.Event()

    async def take_seat(self, room: str, limit: int) -> bool:
        self.asked += 1
        has_space = self.seats < limit
        self.seats += has_space
        await self.gate.wait()
        if self.is_away:
            raise BrokerUnavailable("away")
        return has_space

    def change_seats(self, room: str, change: int) -> None:
        self.seats += change


async def started(joining: Any) -> asyncio.Future[Any]:
    task = asyncio.ensure_future(joining)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return task


@pytest.fixture
def broker() -> Counting:
    return Counting()


@pytest.fixture
def site(broker: Counting) -> Site:
    return Site(Config(rooms=ROOMS), broker=broker)


def test_who_joins_and_leaves_has_a_seat_meanwhile(site: Site, broker: Counting, run: Any) -> None:
    async def main() -> None:
        site.on_loop()
        broker.gate.set()
        ada, bob, kim = site.connect(), site.connect(), site.connect()
        await ada.conn.join("chat")
        bob.conn.join_room("chat")
        await kim.conn.join("chat")
        await kim.conn.join("chat")
        assert (broker.seats, broker.asked) == (3, 2)
        kim.conn.leave_room("chat")
        bob.vanish()
        assert broker.seats == 1
        site.hub.get_room_manager().delete_room("chat")
        assert broker.seats == 0

    run(main())


def test_members_elsewhere_fill_a_room(run: Any) -> None:
    async def main() -> None:
        broker = Counting(elsewhere=3)
        broker.gate.set()
        site = Site(Config(rooms=ROOMS), broker=broker).on_loop()
        ada = site.connect()
        with pytest.raises(RoomFull):
            await ada.conn.join("chat")
        assert (broker.seats, ada.conn.get_rooms()) == (3, [])
        ada.conn.join_room("chat")  # goes by what this process knows
        assert broker.seats == 4

    run(main())


def test_rooms_without_history_and_presence_are_not_counted(
    site: Site, broker: Counting, run: Any
) -> None:
    async def main() -> None:
        site.on_loop()
        await site.connect().conn.join("plain")
        assert (broker.seats, broker.asked) == (0, 0)

    run(main())


@pytest.mark.parametrize("what", ["vanishes", "is cancelled", "joins meanwhile", "broker away"])
def test_a_seat_that_nobody_takes_is_given_back(
    site: Site, broker: Counting, run: Any, what: str
) -> None:
    async def main() -> None:
        site.on_loop()
        ada: Peer = site.connect()
        task = await started(ada.conn.join("chat"))
        assert broker.seats == 1
        expected: Any = None
        if what == "vanishes":
            ada.vanish()
            expected = ConnectionClosed
        elif what == "is cancelled":
            task.cancel()
            expected = asyncio.CancelledError
        elif what == "joins meanwhile":
            ada.conn.join_room("chat")
        else:
            broker.is_away, expected = True, BrokerUnavailable
            broker.seats -= 1  # who is away has counted nothing
        broker.gate.set()
        if expected is None:
            await task
        else:
            with pytest.raises(expected):
                await task
        await started(asyncio.sleep(0))
        assert broker.seats == len(ada.conn.get_rooms()) == (what == "joins meanwhile")

    run(main())


def test_the_limit_of_this_process_holds_while_others_are_asked(
    site: Site, broker: Counting, run: Any
) -> None:
    async def main() -> None:
        site.on_loop()
        ada, *others = [site.connect() for _ in range(4)]
        task = await started(ada.conn.join("chat"))
        for each in others:
            each.conn.join_room("chat")
        broker.gate.set()
        with pytest.raises(RoomFull):
            await task
        assert broker.seats == 3

    run(main())
