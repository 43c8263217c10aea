"""The broker of a worker: its own members at once, those of other workers through main."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from ..dialects.publication import ROOM, ROOMS, Publication
from ..errors import BrokerUnavailable
from ..interfaces import PresenceOfProcess
from ..json import dumps, loads
from ..logs import SERVER, log
from ..options.rooms import RoomDeclaration
from ..wire import NOBODY, NOWHERE, PENDING, Position, SendResult
from .attendance import ASK, DIFF, GONE, SNAPSHOT, UNFOLLOW, read_said, said
from .base import BaseBroker, Deliver, Obey, Published, UserOf, disobey
from .catching_up import CatchingUp
from .channels_crossing import ASKED, WorkerChannels
from .crossing import pack, unpack
from .frames import HEAD, Kind, frame
from .history import Ask, Page
from .keeper import read_position
from .link import Link
from .ordering import order, read_placed
from .presence import Diff, Snapshot
from .questions import Questions, answer, read_question

TOO_MUCH = "too much waits for the main process"
KNOWN_ROOMS = 4096  # names of which it is known whether they remember
_PUBLISH = int(Kind.PUBLISH)


class WorkersBroker(BaseBroker):
    """Publishes here and, by a link to the main process, in the other workers.

    The members in this process get a publication before `publish` returns, those elsewhere a moment
    later; the result counts the former and is pending. In rooms that remember main has the order:
    nobody gets a message before it has its place.
    """

    __slots__ = (
        "_catching_up",
        "_link",
        "_presence",
        "_rooms",
        "_terms",
        "_user_of",
        "answers",
        "has_nodes",
        "questions",
    )

    is_alone = False

    remembers = True

    hears_what_is_left = False  # whether what main says of rooms without members here matters

    has_nodes: bool

    def __init__(self, link: Link, *, has_nodes: bool = False) -> None:
        super().__init__()
        self._link = link
        self._rooms: set[str] = set()  # those with members here, as main knows
        self.has_nodes = has_nodes
        self.questions = Questions(link)
        self._terms: Callable[[str], RoomDeclaration | None] = lambda name: None
        self.answers: dict[str, Callable[..., Any]] = {}  # to what main asks, by its name
        self.channels = WorkerChannels(self.channels, self.questions)
        self.answers[ASKED] = self.channels.answer

    def attach(self, deliver: Deliver, obey: Obey = disobey) -> None:
        """Give publications for members in this process to `deliver`, and orders to `obey`."""
        super().attach(deliver, obey)

        def reset(room: str, position: Position) -> None:
            obey("reset_room", [room, position])

        self._catching_up = CatchingUp(deliver, self.history, reset)

    def remember(
        self, terms: Callable[[str], RoomDeclaration | None], memory: int, user_of: UserOf
    ) -> None:
        """Go by what `terms` says of a room; main keeps what there is to be kept."""
        self._terms = lru_cache(KNOWN_ROOMS)(terms)
        self._user_of = user_of

    def subscribe(self, room: str) -> None:
        """Let main know at once, before the new member is told that it is one."""
        self._rooms.add(room)
        self._link.send_always(frame(Kind.SUBSCRIBE, _encoded(room)))
        self._link.flush()

    def unsubscribe(self, room: str) -> None:
        """Let main know that nobody here is left in a room."""
        self._rooms.discard(room)
        self._link.send_always(frame(Kind.UNSUBSCRIBE, _encoded(room)))
        self._catching_up.forget(room)

    def publish(self, publication: Any) -> SendResult:
        """Deliver to the members here and hand the publication to main."""
        kind = publication.kind
        if kind == ROOM and self._terms(publication.name) is not None:
            made = order(publication, self._user_of(publication))
            return PENDING if self._link.send(made) else NOBODY
        if kind == ROOMS:
            publication = self._without_remembering(publication)
        result = self.deliver(publication)
        packed = pack(publication)
        if packed is None:
            return result
        self._link.send(packed)
        return and_elsewhere(result)

    def _without_remembering(self, publication: Publication) -> Publication:
        """Return what is left of one to several rooms when those that remember have theirs."""
        for name in publication.name:
            if self._terms(name) is not None:
                self.publish(publication.to_room(name))
        publication.name = tuple(each for each in publication.name if self._terms(each) is None)
        return publication

    def take_place(self, publication: Publication, user: str | None) -> None:
        """Nothing: what main has placed is delivered as such."""

    async def publish_once(
        self, publication: Publication, id: str = "", user: str = ""
    ) -> Published:
        """Publish, unless that was done under this id already; say which place it has."""
        key = f"{user}\0{id}" if id else ""
        if self._terms(publication.name) is None:
            if key and not await self.questions.ask("claim", publication.name, key):
                return Published(NOWHERE, NOBODY, is_new=False)
            return Published(NOWHERE, self.publish(publication), is_new=True)
        if not self._link.has_room:
            raise BrokerUnavailable(TOO_MUCH)
        number, future = self.questions.number()
        shown = self._user_of(publication)
        self._link.send_always(order(publication, shown, number=number, id=key))
        position, is_new = await future
        return Published(position, PENDING if is_new else NOBODY, is_new)

    async def history(self, room: str, ask: Ask) -> Page:
        """The messages of a room that are asked for."""
        page: Page = await self.questions.ask("history", room, ask)
        return page

    async def remove_history(self, room: str) -> None:
        """Have main forget what a room keeps; its position stays."""
        await self.questions.ask("remove_history", room)

    def forget(self, room: str) -> None:
        """Have main forget what a room keeps, and its position."""
        self.questions.order("forget", room)

    def forget_all(self) -> None:
        """Have main forget what all rooms keep, and their positions."""
        self.questions.order("forget_all")

    async def count(self, room: str | None) -> int:
        """Count the connections, or members of a room, that the other workers have."""
        count: int = await self.questions.ask("count", room)
        return count

    async def ask_worker(self, number: int, call: str, *args: Any) -> Any:
        """The answer of the worker of a number, where it is there and answers in time."""
        return await self.questions.ask("ask worker", number, call, *args)

    # How many are in rooms with history or presence: main counts.

    counts_members = True

    async def take_seat(self, room: str, limit: int) -> bool:
        """Count one more member if the room has space; return whether it had."""
        has_space: bool = await self.questions.ask("seat", room, limit)
        return has_space

    async def count_seats(self, room: str) -> int:
        """Count the members of a room in all workers."""
        count: int = await self.questions.ask("seats", room)
        return count

    def change_seats(self, room: str, change: int) -> None:
        """Let main know that a room has more members here, or fewer."""
        self.questions.order("seated", room, change)

    # Who is in rooms.

    def attach_presence(self, presence: PresenceOfProcess) -> None:
        """Tell `presence` of members elsewhere, and others of those that it knows here."""
        self._presence = presence
        self.answers["tell presence"] = lambda room: presence.own(room)[0]

    def tell_presence(self, room: str, diff: Diff) -> None:
        """Let main know who came and went here."""
        self._link.send_always(said(DIFF, room, diff))

    async def gather_presence(self, room: str, *, follow: bool) -> Sequence[Snapshot]:
        """Return who is there in the other workers."""
        found: list[Snapshot] = await self.questions.ask("gather", room, follow)
        return found

    def unfollow_presence(self, room: str) -> None:
        """Nobody here follows a room any more."""
        self._link.send_always(said(UNFOLLOW, room))

    def ask_presence(self, room: str, node: str) -> None:
        """Have a snapshot sent of the members that a worker has in a room."""
        self._link.send_always(said(ASK, room, node))

    def _heard_presence(self, frame: bytes) -> None:
        word, room, more = read_said(frame)
        if word == DIFF:
            self._presence.heard(room, *more)
        elif word == SNAPSHOT:
            self._presence.took(room, *more)
        elif word == GONE:
            self._presence.gone(room)
        else:
            self._link.send_always(said(SNAPSHOT, room, Snapshot("", *self._presence.own(room))))

    def tell(self, call: str, *args: Any) -> None:
        """Have the hubs of the other workers do something, by the name of a method."""
        try:
            told = dumps([call, *args])
        except (TypeError, ValueError) as exc:  # a room's metadata may be any object
            log(SERVER, logging.WARNING, "not for other workers", call=call, reason=str(exc))
            return
        self._link.send_always(frame(Kind.TELL, told))
        self._link.flush()

    def heard(self, frames: list[bytes]) -> None:
        """Take what comes from main, of itself or of other workers."""
        for each in frames:
            try:
                if each[4] == _PUBLISH:  # most of all
                    self.deliver(unpack(each))
                else:
                    self._heard(each)
            except ValueError as exc:  # no process of this server sends such a thing
                log(SERVER, logging.ERROR, "not a publication", reason=str(exc))

    def _heard(self, each: bytes) -> None:
        kind = each[4]
        if kind == Kind.PLACED:
            publication = read_placed(each)
            if self._hears_of(publication.name):
                self._catching_up.placed(publication)
        elif kind == Kind.ASK:
            number, call, args = read_question(each)
            self._link.send_always(answer(number, self.answers[call](*args)))
        elif kind == Kind.ANSWER:
            self.questions.heard(each)
        elif kind == Kind.POSITION:
            room, position = read_position(each)
            if self._hears_of(room):
                self._catching_up.is_at(room, position)
        elif kind == Kind.PRESENCE:
            self._heard_presence(each)
        elif kind == Kind.TELL:
            call, *args = loads(each[HEAD.size :])
            self.obey(call, args)

    def _hears_of(self, room: str) -> bool:
        """Return whether a room has members here; what was on its way when they left is late."""
        return room in self._rooms or self.hears_what_is_left

    def lost(self) -> None:
        """Main is gone: nobody will answer."""
        self.questions.end()


def and_elsewhere(result: SendResult) -> SendResult:
    """The same result, with receivers elsewhere still to come."""
    if result is NOBODY:
        return PENDING
    if result.__dict__:
        return SendResult(*result, displaced=result.displaced, pending=True)
    return _and_elsewhere(result)


@lru_cache(1024)
def _and_elsewhere(result: SendResult) -> SendResult:
    return SendResult(*result, pending=True)


def _encoded(room: str) -> bytes:
    return room.encode("utf-8", "surrogatepass")
