"""The exchange of what workers say: main hands publications on to those concerned.

A publication for one room goes to the workers with members in it, any other to all; never back to
the one it comes from, which has served its own members already. Those for one room that come one
after the other are one run of `splitting.py`, and go on in one piece. What all links brought in one
turn of the loop is looked at together, subscriptions first: so a member that has been told that it
is in a room misses nothing that was published by whoever knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import BrokerUnavailable
from ..json import loads
from .crossing import room_of
from .frames import HEAD, Kind, frame_of_json
from .keeper import Keeper
from .link import Link
from .onward import NOT_TOLD
from .questions import Questions
from .splitting import count

if TYPE_CHECKING:
    from .nodes.main import Beyond

ANSWER_S = 2.0  # for workers to answer; one that is stopped does not …
SILENT_S = 3.0  # … and is not waited for any more after saying nothing for so long

_SUBSCRIBE, _UNSUBSCRIBE = int(Kind.SUBSCRIBE), int(Kind.UNSUBSCRIBE)


class Switchboard:
    """Knows which link has members of which room. For the loop's thread alone."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._started_at = self._loop.time()
        self._rooms: dict[bytes, list[Link]] = {}  # by name; those with members
        self._links: dict[Link, set[bytes]] = {}  # and the rooms of each
        self._heard: list[tuple[Link, list[bytes]]] = []
        self._again: set[tuple[Link, bytes]] = set()  # rooms left and joined again in this turn
        self._queued: set[Link] = set()  # those that publications were given to in this turn
        self.forwarded = 0  # frames, to all links
        self._dropped = 0  # frames that links missed which are gone
        self._questions: dict[Link, Questions] = {}  # to each worker
        self._numbers: dict[int, Link] = {}  # the link of the worker of a number
        self._described: dict[str, bytes] = {}  # what was told last about a room, for new workers
        self.keeper = Keeper(self._to_members, self.ask_others, ask_one=self.ask_one)
        self.beyond: Beyond | None = None  # other nodes, where there may be some
        self.former: Link | None = None  # to the process before this one, while that is there
        self.keeper.serves = lambda link: link in self._links or link is self.former
        self._handlers: dict[int, Callable[[Link, bytes], object]] = {
            Kind.PUBLISH: self._publish,
            Kind.ORDER: self.keeper.order,
            Kind.ASK: self.keeper.ask,
            Kind.TELL: self._tell,
            Kind.ANSWER: self._answered,
            Kind.PRESENCE: self.keeper.presence,
            Kind.UNSUBSCRIBE: self._unsubscribe,
            Kind.SUBSCRIBE: lambda link, frame: None,  # done before the others
        }

    def reach(self, beyond: Beyond) -> None:
        """Hand on to other nodes, too, and from them. Before workers serve."""
        self.beyond = self.keeper.beyond = self.keeper.attendance.beyond = beyond

    def add(self, link: Link, node: str = "", number: int = 0) -> None:
        """Take in a worker that serves, under a name that is not used again, and its number."""
        self._numbers[number] = link
        self._links[link] = set()
        self._questions[link] = Questions(link)
        self.keeper.attendance.add(link, node)
        for told in self._described.values():
            link.send_always(told)
        link.caught_up = partial(self._caught_up, link)

    def remove(self, link: Link) -> None:
        """A worker is gone, and its members with it."""
        if link in self._links:
            self._dropped += link.dropped
        self.keeper.attendance.remove(link)
        self.keeper.seats.gone(link)
        self.keeper.channels.gone(link)
        for number in [each for each, its in self._numbers.items() if its is link]:
            del self._numbers[number]
        if (questions := self._questions.pop(link, None)) is not None:
            questions.end()
        for name in self._links.pop(link, ()):
            self._leave(link, name)

    @property
    def dropped(self) -> int:
        """Frames that workers missed because too much waited for them."""
        return self._dropped + sum(link.dropped for link in self._links)

    @property
    def uptime(self) -> float:
        """Seconds since it was made."""
        return self._loop.time() - self._started_at

    @property
    def links(self) -> Collection[Link]:
        """Those of all workers that serve."""
        return self._links.keys()

    def links_of(self, room: str) -> list[Link]:
        """Those of the workers with members in a room."""
        return list(self._rooms.get(room.encode("utf-8", "surrogatepass"), ()))

    def count_rooms(self) -> int:
        """Count all rooms: those with members, and those with notes."""
        empty = (name.encode("utf-8", "surrogatepass") for name in self._described)
        return len(self._rooms) + sum(name not in self._rooms for name in empty)

    def settle(self) -> None:
        """Read what workers have said until now. Whoever acts next acts after it."""
        for link in list(self._links):
            link.read()
        self._hand_on()

    def heard(self, link: Link, frames: list[bytes]) -> None:
        """Take what a worker has said, to be handed on at the end of this turn."""
        if not self._heard:
            self._loop.call_soon(self._hand_on)
        self._heard.append((link, frames))

    def _hand_on(self) -> None:
        heard, self._heard = self._heard, []
        self._join_all(heard)
        try:
            for link, frames in heard:
                for each in frames:
                    self._handlers[each[4]](link, each)
        finally:
            self._flush()

    def _join_all(self, heard: Iterable[tuple[Link, Iterable[bytes]]]) -> None:
        """Do what subscribes, and note which rooms are not left though they were, before it."""
        left: set[tuple[Link, bytes]] = set()
        self._again = again = set()
        for link, frames in heard:
            for each in frames:
                if each[4] == _SUBSCRIBE:
                    name = each[HEAD.size :]
                    self._join(link, name)
                    if (link, name) in left:
                        again.add((link, name))
                elif each[4] == _UNSUBSCRIBE:
                    left.add(its := (link, each[HEAD.size :]))
                    again.discard(its)

    def _unsubscribe(self, link: Link, frame: bytes) -> None:
        name = frame[HEAD.size :]
        if name in self._links.get(link, ()) and (link, name) not in self._again:
            self._links[link].discard(name)
            self._leave(link, name)

    def _publish(self, source: Link, run: bytes) -> None:
        if self.beyond is not None:  # a successor is a node as well
            self.beyond.publish(run)
        elif self.keeper.onward is not None:
            self.keeper.onward.pass_on(run)
        name = room_of(run)
        if name is None:
            self._to_others(source, run)
            return
        for link in self._rooms.get(name, ()):
            if link is not source:
                self._queue(link, run)

    def from_beyond(self, run: bytes, room: bytes | None) -> None:
        """Hand on what another node has published: to those with members of a room, or to all."""
        for link in self._links if room is None else self._rooms.get(room, ()):
            if not self._queued:
                self._loop.call_soon(self._flush)
            self._queue(link, run)

    def _flush(self) -> None:
        while self._queued:
            self._queued.pop().flush_queued()

    def _to_members(self, name: bytes, frame: bytes) -> None:
        for link in self._rooms.get(name, ()):
            link.send(frame)
            self.forwarded += 1

    def _caught_up(self, link: Link) -> None:
        """A worker reads again after it has missed something: tell it where its rooms are."""
        for name in self._links.get(link, ()):
            self.keeper.tell_position(link, name)

    def tell_positions(self) -> None:
        """Tell all workers where their rooms are: the order is here."""
        for link in self._links:
            self._caught_up(link)

    def tell(self, call: str, *args: Any) -> None:
        """Have the hubs of all workers do something, by the name of a method."""
        self._tell(None, frame_of_json(Kind.TELL, [call, *args]))

    def described(self) -> list[list[Any]]:
        """Return what was told last about each room, as a call and its arguments."""
        return [loads(frame[HEAD.size :]) for frame in self._described.values()]

    def forget_notes(self, room: str) -> None:
        """Drop what was noted about a room that is gone."""
        self._described.pop(room, None)

    def _tell(self, source: Link | None, frame: bytes) -> None:
        call, *args = loads(frame[HEAD.size :])
        onward = self.keeper.onward
        if onward is None or call not in NOT_TOLD:
            if self.beyond is not None:  # a successor is a node as well
                self.beyond.nodes.tell(call, args)
            elif onward is not None:
                onward.pass_on(frame)
        self.tell_own(frame, source)

    def tell_own(self, frame: bytes, source: Link | None = None) -> None:
        """Have the workers do something, all but one."""
        call, *args = loads(frame[HEAD.size :])
        if call == "describe_room":
            self._described.pop(args[0], None)
            if args[1]:
                self._described[args[0]] = frame
        elif call == "delete_room":
            self._described.pop(args[0], None)
        for link in self._links:
            if link is not source:
                link.send_always(frame)
                self.forwarded += 1

    def _answered(self, link: Link, frame: bytes) -> None:
        if (questions := self._questions.get(link)) is not None:
            questions.heard(frame)

    async def ask_others(self, source: Link | None, call: str, *args: Any) -> list[Any]:
        """The answers of all workers but one; of those that do not answer in time there is none."""
        others = [link for link in self._questions if link is not source]
        return list((await self.ask(others, call, *args)).values())

    async def ask(self, links: Iterable[Link], call: str, *args: Any) -> dict[Link, Any]:
        """The answers of workers; of those that do not answer in time there is none."""
        asked = {}
        now = self._loop.time()
        for link in links:
            if (questions := self._questions.get(link)) is None or not link.has_room:
                continue
            answer = asyncio.ensure_future(questions.ask(call, *args))
            asked[answer] = link
        waited_for = [each for each, link in asked.items() if now - link.heard_at < SILENT_S]
        if waited_for:
            await asyncio.wait(waited_for, timeout=ANSWER_S)
        else:
            await asyncio.sleep(0)  # what is asked is on its way
        answers = {}
        for answer, link in asked.items():
            if not answer.done():
                answer.cancel()
            elif answer.exception() is None:
                answers[link] = answer.result()
        return answers

    async def ask_one(self, number: int, call: str, *args: Any) -> Any:
        """The answer of the worker of a number; None where there is none, or not in time."""
        link = self._numbers.get(number)
        questions = None if link is None else self._questions.get(link)
        if questions is None:
            return None
        try:
            async with asyncio.timeout(ANSWER_S):
                return await questions.ask(call, *args)
        except (TimeoutError, BrokerUnavailable):
            return None

    def _to_others(self, source: Link | None, frame: bytes) -> None:
        for link in self._links:
            if link is not source:
                self._queue(link, frame)

    def _queue(self, link: Link, run: bytes) -> None:
        link.queue(run)
        self._queued.add(link)
        self.forwarded += count(run)

    def _join(self, link: Link, name: bytes) -> None:
        known = self._links.get(link)
        if known is None:
            return
        if name not in known:
            known.add(name)
            if self.beyond is not None and name not in self._rooms:
                self.beyond.join(name)
            self._rooms.setdefault(name, []).append(link)
        self.keeper.tell_position(link, name)  # which it has forgotten with its last member

    def _leave(self, link: Link, name: bytes) -> None:
        links = self._rooms[name]
        links.remove(link)
        if not links:
            del self._rooms[name]
            if self.beyond is not None:
                self.beyond.leave(name)
