"""The members of one room, and the frames by which its followers hear of changes.

What changes is gathered in batches, and then told in one frame, in which each member stands at most
once. In a large room that would still be much for everybody, so beyond `LISTED` members, or
`LISTED_BYTES` of them, only their number is told.
"""

from __future__ import annotations

from asyncio import Future
from collections import Counter
from typing import Any, NamedTuple

from .. import core
from ..broker.presence import Changes, Diff, Entry, Remote
from ..json import dumps, loads
from .members import Members

LISTED = 1000  # members
LISTED_BYTES = 1024 * 1024  # of their JSON
RELIST_S = 10.0  # at least, between two pushes of the whole list of a room that has shrunk


class Present(NamedTuple):
    """A member of a room: its connection's id, its user (None where that is no text), its info."""

    id: str
    user: str | None
    info: Any


class PresenceStats(NamedTuple):
    """The number of connections that are members of a room, and of the users they are of.

    A connection that is nobody's counts as a user of its own.
    """

    clients: int
    users: int


def entry_of(id: str, user: object, info: bytes | None) -> Entry:
    """A member of this process as others see it."""
    shown = user if isinstance(user, str) else None
    text = b'{"id":"%b","user":%b,"info":%b}' % (
        id.encode(), b"null" if shown is None else dumps(shown), info or b"null"
    )  # fmt: skip
    return Entry(shown, text)


def present_of(entry: Entry) -> Present:
    """A member as a program sees it."""
    return Present(**loads(entry.text))


class RoomPresence:
    """The members of one room, and what those who follow it have been told.

    `members` are those of all processes, `own` those of this one, in the order of coming.
    """

    __slots__ = (
        "_anonymous", "_changed", "_own_changed", "_relist_at", "_size", "_told", "_users",
        "_was_read", "followers", "gathering", "is_complete", "is_listed", "members", "name",
        "others", "own", "seq", "version", "watchers",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[str, Entry] = {}
        self.own: dict[str, Entry] = {}
        self.others: dict[str, Remote] = {}  # by node; while somebody here follows
        self.is_complete = False  # whether all of those are known
        self.gathering: Future[None] | None = None  # while they are being asked for
        self.followers = core.Room()
        self.watchers = Members()
        self.version = 0  # of what followers were told
        self.is_listed = True  # whether they know all members, and not only how many there are
        self._size = 0  # bytes of the members' JSON
        self._users: Counter[str] = Counter()
        self._anonymous = 0
        self._changed: dict[str, Entry | None] = {}  # what was told before; None: nothing
        self._was_read = False  # somebody has begun to follow within this batch
        self._told: PresenceStats | None = None  # the numbers that were told last
        self._relist_at = 0.0  # not before
        self._own_changed: dict[str, Entry | None] = {}
        self.seq = 0  # of the latest diff that other processes were told

    @property
    def is_followed(self) -> bool:
        """Return whether anybody here is told of changes."""
        return bool(self.followers) or bool(self.watchers.groups)

    @property
    def stats(self) -> PresenceStats:
        """The number of members, and of their users."""
        return PresenceStats(len(self.members), len(self._users) + self._anonymous)

    # Changes.

    def set_own(self, id: str, entry: Entry | None) -> None:
        """One of this process has come, shows another info, or has left."""
        self._own_changed.setdefault(id, self.own.get(id))
        if entry is None:
            self.own.pop(id, None)
        else:
            self.own[id] = entry
        self._set(id, entry)

    def apply(self, changes: Changes) -> None:
        """Apply changes that another process has told."""
        for id, entry in changes:
            self._set(id, entry)

    def _set(self, id: str, entry: Entry | None) -> None:
        before = self.members.get(id)
        if self.is_followed:
            self._changed.setdefault(id, before)
        if before is not None:
            self._count(before, -1)
        if entry is not None:
            self._count(entry, 1)
            self.members[id] = entry
        elif before is not None:
            del self.members[id]
            if self._was_read and self._changed.get(id, before) is None:
                self._changed[id] = before  # who began to follow meanwhile has seen it

    def _count(self, entry: Entry, n: int) -> None:
        self._size += n * len(entry.text)
        if entry.user is None:
            self._anonymous += n
        else:
            self._users[entry.user] += n
            if not self._users[entry.user]:
                del self._users[entry.user]

    # What watchers are told: of each by itself, in the words of their format.

    def watch(self, conn: Any) -> None:
        """Tell a member of this process of each who comes and goes, itself first."""
        if self.watchers.has(conn):
            return
        self.watchers.add(conn)
        before = self._changed.get(conn.id, self)
        if before is not None and self._may_list():  # else it is about to be told
            alone = Members()
            alone.add(conn)
            self._say(alone, "join", self.own[conn.id])

    def tell_watchers(self) -> None:
        """Tell what has changed since the last batch."""
        if not self.watchers.groups or not self._may_list():
            return
        for id, before in self._changed.items():
            entry = self.members.get(id)
            if entry is None and before is not None:
                self._say(self.watchers, "leave", before)
            elif entry is not None and before is None:
                self._say(self.watchers, "join", entry)

    def _say(self, watchers: Members, word: str, entry: Entry) -> None:
        for group in watchers.groups:
            format: Any = group.format
            group.publish(format.presence(word, self.name, entry))

    # What is told.

    def state(self) -> dict[str, bytes]:
        """Return the state for a new follower: members of an object, which are JSON."""
        self._was_read = True
        if not self._may_list() or not self.is_listed:
            self.is_listed = False  # whoever gets this has no list, and needs one before changes
            clients, users = self.stats
            return {
                "version": b"%d" % self.version,
                "clients": b"%d" % clients,
                "users": b"%d" % users,
            }
        return {"version": b"%d" % self.version, "members": self._list()}

    def next_frame(self, now: float) -> core.Frame | None:
        """Return what followers are told at the end of a batch; None where nothing is new."""
        changed, self._changed = self._changed, {}
        was_read, self._was_read = self._was_read, False
        if not self.followers:
            self.is_listed, self._told = self._may_list(), None
            return None
        if not self.is_listed or not self._may_list():
            return self._next_numbers(now)
        joined, left = [], []
        for id, before in changed.items():
            entry = self.members.get(id)
            if entry is None:
                if before is not None:
                    left.append(before.text)
            elif entry != before or was_read:
                joined.append(entry.text)
        if not joined and not left:
            return None
        return self._frame(b'"joined":[%b],"left":[%b]' % (b",".join(joined), b",".join(left)))

    def _next_numbers(self, now: float) -> core.Frame | None:
        if self._may_list() and now >= self._relist_at:
            self.is_listed, self._told = True, None
            self._relist_at = now + RELIST_S
            return self._frame(b'"members":%b,%b' % (self._list(), self._numbers()))
        self.is_listed = False
        if self.stats == self._told:
            return None
        self._told = self.stats
        return self._frame(self._numbers())

    @property
    def wants_list(self) -> bool:
        """Return whether followers are to get the list as soon as it may be sent again."""
        return bool(self.followers) and not self.is_listed and self._may_list()

    def _may_list(self) -> bool:
        return len(self.members) <= LISTED and self._size <= LISTED_BYTES

    def _list(self) -> bytes:
        return b"[%b]" % b",".join([entry.text for entry in self.members.values()])

    def _numbers(self) -> bytes:
        return b'"clients":%d,"users":%d' % self.stats

    def _frame(self, data: bytes) -> core.Frame:
        self.version += 1
        text = b'{"type":"presence","room":%b,"data":{"version":%d,%b}}' % (
            dumps(self.name), self.version, data
        )  # fmt: skip
        return core.Frame(text.decode())

    # What other processes are told.

    def next_diff(self, seq: int) -> Diff | None:
        """Return what has changed of this process's own since the last diff; None for nothing."""
        changed, self._own_changed = self._own_changed, {}
        joined, left = {}, []
        for id, before in changed.items():
            entry = self.own.get(id)
            if entry is None:
                if before is not None:
                    left.append(id)
            elif entry != before:
                joined[id] = entry
        if not joined and not left:
            return None
        diff = Diff(seq, self.seq, joined, tuple(left))
        self.seq = seq
        return diff
