"""The broker of a process that is a node: its own members at once, those elsewhere by a bus."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from ...dialects.publication import ROOM
from ...interfaces import PresenceOfProcess
from ...logs import SERVER, log
from ...wire import SendResult
from ..base import BaseBroker
from ..crossing import pack
from ..presence import Diff, Snapshot
from ..workers import and_elsewhere
from .bus import Bus
from .nodes import Nodes
from .peers import Times
from .receiving import publications
from .subjects import PREFIX, Subjects


class NodesBroker(BaseBroker):
    """Publishes here and, by a bus, on the other nodes; for all but what rooms remember.

    While the bus is away members here get what is published here, and what is for others is
    dropped and counted.
    """

    __slots__ = ("_described", "_presence", "count_here", "nodes")

    is_alone = False
    has_nodes = True

    def __init__(self, bus: Bus, prefix: str = PREFIX, times: Times | None = None) -> None:
        super().__init__()
        self._described: dict[str, list[Any]] = {}  # what was noted last about a room
        self._presence: PresenceOfProcess | None = None
        self.count_here: Callable[[str | None], int] = lambda room: 0
        self.nodes = Nodes(bus, OneProcess(self), Subjects(prefix), times)

    async def start(self) -> None:
        """Join the other nodes; where the broker cannot be reached it is waited for meanwhile.

        Raises BrokerRefused.
        """
        await self.nodes.start()

    async def close(self) -> None:
        """Leave."""
        await self.nodes.close()

    def seek_lease(self, changed: Callable[[bool], object]) -> None:
        """Nothing: of such a broker nobody leads."""

    @property
    def answers(self) -> dict[str, Callable[..., Any]]:
        """Return the answers to what other nodes ask, by name."""
        return self.nodes.answers

    @property
    def state(self) -> str:  # type: ignore[override]
        """`waiting` until the broker was first reached, then `up` or `lost`."""
        return self.nodes.state

    def subscribe(self, room: str) -> None:
        """Listen to a room at the broker."""
        self.nodes.rooms.add(room)

    def unsubscribe(self, room: str) -> None:
        """Do so no more, unless somebody comes soon."""
        self.nodes.rooms.discard(room, self.nodes.time())

    def publish(self, publication: Any) -> SendResult:
        """Deliver to the members here, and send it to those elsewhere.

        Raises ValueError for what is larger than the broker takes.
        """
        packed = pack(publication)
        if packed is None:
            return self.deliver(publication)
        self.nodes.check(packed)
        result = self.deliver(publication)
        self.nodes.publish(packed, publication.name if publication.kind == ROOM else None)
        return and_elsewhere(result)

    def tell(self, call: str, *args: Any) -> None:
        """Have the hubs of the other nodes do something, by the name of a method."""
        try:
            self.nodes.tell(call, list(args))
        except (TypeError, ValueError) as exc:  # a room's metadata may be any object
            log(SERVER, logging.WARNING, "not for other nodes", call=call, reason=str(exc))
            return
        self.note(call, list(args))

    def note(self, call: str, args: list[Any]) -> None:
        """Keep what new nodes have to be told."""
        if call == "describe_room":
            self._described.pop(args[0], None)
            if args[1]:
                self._described[args[0]] = args
        elif call == "delete_room":
            self._described.pop(args[0], None)

    async def count(self, room: str | None) -> int:
        """Count the connections, or members of a room, that other nodes have."""
        answers = await self.nodes.ask("count", room)
        return sum(each for each in answers if type(each) is int)

    async def ask_worker(self, number: int, call: str, *args: Any) -> Any:
        """The answer of the worker of a number on whatever node has one; None where none has."""
        answers = await self.nodes.ask("ask worker", number, call, list(args))
        known = [each for each in answers if each is not None]
        return next((each for each in known if each != "gone"), known[0] if known else None)

    # Who is in rooms.

    def attach_presence(self, presence: PresenceOfProcess) -> None:
        """Tell `presence` of members elsewhere, and others of those that it knows here."""
        self._presence = presence

    def tell_presence(self, room: str, diff: Diff) -> None:
        """Tell other nodes who came and went here."""
        self.nodes.attending.tell(room, "", diff)

    async def gather_presence(self, room: str, *, follow: bool) -> Sequence[Snapshot]:
        """Return who is there on the other nodes."""
        return await self.nodes.attending.gather(room, follow=follow)

    def unfollow_presence(self, room: str) -> None:
        """Nobody here follows a room any more."""
        self.nodes.attending.unfollow(room)

    def ask_presence(self, room: str, node: str) -> None:
        """Have a snapshot sent of the members that a node has in a room."""
        self.nodes.attending.ask(room, node)

    def changed(self, state: str) -> None:
        """The broker is up, or lost. For brokers that have more to do then."""

    def figures(self) -> dict[str, int]:
        """Return whether the broker is up, and what was lost on the way to it or was no message."""
        return {
            **super().figures(),
            "broker_up": int(self.nodes.is_up),
            "broker_lost": self.nodes.bus.dropped,
            "broker_invalid": self.nodes.bad,
        }


class OneProcess:
    """The part that a node without workers does for the others; a `Here`."""

    def __init__(self, broker: NodesBroker) -> None:
        self._broker = broker

    def deliver(self, frame: bytes, room: str | None) -> None:
        """Give publications of another node to the members here."""
        for each in publications(frame, room):
            self._broker.deliver(each)

    def obey(self, call: str, args: list[Any]) -> None:
        """Do what another hub has done."""
        self._broker.obey(call, args)
        self._broker.note(call, args)

    def answer(self, call: str, args: list[Any]) -> Any:
        """Answer how many there are, and what is for the worker of the number 0: this process."""
        if call == "count":
            (room,) = args
            return self._broker.count_here(room)
        number, asked, more = args
        if call == "ask worker" and number == 0:
            return self._broker.answers[asked](*more)
        return None

    def numbers(self, rooms: list[str]) -> list[tuple[str, str, int]]:
        """Which diff was the latest, of rooms with members here."""
        presence = self._broker._presence
        if presence is None:
            return []
        found = [(room, *presence.own(room)) for room in rooms]
        return [(room, "", seq) for room, seq, members in found if members]

    def snapshots(self, room: str) -> list[Snapshot]:
        """Return who is in a room here."""
        presence = self._broker._presence
        if presence is None:
            return []
        seq, members = presence.own(room)
        return [Snapshot("", seq, members)] if members else []

    def want(self, room: str, author: str) -> None:
        """Tell who is in a room here, be it nobody."""
        presence = self._broker._presence
        if presence is not None and not author:
            snapshot = Snapshot("", *presence.own(room))
            self._broker.nodes.attending.tell_snapshot(room, "", snapshot)

    def heard(self, room: str, author: str, diff: Diff) -> None:
        """Hear who came and went elsewhere."""
        if self._broker._presence is not None:
            self._broker._presence.heard(room, author, diff)

    def took(self, room: str, snapshot: Snapshot) -> None:
        """A snapshot has come."""
        if self._broker._presence is not None:
            self._broker._presence.took(room, snapshot)

    def gone(self, author: str) -> None:
        """An author has ended."""
        if self._broker._presence is not None:
            self._broker._presence.gone(author)

    def met(self, node: bytes) -> None:
        """Tell a new node what was noted about rooms; one of those who know does."""
        nodes = self._broker.nodes
        others = [each for each in nodes.peers if each != node]
        if nodes.id <= min(others, default=nodes.id):
            for args in self._broker._described.values():
                nodes.tell("describe_room", args)

    def changed(self, state: str) -> None:
        """The broker is up, or lost."""
        self._broker.changed(state)
