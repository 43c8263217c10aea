"""A room: members, and one frame for all of them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from ..errors import RoomFull
from ..wire import (
    NOBODY,
    OPEN,
    PENDING,
    SendResult,
)
from .connection import Connection
from .frames import Frame


class Room:
    """A set of connections that receive the same frames, in the same order.

    `limit` is the greatest number of members, 0 for none.
    """

    __slots__ = ("limit", "members")

    def __init__(self, limit: int = 0) -> None:
        self.limit = limit
        self.members: dict[str, Connection] = {}  # by id, in the order of joining

    def __len__(self) -> int:
        return len(self.members)

    def __contains__(self, conn: object) -> bool:
        return isinstance(conn, Connection) and self.members.get(conn.id) is conn

    def __iter__(self) -> Iterator[Connection]:
        """The members as they are now; the room may change meanwhile."""
        return iter(list(self.members.values()))

    def add(self, conn: Connection) -> None:
        """Add a member; adding it twice changes nothing. Raises RoomFull at the limit.

        From another thread the call is handed over.
        """
        if conn._turn.hand_over(self.add, conn):
            return
        if conn.id not in self.members:
            if self.limit and len(self.members) >= self.limit:
                raise RoomFull("", self.limit)
            self.members[conn.id] = conn

    def discard(self, conn: Connection) -> None:
        """Remove a member, if it is one. From another thread the call is handed over."""
        if conn._turn.hand_over(self.discard, conn):
            return
        self.members.pop(conn.id, None)

    def publish(self, frame: Frame, exclude: str | Iterable[str] | None = None) -> SendResult:
        """Give every open member but those with an excluded id a reference to `frame`.

        Runs no user code, so the members cannot change meanwhile. Members that are closing are
        passed over and not counted. From another thread the call is handed over: it is pending.
        """
        counts = [0, 0, 0]
        started = time.perf_counter()
        excluded = () if exclude is None else (exclude,) if isinstance(exclude, str) else exclude
        skipped = frozenset(excluded)
        for conn in self.members.values():
            if conn._turn.hand_over(self.publish, frame, skipped):
                return PENDING
            break
        for name, conn in self.members.items():
            if conn._phase == OPEN and name not in skipped:
                if not any(counts):
                    conn._turn._displaced = 0
                counts[conn._push_or_cut(frame)] += 1
        if not any(counts):
            return NOBODY
        conn._turn.counters.broadcast_seconds.observe(time.perf_counter() - started)
        return SendResult(*counts, displaced=conn._turn._displaced)
