"""The members of a room, told from process to process.

A process is the only author of its own members. It tells others who came and went as a `Diff`, and
numbers these: `after` is the number of the diff before it about the same room. One that does not
follow what is known is a gap, and whoever finds one asks for a `Snapshot`. Numbers go up within a
process and are not used again, so an `after` of 0 begins a room anew whatever was known of it: a
process forgets a room in which it has nobody. Where the last of all diffs may get lost, an empty
one whose `after` is its own number, repeated now and then, shows the gap.

A process that has ended is gone once and for all: it comes back under another name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

MAX_HELD = 64  # diffs that wait for a snapshot; beyond it they are dropped, and it is asked again


class Entry(NamedTuple):
    """One member as others see it."""

    user: str | None
    text: bytes  # its JSON: id, user, info


class Diff(NamedTuple):
    """The members who came to a room in one process, or changed, and who left, by their ids."""

    seq: int  # from 1
    after: int
    joined: Mapping[str, Entry]
    left: tuple[str, ...]


class Snapshot(NamedTuple):
    """The members of a room in one process, after the diff of that number."""

    node: str
    seq: int
    members: Mapping[str, Entry]


Changes: TypeAlias = list[tuple[str, Entry | None]]  # None: that member has left


class Remote:
    """The members that another process has in a room, as far as they are known."""

    __slots__ = ("_held", "members", "seq")

    def __init__(self) -> None:
        self.seq: int | None = 0  # of the latest diff that is known; None: a snapshot is awaited
        self.members: dict[str, Entry] = {}
        self._held: list[Diff] = []

    def hear(self, diff: Diff) -> Changes:
        """Return what a diff changes: nothing, when it was heard before or waits for a snapshot.

        That has to be asked for where `seq` is None from now on.
        """
        if self.seq is None:
            if len(self._held) < MAX_HELD:
                self._held.append(diff)
            return []
        if diff.seq <= self.seq:
            return []
        if diff.after == 0:
            return self._become(diff.seq, diff.joined)
        if diff.after == self.seq:
            return self._apply(diff)
        self.seq, self._held = None, [diff]
        return []

    def take(self, snapshot: Snapshot) -> Changes:
        """Return what a snapshot changes, with the diffs behind it that have come already.

        Where these have a hole, `seq` is None, and a newer snapshot has to be asked for.
        """
        if self.seq is not None and snapshot.seq < self.seq:
            return []
        held, self._held = self._held, []
        changes = self._become(snapshot.seq, snapshot.members)
        for diff in sorted(held, key=lambda diff: diff.seq):
            changes += self.hear(diff)
        return changes

    def _become(self, seq: int, members: Mapping[str, Entry]) -> Changes:
        before, self.members, self.seq = self.members, dict(members), seq
        changes: Changes = [(id, None) for id in before if id not in members]
        changes += [(id, entry) for id, entry in members.items() if before.get(id) != entry]
        return changes

    def _apply(self, diff: Diff) -> Changes:
        self.seq = diff.seq
        changes: Changes = [(id, None) for id in diff.left if self.members.pop(id, None)]
        self.members.update(diff.joined)
        return changes + list(diff.joined.items())
