"""A node of several workers: what its main process says to other nodes for them, and they to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ...logs import SERVER, log
from ..attendance import ASK, DIFF, GONE, SNAPSHOT, said
from ..crossing import pack, room_of
from ..frames import Kind, frame_of_json
from ..presence import Diff, Snapshot
from .bus import Bus
from .nodes import Nodes
from .peers import Times
from .receiving import frames_of, publications
from .subjects import PREFIX, Subjects

if TYPE_CHECKING:
    from ..attendance import Attendance
    from ..switchboard import Switchboard


class Beyond:
    """The other nodes, to a switchboard; and a `Here` to them. For the loop's thread alone."""

    def __init__(
        self, switchboard: Switchboard, bus: Bus, prefix: str = PREFIX, times: Times | None = None
    ) -> None:
        self._board = switchboard
        self.nodes = Nodes(bus, self, Subjects(prefix), times)
        self.is_started = False
        self._wanted: set[tuple[str, str]] = set()  # rooms and workers whose snapshot others want

    @property
    def _attendance(self) -> Attendance:
        return self._board.keeper.attendance

    async def start(self) -> None:
        """Join the other nodes, or begin to wait for the broker. Raises BrokerRefused."""
        await self.nodes.start()
        self.is_started = True

    async def close(self) -> None:
        """Leave."""
        if self.is_started:
            await self.nodes.close()

    def remember(self, terms: Callable[[str], Any]) -> None:
        """Nothing: this keeps nothing of rooms."""

    def seek_lease(self, changed: Callable[[bool], object]) -> None:
        """Nothing: what runs once on all machines needs a broker that keeps something."""

    def figures(self) -> dict[str, int]:
        """Return whether the broker is up, and what was lost on the way to it or was no message."""
        return {
            "broker_up": int(self.nodes.is_up),
            "broker_lost": self.nodes.bus.dropped,
            "broker_invalid": self.nodes.bad,
        }

    # From here to others.

    def join(self, room: bytes) -> None:
        """A worker has the first member of a room."""
        self.nodes.rooms.add(_text(room))

    def leave(self, room: bytes) -> None:
        """No worker has members of a room any more."""
        self.nodes.rooms.discard(_text(room), self.nodes.time())

    def publish(self, run: bytes) -> None:
        """Send what a worker has published: one publication, or several for one room."""
        room = room_of(run)
        name = None if room is None else _text(room)
        for piece in (run,) if self._fits(run) else frames_of(run):
            if self._fits(piece):
                self.nodes.publish(piece, name)
            else:
                self.nodes.bad += 1
                log(SERVER, logging.ERROR, "too large for other nodes", bytes=len(piece))

    def _fits(self, piece: bytes) -> bool:
        try:
            self.nodes.check(piece)
        except ValueError:
            return False
        return True

    def publish_own(self, publication: Any) -> None:
        """Send what main itself publishes. Raises ValueError for what is too large."""
        packed = pack(publication)
        if packed is not None:
            self.nodes.check(packed)
            self.publish(packed)

    # From others to here.

    def deliver(self, frame: bytes, room: str | None) -> None:
        """Hand a publication of another node on to the workers concerned."""
        for _ in publications(frame, room):
            pass  # each is checked before any is handed on
        self._board.from_beyond(frame, None if room is None else _bytes(room))

    def obey(self, call: str, args: list[Any]) -> None:
        """Have all workers do what another hub has done."""
        if not isinstance(call, str) or not args:
            raise ValueError("no order")
        self._board.tell_own(frame_of_json(Kind.TELL, [call, *args]))

    async def answer(self, call: str, args: list[Any]) -> Any:
        """Answer how many there are, and what is for a worker of a number."""
        if call == "count":
            (room,) = args
            return sum(await self._board.ask_others(None, "count", room))
        if call == "ask worker":
            number, asked, more = args
            if asked == "take":  # what other nodes may ask of a worker
                return await self._board.ask_one(number, asked, *more)
        return None

    def numbers(self, rooms: list[str]) -> list[tuple[str, str, int]]:
        """Which diff was the latest of each worker with members."""
        return self._attendance.numbers(rooms)

    async def snapshots(self, room: str) -> list[Snapshot]:
        """Return who is in a room here, by worker; what they have not told yet they tell before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.nodes.times.answer / 2):
                await self._board.ask_others(None, "tell presence", room)
        return self._attendance.snapshots(room)

    def want(self, room: str, author: str) -> None:
        """See that others get a snapshot of a worker."""
        link = self._attendance.link_of(author)
        if link is None:
            self.nodes.attending.tell_gone(author)
            return
        for each in self._attendance.snapshots(room):
            if each.node == author:
                self.nodes.attending.tell_snapshot(room, author, each)
                return
        self._wanted.add((room, author))
        link.send_always(said(ASK, room))

    def snapshot(self, room: str, snapshot: Snapshot) -> None:
        """A worker tells who is there: others may have asked."""
        if (room, snapshot.node) in self._wanted:
            self._wanted.discard((room, snapshot.node))
            self.nodes.attending.tell_snapshot(room, snapshot.node, snapshot)

    def heard(self, room: str, author: str, diff: Diff) -> None:
        """Tell the workers that follow a room who came and went elsewhere."""
        self._attendance.tell_followers(None, said(DIFF, room, author, diff), room)

    def took(self, room: str, snapshot: Snapshot) -> None:
        """A snapshot has come: for the workers that follow the room."""
        self._attendance.tell_followers(None, said(SNAPSHOT, room, snapshot), room)

    def gone(self, author: str) -> None:
        """An author elsewhere has ended."""
        for link in self._board.links:
            link.send_always(said(GONE, author))

    def met(self, node: bytes) -> None:
        """Tell a new node what was noted about rooms; one of those who know does."""
        others = [each for each in self.nodes.peers if each != node]
        if self.nodes.id <= min(others, default=self.nodes.id):
            for call, *args in self._board.described():
                self.nodes.tell(call, args)

    def changed(self, state: str) -> None:
        """Nothing: whoever asks is told the state."""


def _text(room: bytes) -> str:
    return room.decode("utf-8", "surrogatepass")


def _bytes(room: str) -> bytes:
    return room.encode("utf-8", "surrogatepass")
