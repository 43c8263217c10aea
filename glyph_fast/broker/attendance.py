"""The members of rooms, as main knows them: what each worker tells of its own.

A worker tells main of every change, in order and without loss; those who follow a room hear it from
main, which also answers who is there. What a follower misses it finds out by the numbers of the
diffs, and asks main again. A worker that is gone leaves everywhere at once.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from .frames import HEAD, Kind, frame
from .link import Link
from .presence import Diff, Remote, Snapshot
from .questions import own_classes

if TYPE_CHECKING:
    from .nodes.main import Beyond

# What a frame PRESENCE says: a word, the room, and what goes with it.
DIFF = "diff"  # to main: a Diff; from main: the node and a Diff
SNAPSHOT = "snapshot"  # a Snapshot
ASK = "ask"  # to main: the node whose snapshot is wanted; from main: nothing, it is your own
UNFOLLOW = "unfollow"  # to main
GONE = "gone"  # from main: in the place of the room stands the node


def said(word: str, room: str, *more: Any) -> bytes:
    """The frame that says something about who is in a room."""
    return frame(Kind.PRESENCE, pickle.dumps((word, room, more), protocol=5))


def read_said(frame: bytes) -> tuple[str, str, tuple[Any, ...]]:
    """Read what such a frame says. Raises pickle.UnpicklingError."""
    word, room, more = own_classes(frame[HEAD.size :])
    return word, room, more


class Attendance:
    """The members of all workers, by room and worker. For the loop's thread alone."""

    def __init__(self) -> None:
        self._rooms: dict[str, dict[Link, Remote]] = {}
        self._followers: dict[str, set[Link]] = {}
        self._nodes: dict[Link, str] = {}  # what each is called
        self.beyond: Beyond | None = None  # other nodes, where there may be some

    def add(self, link: Link, node: str) -> None:
        """Take in a worker, by a name that is not used again."""
        self._nodes[link] = node

    def remove(self, link: Link) -> None:
        """A worker is gone: its members leave, once."""
        node = self._nodes.pop(link, None)
        if node is None:
            return
        for room, remotes in list(self._rooms.items()):
            if remotes.pop(link, None) is not None and not remotes:
                del self._rooms[room]
        for room in list(self._followers):
            self._unfollow(link, room)
        for other in self._nodes:
            other.send_always(said(GONE, node))
        if self.beyond is not None:
            self.beyond.nodes.attending.tell_gone(node)

    def gather(self, link: Link, room: str, follow: bool) -> list[Snapshot]:
        """Return who is in the other workers; with `follow` it hears of changes from now on."""
        if follow and link in self._nodes:
            self._followers.setdefault(room, set()).add(link)
        return [
            Snapshot(self._nodes[other], remote.seq, remote.members)
            for other, remote in self._rooms.get(room, {}).items()
            if other is not link and remote.seq is not None
        ]

    def heard(self, link: Link, frame: bytes) -> None:
        """Take what a worker says. Raises pickle.UnpicklingError."""
        word, room, more = read_said(frame)
        if link not in self._nodes:
            return
        if word == DIFF:
            self._diff(link, room, *more)
        elif word == SNAPSHOT:
            self._snapshot(link, room, *more)
        elif word == ASK:
            self._asked(link, room, *more)
        elif word == UNFOLLOW:
            self._unfollow(link, room)

    def _diff(self, link: Link, room: str, diff: Diff) -> None:
        remotes = self._rooms.setdefault(room, {})
        remote = remotes.setdefault(link, Remote())
        remote.hear(diff)
        if remote.seq is None:  # the room was forgotten here while nobody was in it
            link.send_always(said(ASK, room))
        self._forget_empty(link, room, remote)
        self.tell_followers(link, said(DIFF, room, self._nodes[link], diff), room)
        if self.beyond is not None:
            self.beyond.nodes.attending.tell(room, self._nodes[link], diff)

    def _snapshot(self, link: Link, room: str, snapshot: Snapshot) -> None:
        snapshot = snapshot._replace(node=self._nodes[link])
        remote = self._rooms.setdefault(room, {}).setdefault(link, Remote())
        remote.take(snapshot)
        self._forget_empty(link, room, remote)
        self.tell_followers(link, said(SNAPSHOT, room, snapshot), room)
        if self.beyond is not None:
            self.beyond.snapshot(room, snapshot)

    def _forget_empty(self, link: Link, room: str, remote: Remote) -> None:
        if not remote.members and remote.seq is not None:
            del self._rooms[room][link]
            if not self._rooms[room]:
                del self._rooms[room]

    def tell_followers(self, link: Link | None, frame: bytes, room: str) -> None:
        """Send a frame to the workers that follow a room, all but one."""
        for other in self._followers.get(room, ()):
            if other is not link:
                other.send(frame)

    def _asked(self, link: Link, room: str, node: str) -> None:
        for other, remote in self._rooms.get(room, {}).items():
            if self._nodes[other] == node:
                if remote.seq is not None:  # else it is on its way, and goes to all followers
                    link.send_always(
                        said(SNAPSHOT, room, Snapshot(node, remote.seq, remote.members))
                    )
                return
        # Nobody is there any more. The worker says after which of its diffs.
        asked = self.link_of(node)
        if asked is not None:
            asked.send_always(said(ASK, room))
        elif self.beyond is not None:
            self.beyond.nodes.attending.ask(room, node)

    def _unfollow(self, link: Link, room: str) -> None:
        followers = self._followers.get(room)
        if followers is not None:
            followers.discard(link)
            if not followers:
                del self._followers[room]
                if self.beyond is not None:
                    self.beyond.nodes.attending.unfollow(room)

    # For other nodes.

    def link_of(self, node: str) -> Link | None:
        """The link of a worker, by its name."""
        return next((link for link, name in self._nodes.items() if name == node), None)

    def snapshots(self, room: str) -> list[Snapshot]:
        """Return who is in a room, for each worker with members."""
        return [
            Snapshot(self._nodes[link], remote.seq, remote.members)
            for link, remote in self._rooms.get(room, {}).items()
            if remote.seq is not None and remote.members
        ]

    def numbers(self, rooms: list[str]) -> list[tuple[str, str, int]]:
        """Which diff was the latest, for each worker with members."""
        return [(room, each.node, each.seq) for room in rooms for each in self.snapshots(room)]
