"""The things main keeps for its workers: the order of rooms, their messages, and ids.

A process that succeeds another keeps the same for what the other still publishes. Until it has the
order, what is asked waits in `held`; when it has handed the order on, it goes `onward`.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from ..dialects.publication import Publication
from ..errors import BrokerUnavailable
from ..logs import SERVER, log
from ..options.rooms import RoomDeclaration
from ..wire import NOWHERE, Position
from .attendance import Attendance
from .channels_crossing import ASKED, MainChannels
from .frames import HEAD, Kind, frame
from .held import Held
from .history import Ask, Page
from .link import Link
from .memory import MemoryBroker
from .onward import NOT_ASKED, Onward
from .ordering import Order, order, placed, read_order
from .questions import Questions, answer, read_question, refusal
from .seats import Seats
from .succeeding import TOO_MUCH

if TYPE_CHECKING:
    from .nodes.main import Beyond

# The worker that is not asked, the question and its arguments.
AskOthers = Callable[..., Awaitable[list[Any]]]
AskOne = Callable[..., Awaitable[Any]]  # the number of the worker, the question and its arguments
Forward = Callable[[bytes, bytes], object]  # the name of a room, and a frame for who has members


class Placing(Protocol):
    """A broker that has the order of rooms, and keeps what they remember."""

    def order(self, asked: Order, link: Link, frame: bytes) -> None:
        """Have an `ORDER` placed, and tell the asker."""

    def knows(self, call: str) -> bool:
        """Return whether a question is for the broker."""

    def ask(self, link: Link, number: int, call: str, args: tuple[Any, ...]) -> None:
        """Answer such a question."""

    def locate(self, room: str) -> None:
        """Tell workers with members where a room is."""

    def subscribe(self, room: str) -> None:
        """A room has its first member on this machine."""

    def unsubscribe(self, room: str) -> None:
        """Its last has left."""


class Keeper:
    """Gives publications their places, and answers what workers ask about rooms.

    `forward` sends a frame to every worker with members of a room.
    """

    def __init__(
        self,
        forward: Forward,
        ask_others: AskOthers,
        memory: MemoryBroker | None = None,
        ask_one: AskOne | None = None,
    ) -> None:
        self.memory = MemoryBroker() if memory is None else memory
        self.held: Held | None = None
        self.placing: Placing | None = None  # where a broker has the order
        self.serves: Callable[[Link], bool] = lambda link: True  # whether clients can connect there
        self.onward: Onward | None = None
        self.beyond: Beyond | None = None  # other nodes, where there may be some
        self.attendance = Attendance()
        self.channels = MainChannels(ask_others)
        self._main = cast(Link, _Main(self))
        self.own = Questions(self._main)  # of main itself, to what a worker may ask
        self.seats = Seats()
        # Of others too, by name; they get the link.
        self.answers: dict[str, Callable[..., Any]] = self.seats.answers()
        self._forward = forward
        self._ask_others = ask_others
        self._ask_one = ask_one
        self._tasks: set[asyncio.Task[None]] = set()

    def remember(self, terms: Callable[[str], RoomDeclaration | None], memory: int) -> None:
        """Keep what `terms` says of a room, of all rooms at most `memory` bytes."""
        self.memory.remember(terms, memory)

    def order(self, link: Link, frame: bytes) -> None:
        """Give an `ORDER` its place, and tell the asker."""
        try:
            asked = read_order(frame)
        except ValueError as exc:
            log(SERVER, logging.ERROR, "not an order", reason=str(exc))
            return
        if self.placing is not None:
            self.placing.order(asked, link, frame)
            return
        work, early = partial(self._order, asked), (NOWHERE, True)
        if not self._is_elsewhere(link, frame, asked.number, work, early):
            self._order(asked, link, frame)

    def _order(self, asked: Order, link: Link, frame: bytes) -> None:
        ids = self.memory.ids
        user, id = _user_and_id(asked.id)
        if id and (known := ids.find(asked.name, user, id)) is not None:
            link.send_always(answer(asked.number, (known, False)))
            return
        position = self._place(asked, frame)
        if id:
            ids.keep(asked.name, user, id, position)
        if asked.number:
            link.send_always(answer(asked.number, (position, True)))

    def _is_elsewhere(
        self,
        link: Link,
        frame: bytes,
        number: int,
        work: Callable[[Link, bytes], object],
        early: Any,
    ) -> bool:
        """Return whether another process has the order; then the work waits, or is done there.

        A worker that starts may not wait, since the order is handed over only when all serve: it
        gets the answer `early`, and not another one when the work is done.
        """
        if self.held is not None:
            if not self.held.add(partial(work, link, frame), len(frame)):
                link.send_always(refusal(number, TOO_MUCH))
            elif link is not self._main and not self.serves(link):
                link.send_always(answer(number, early))
            return True
        if self.onward is not None:
            self.onward.ask(link, frame, number)
            return True
        return False

    async def publish(self, made: Publication, id: str = "") -> tuple[Position, bool]:
        """Give a publication of main's own its place, unless that was done under an id already.

        Whether it was not. In a room that gives no places it has still to be delivered. Raises
        BrokerUnavailable.
        """
        key = f"\0{id}" if id else ""  # no user's
        if self.memory.histories.terms_of(made.name) is None:
            is_new = not key or await self.own.ask("claim", made.name, key)
            return NOWHERE, is_new
        number, future = self.own.number()
        self.order(self._main, order(made, None, number=number, id=key))
        position, is_new = await future
        return position, is_new

    def _place(self, asked: Order, frame: bytes) -> Position:
        stream = self.memory.histories.append(
            asked.name, asked.frame, asked.kind, asked.exclude, asked.user
        )
        made = placed(frame, stream.epoch, stream.offset, stream.newest[1])
        self._forward(asked.name.encode("utf-8", "surrogatepass"), made)
        return stream.position

    def tell_position(self, link: Link, name: bytes) -> None:
        """Tell a worker where a room that remembers is, so that it notices what it misses."""
        room = name.decode("utf-8", "surrogatepass")
        if self.placing is not None:
            self.placing.locate(room)
            return
        if self.held is not None or self.onward is not None:
            return
        if self.memory.histories.terms_of(room) is not None:
            stream = self.memory.histories.stream(room)
            link.send_always(position_frame(name, stream.position))

    def ask(self, link: Link, question: bytes) -> None:
        """Answer an `ASK`."""
        try:
            number, call, args = read_question(question)
        except (pickle.UnpicklingError, ValueError, EOFError) as exc:
            log(SERVER, logging.ERROR, "not a question", reason=str(exc))
            return
        if (known := self.answers.get(call)) is not None:
            result = known(link, *args)
            if number:
                link.send_always(answer(number, result))
            return
        if self.placing is not None and self.placing.knows(call):
            self.placing.ask(link, number, call, args)
            return
        if (later := _ANSWERED_LATER.get(call)) is not None:
            task = asyncio.get_running_loop().create_task(later(self, link, number, *args))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        method = _ANSWERED.get(call)
        if method is None:
            link.send_always(refusal(number, f"main does not know {call}"))
            return

        if self.onward is not None and call in NOT_ASKED:
            return

        def work(link: Link, frame: bytes) -> None:
            link.send_always(answer(number, method(self, link, *args)))

        if not self._is_elsewhere(link, question, number, work, _early_answer(call, args)):
            work(link, question)

    async def _count(self, link: Link, number: int, room: str | None) -> None:
        counts = await self._ask_others(link, "count", room)
        if self.beyond is not None:
            try:
                found = await self.beyond.nodes.ask("count", room)
            except BrokerUnavailable as exc:
                link.send_always(refusal(number, str(exc)))
                return
            counts += [each for each in found if type(each) is int]
        link.send_always(answer(number, sum(counts)))

    def _history(self, link: Link, room: str, ask: Ask) -> Page:
        if self.memory.histories.terms_of(room) is None:
            return Page(NOWHERE, [])
        return self.memory.histories.read(room, ask)

    def _remove_history(self, link: Link, room: str) -> None:
        self.memory.histories.empty(room)

    def _forget(self, link: Link, room: str) -> None:
        self.memory.forget(room)

    def _forget_all(self, link: Link) -> None:
        self.memory.forget_all()

    async def _channels(self, link: Link, number: int, call: str, args: tuple[Any, ...]) -> None:
        await self.channels.ask(link, number, call, args)

    def _claim(self, link: Link, room: str, key: str) -> bool:
        """Return whether an id is new, in a room that gives no places."""
        ids = self.memory.ids
        user, id = _user_and_id(key)
        if ids.find(room, user, id) is not None:
            return False
        ids.keep(room, user, id, NOWHERE)
        return True

    async def _gather(self, link: Link, number: int, room: str, follow: bool) -> None:
        # What others have not told yet they tell before they answer.
        await self._ask_others(link, "tell presence", room)
        found = self.attendance.gather(link, room, follow)
        if self.beyond is not None:
            try:
                found += await self.beyond.nodes.attending.gather(room, follow=follow)
            except BrokerUnavailable as exc:
                link.send_always(refusal(number, str(exc)))
                return
        link.send_always(answer(number, found))

    async def _ask_worker(self, link: Link, number: int, *question: Any) -> None:
        asked = None if self._ask_one is None else await self._ask_one(*question)
        if asked in (None, "gone") and self.beyond is not None:
            with suppress(BrokerUnavailable):
                worker, call, *args = question
                for each in await self.beyond.nodes.ask("ask worker", worker, call, args):
                    asked = asked if each in (None, "gone") else each
        link.send_always(answer(number, asked))

    def presence(self, link: Link, frame: bytes) -> None:
        """Take what a worker says about who is in a room."""
        try:
            self.attendance.heard(link, frame)
        except (pickle.UnpicklingError, ValueError, TypeError, EOFError) as exc:
            log(SERVER, logging.ERROR, "no presence", reason=str(exc))


_ANSWERED: dict[str, Callable[..., Any]] = {
    "history": Keeper._history,
    "remove_history": Keeper._remove_history,
    "forget": Keeper._forget,
    "forget_all": Keeper._forget_all,
    "claim": Keeper._claim,
}
_ANSWERED_LATER: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "count": Keeper._count,
    "gather": Keeper._gather,
    ASKED: Keeper._channels,
    "ask worker": Keeper._ask_worker,
}


def _early_answer(call: str, args: tuple[Any, ...]) -> Any:
    """Return what is answered where nothing is known yet, and nobody may wait."""
    if call == "history":
        return Page(NOWHERE, [], is_lost=args[1].since is not None)
    return True if call == "claim" else None


class _Main:
    """Main itself in the place of a link: what it asks and is answered goes round and back."""

    is_open = True

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper

    def send_always(self, frame: bytes) -> None:
        """Take a question of main, or the answer to one."""
        if frame[4] == Kind.ASK:
            self._keeper.ask(self._keeper._main, frame)
        else:
            self._keeper.own.heard(frame)

    def flush(self) -> None:
        """Nothing waits."""


def _user_and_id(key: str) -> tuple[str, str]:
    """Split what is one text in an order."""
    user, _, id = key.partition("\0")
    return user, id


def position_frame(name: bytes, position: Position) -> bytes:
    """The frame that tells where a room is."""
    return frame(Kind.POSITION, pickle.dumps((name, position), protocol=5))


def read_position(data: bytes) -> tuple[str, Position]:
    """The room and the position of such a frame. It comes from main."""
    name, position = pickle.loads(data[HEAD.size :])
    return name.decode("utf-8", "surrogatepass"), position
