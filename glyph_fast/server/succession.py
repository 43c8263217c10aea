"""The order of rooms that remember, as it comes from the process before and goes to the one after.

    Succeeding → MemoryBroker → HandedOn
    it comes     it is here     a successor has it, to which this process is a worker

One process has the order at any time. The hub of a server that is one process publishes by the
broker that goes with that; with workers, who go by main, its keeper knows.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Any

from ..broker.bequeathing import Bequest
from ..broker.crossing import unpack
from ..broker.frames import HEAD, Kind
from ..broker.held import Held
from ..broker.inheriting import Inheriting
from ..broker.keeper import Keeper
from ..broker.link import Link
from ..broker.memory import MemoryBroker
from ..broker.onward import Onward
from ..broker.ordering import read_placed
from ..broker.questions import Questions
from ..broker.succeeding import Succeeding
from ..hub.hub import Hub
from ..json import loads

if TYPE_CHECKING:
    from ..broker.switchboard import Switchboard


class _Succession:
    """The part that both kinds have in common. `former` leads to the process before it, if any."""

    def __init__(self, keeper: Keeper, former: socket.socket | None) -> None:
        self._keeper = keeper
        self._inheriting: Inheriting | None = None
        self._bequest: Bequest | None = None
        self._handing: asyncio.Task[None] | None = None
        self._has_order = asyncio.Event()
        if former is None:
            self._has_order.set()
        else:
            keeper.held = Held()
            self._inheriting = Inheriting(former, keeper.memory, self._heard, self._came)

    def serving(self) -> None:
        """Clients can connect, and whoever has the order hears of it."""
        if self._inheriting is not None:
            self._inheriting.wait()

    def _came(self) -> None:
        assert self._keeper.held is not None
        self._keeper.held.release(self._begin)

    def _begin(self) -> None:
        """All that waited for the order is done."""
        self._keeper.held = None
        self._has_order.set()

    async def hand_on(self, sock: socket.socket) -> None:
        """Give no more places, and hand over to the process at the other end."""
        await self._has_order.wait()
        self._bequest = bequest = Bequest(sock)
        self._keeper.onward = Onward(bequest.link, self._questions(bequest))
        self._handing = asyncio.create_task(bequest.hand_over(self._keeper.memory))
        await asyncio.shield(self._handing)  # it goes on when this process is stopped meanwhile

    def _questions(self, bequest: Bequest) -> Questions:
        """Those to the successor, whose answers are heard from now on."""
        raise NotImplementedError

    def _heard(self, link: Link, frames: list[bytes]) -> None:
        """Take what the former process still says."""
        raise NotImplementedError

    async def close(self) -> None:
        """Leave nothing behind; what was said last to a successor arrives."""
        if self._handing is not None:
            await asyncio.wait({self._handing})
        if self._inheriting is not None:
            self._inheriting.close()
        if self._bequest is not None:
            await self._bequest.close()


class MainSuccession(_Succession):
    """The succession of a main process, which has the order of rooms for all its workers."""

    def __init__(self, switchboard: Switchboard, former: socket.socket | None) -> None:
        self._switchboard = switchboard
        super().__init__(switchboard.keeper, former)
        if self._inheriting is not None:
            switchboard.former = self._inheriting.link

    def _begin(self) -> None:
        super()._begin()
        self._switchboard.tell_positions()

    def _heard(self, link: Link, frames: list[bytes]) -> None:
        self._switchboard.heard(link, frames)

    def _questions(self, bequest: Bequest) -> Questions:
        questions = Questions(bequest.link)

        def heard(frames: list[bytes]) -> None:
            for each in frames:
                if each[4] == Kind.ANSWER:
                    questions.heard(each)

        bequest.heard, bequest.lost = heard, questions.end
        return questions


class Succession(_Succession):
    """The succession of a server that is one process."""

    def __init__(self, hub: Hub, former: socket.socket | None) -> None:
        memory = hub._rooms._broker
        assert isinstance(memory, MemoryBroker)
        self._hub = hub
        self._memory = memory
        self._succeeding: Succeeding | None = None
        super().__init__(Keeper(self._deliver_placed, self._ask_here, memory), former)
        if (held := self._keeper.held) is not None:
            self._succeeding = Succeeding(memory, hub._rooms._terms, held)
            hub._order_by(self._succeeding)

    def started(self) -> None:
        """Note that the hooks before serving have run: what comes may wait for the order."""
        if self._succeeding is not None:
            self._succeeding.is_starting = False

    def _came(self) -> None:
        assert self._succeeding is not None
        self._succeeding.go_on(self._begin)

    def _begin(self) -> None:
        self._hub._order_by(self._memory)
        super()._begin()

    def _questions(self, bequest: Bequest) -> Questions:
        from ..broker.handed_on import HandedOn  # for who hands over

        broker = HandedOn(bequest.link)
        bequest.heard, bequest.lost = broker.heard, broker.lost
        rooms = self._hub._rooms
        broker.attach(self._hub._deliver, self._hub._obey)
        broker.remember(rooms._terms, 0, rooms._shown_user_of)
        broker.channels = self._memory.channels  # their readers are here, to the end
        self._hub._order_by(broker)
        return broker.questions

    async def close(self) -> None:
        """Leave nothing behind; another run begins with a broker of its own."""
        await super().close()
        self._hub._order_by(self._memory)

    def _heard(self, link: Link, frames: list[bytes]) -> None:
        for each in frames:
            kind = each[4]
            if kind == Kind.ORDER:
                self._keeper.order(link, each)
            elif kind == Kind.ASK:
                self._keeper.ask(link, each)
            elif kind in (Kind.PUBLISH, Kind.TELL):
                if self._keeper.onward is not None:
                    self._keeper.onward.pass_on(each)
                if kind == Kind.PUBLISH:
                    self._hub._deliver(unpack(each))
                else:
                    call, *args = loads(each[HEAD.size :])
                    self._hub._obey(call, args)

    def _deliver_placed(self, name: bytes, frame: bytes) -> None:
        self._hub._deliver(read_placed(frame))

    async def _ask_here(self, link: Link, call: str, *args: Any) -> list[Any]:
        return [self._hub._count_here(*args)] if call == "count" else []
