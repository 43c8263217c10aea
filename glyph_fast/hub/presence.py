"""The members of rooms with presence: those in this process, and by the broker those in others.

Changes are told `BATCH_S` after the first of them, so those who follow a room get at most ten
messages a second of it, whoever comes and goes. One timer serves all rooms.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import TimerHandle, events
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..broker.presence import Changes, Diff, Entry, Remote, Snapshot
from .room_presence import PresenceStats, Present, RoomPresence, entry_of, present_of
from .users import user_of

if TYPE_CHECKING:
    from ..interfaces import Broker

BATCH_S = 0.1
MAX_GONE = 10_000  # processes that have ended and are remembered


class Presence:
    """The rooms in which somebody of this process is, or which somebody here follows.

    For the loop's thread. `broker` tells other processes of the members here, and this one of
    theirs: by `heard`, `took` and `gone`.
    """

    __slots__ = ("_broker", "_dirty", "_gone", "_seq", "_timer", "clock", "rooms")

    def __init__(self, broker: Broker, clock: Callable[[], float] = time.monotonic) -> None:
        self._broker = broker
        self.clock = clock
        self.rooms: dict[str, RoomPresence] = {}
        self._dirty: dict[str, RoomPresence] = {}  # those that have changed since the last batch
        self._timer: TimerHandle | None = None
        self._seq = 0  # of the latest diff of any room
        self._gone: dict[str, None] = {}  # processes that have ended, the latest last
        broker.attach_presence(self)

    def __len__(self) -> int:
        """The members here, in all rooms."""
        return sum(len(room.own) for room in self.rooms.values())

    # Members here.

    def joined(self, conn: Any, name: str) -> None:
        """A connection has become a member, or shows another info."""
        room = self._room(name)
        room.set_own(conn.id, entry_of(conn.id, user_of(conn.identity), conn._info))
        self._touch(room)

    def left(self, conn: Any, name: str) -> None:
        """A connection is no member any more, and follows no longer."""
        room = self.rooms.get(name)
        if room is not None:
            room.followers.discard(conn)
            room.watchers.discard(conn)
            room.set_own(conn.id, None)
            self._touch(room)

    def _room(self, name: str) -> RoomPresence:
        room = self.rooms.get(name)
        if room is None:
            room = self.rooms[name] = RoomPresence(name)
        return room

    # Asking.

    async def state(self, name: str) -> dict[str, bytes]:
        """Return who is in a room: members of an object, which are JSON."""
        room = self._room(name)
        await self._complete(room)
        self._touch(room)
        return room.state()

    async def follow(self, conn: Any, name: str) -> Callable[[], dict[str, bytes]]:
        """Be ready to tell a member of all changes.

        What is returned begins with that, and says who is there: as `state`.
        """
        room = self._room(name)
        await self._complete(room)

        def begin() -> dict[str, bytes]:
            room = self._room(name)
            room.followers.add(conn)
            # Since then a batch may have found that nobody follows, and let go of the others. The
            # follower is told of them as of any who come.
            self._begin_completing(room)
            self._touch(room)
            return room.state()

        return begin

    async def watch(self, conn: Any, name: str) -> None:
        """Tell a member of each who comes and goes, itself first; its format says how.

        Of a room with more members than are listed nobody is told anything.
        """
        room = self._room(name)
        await self._complete(room)
        if conn.id not in room.own:
            return
        room.watch(conn)
        self._touch(room)

    async def present(self, name: str) -> list[Present]:
        """List who is in a room, in all processes; of one process those first who came first."""
        return [present_of(entry) for entry in (await self._members(name)).values()]

    async def stats(self, name: str) -> PresenceStats:
        """Count who is in a room, in all processes."""
        room = RoomPresence(name)
        room.apply(list((await self._members(name)).items()))
        return room.stats

    async def _members(self, name: str) -> Mapping[str, Entry]:
        room = self.rooms.get(name)
        if room is not None and room.is_complete:
            return room.members
        others = await self._broker.gather_presence(name, follow=False)
        room = self.rooms.get(name)  # now, that is: who was here before may have left
        members = {} if room is None else dict(room.own)
        for snapshot in others:
            members |= snapshot.members
        return members

    # Batches.

    def _touch(self, room: RoomPresence) -> None:
        self._dirty[room.name] = room
        if self._timer is None and (loop := events._get_running_loop()) is not None:
            self._timer = loop.call_later(BATCH_S, self.tell)

    def tell(self) -> None:
        """Tell followers and other processes what has changed. At the end of a batch."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        dirty, self._dirty = self._dirty, {}
        now = self.clock()
        for room in dirty.values():
            self._tell_processes(room)
            if not room.is_followed:
                self._forget_others(room)
            room.tell_watchers()
            frame = room.next_frame(now)
            if frame is not None:
                room.followers.publish(frame)
            if room.wants_list:
                self._touch(room)
            elif not room.members and not room.is_followed and room.gathering is None:
                self.rooms.pop(room.name, None)

    # Other processes.

    def _tell_processes(self, room: RoomPresence) -> None:
        if (diff := room.next_diff(self._seq + 1)) is not None:
            self._seq += 1
            self._broker.tell_presence(room.name, diff)

    async def _complete(self, room: RoomPresence) -> None:
        """See that the members in other processes are known, now and from now on."""
        self._begin_completing(room)
        while (gathering := room.gathering) is not None and not room.is_complete:
            await asyncio.shield(gathering)
            self._begin_completing(room)  # a batch may have come first, and let go of them again

    def _begin_completing(self, room: RoomPresence) -> None:
        if self._broker.is_alone:
            room.is_complete = True
        elif not room.is_complete and room.gathering is None:
            gathering = room.gathering = asyncio.ensure_future(self._gather(room))
            gathering.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _gather(self, room: RoomPresence) -> None:
        try:
            for snapshot in await self._broker.gather_presence(room.name, follow=True):
                self.took(room.name, snapshot)
            room.is_complete = True
            for node, remote in room.others.items():
                if remote.seq is None:  # it has begun to speak meanwhile
                    self._broker.ask_presence(room.name, node)
        finally:
            room.gathering = None
            self._touch(room)

    def _forget_others(self, room: RoomPresence) -> None:
        """Nobody here follows the room any more."""
        if room.is_complete:
            room.is_complete = False
            self._broker.unfollow_presence(room.name)
            for remote in room.others.values():
                room.apply([(id, None) for id in remote.members])
            room.others.clear()

    def heard(self, name: str, node: str, diff: Diff) -> None:
        """A process tells of its members in a room that is followed here."""
        room = self.rooms.get(name)
        if room is None or node in self._gone or not (room.is_complete or room.gathering):
            return
        remote = room.others.get(node)
        if remote is None:
            remote = room.others[node] = Remote()
            if not room.is_complete:
                remote.seq = None  # its snapshot is on the way
        was_waiting = remote.seq is None
        self._apply(room, remote.hear(diff))
        if remote.seq is None and not was_waiting:
            self._broker.ask_presence(name, node)

    def took(self, name: str, snapshot: Snapshot) -> None:
        """A snapshot has come that was asked for."""
        room = self.rooms.get(name)
        if room is None or snapshot.node in self._gone:
            return
        if not (room.is_complete or room.gathering):
            return
        remote = room.others.setdefault(snapshot.node, Remote())
        self._apply(room, remote.take(snapshot))
        if remote.seq is None:
            self._broker.ask_presence(name, snapshot.node)

    def _apply(self, room: RoomPresence, changes: Changes) -> None:
        if changes:
            room.apply(changes)
            self._touch(room)

    def gone(self, node: str) -> None:
        """A process has ended: its members leave, and what still comes from it is late."""
        self._gone[node] = None
        if len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]
        for room in self.rooms.values():
            remote = room.others.pop(node, None)
            if remote is not None:
                # One that was only taken for dead may have told them under its new name already.
                others = [other.members for other in room.others.values()]
                left = [id for id in remote.members if not any(id in each for each in others)]
                self._apply(room, [(id, None) for id in left])

    def own(self, name: str) -> tuple[int, Mapping[str, Entry]]:
        """The members here, for a snapshot, and the number of the diff that they are after."""
        room = self.rooms.get(name)
        if room is None:
            return self._seq, {}
        self._tell_processes(room)
        # One that has told nothing since it was made begins anew with its first diff.
        return room.seq or self._seq, dict(room.own)
