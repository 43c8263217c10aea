"""The members of rooms, told from node to node.

An author is who has members: a node without workers, by its id, or a worker of one, by the id, a
colon and a name. Each tells its own diffs to those who follow a room, and repeats the number of the
latest a few times, so that a lost one is missed. What was missed is asked for until it comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from ...errors import BrokerUnavailable
from ..presence import Diff, Snapshot
from .messages import Assembling, BadMessage, Said, diff_value, read_diff, snapshot_values
from .subjects import PRESENCE

if TYPE_CHECKING:
    from .nodes import Nodes

MAX_GONE = 10_000
LONGEST_WAIT = 4  # times the time for an answer, between two requests for a snapshot
BATCH = 500  # rooms of one question


class Attending:
    """The news that a node tells of its members, and hears of those of others."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._followed: dict[str, dict[str, None]] = {}  # rooms, and authors heard of in each
        self._authors: dict[bytes, set[str]] = {}  # of each other node
        self._gone: dict[str, None] = {}  # authors that have ended, the latest last
        self._gathering: dict[str, list[dict[str, Snapshot]]] = {}  # by room: what has come so far
        self._parts = Assembling()
        self._wanted: dict[tuple[str, str], list[float]] = {}  # room, author: when next, tries
        self._latest: dict[tuple[str, str], int] = {}  # what was told last
        self._again: deque[tuple[float, str, str, int]] = deque()
        self._verify_at = 0.0
        self.answers: dict[str, Callable[..., Any]] = {
            "gather": self._answer,
            "numbers": self._answer_numbers,
        }

    def _name(self, own: str) -> str:
        """The name for others of an author of this node, which is known by `own` here."""
        id = self._nodes.id.decode()
        return f"{id}:{own}" if own else id

    def _subject(self, room: str) -> bytes:
        return self._nodes.subjects.of(PRESENCE, room)

    # Telling.

    def tell(self, room: str, own: str, diff: Diff) -> None:
        """Tell those who follow a room of a diff of an author of this node."""
        most = self._nodes.bus.max_payload
        size = sum(len(each.text) for each in diff.joined.values()) + 16 * len(diff.left)
        if most is not None and 2 * size > most:
            diff = Diff(diff.seq, diff.seq, {}, ())  # a gap: it will be asked for, in parts
        self._say_diff(room, own, diff)
        self._latest[room, own] = diff.seq
        self._again.append((self._nodes.time() + self._nodes.times.again, room, own, diff.seq))

    def say_number(self, room: str, own: str, seq: int) -> None:
        """Say which diff of an author was the latest."""
        self._say_diff(room, own, Diff(seq, seq, {}, ()))

    def _say_diff(self, room: str, own: str, diff: Diff) -> None:
        value = diff_value(room, self._name(own), diff)
        self._nodes.say(Said.DIFF, value, self._subject(room))

    def tell_snapshot(self, room: str, own: str, snapshot: Snapshot) -> None:
        """Tell those who follow a room who is there of an author of this node."""
        self._say_snapshot(room, snapshot._replace(node=self._name(own)), self._subject(room))

    def _say_snapshot(self, room: str, snapshot: Snapshot, subject: bytes) -> None:
        for value in snapshot_values(room, snapshot):
            self._nodes.say(Said.SNAPSHOT, value, subject)

    def tell_gone(self, own: str) -> None:
        """An author of this node has ended, and the node goes on."""
        self._nodes.say(Said.GONE, self._name(own))

    async def _answer(self, node: bytes, room: str) -> list[Any]:
        """Send a node who is in a room here, and say of whom it is to have heard."""
        found = self._nodes.here.snapshots(room)
        named = []
        for each in await found if isinstance(found, Awaitable) else found:
            whole = each._replace(node=self._name(each.node))
            self._say_snapshot(room, whole, self._nodes.inbox_of(node))
            named.append(whole.node)
        return named

    async def _answer_numbers(self, node: bytes, rooms: list[str]) -> list[Any]:
        """Say which diff was the latest, of rooms with members here."""
        found = self._nodes.here.numbers(rooms)
        known = await found if isinstance(found, Awaitable) else found
        return [[room, self._name(own), seq] for room, own, seq in known]

    # Asking.

    async def gather(self, room: str, *, follow: bool) -> list[Snapshot]:
        """Return who is in a room elsewhere. Without `follow` BrokerUnavailable may be raised."""
        if follow:
            if room not in self._followed:
                self._followed[room] = {}
                self._nodes.bus.subscribe(self._subject(room))
            if not self._nodes.is_up:
                return []  # it is looked for later
        found: dict[str, Snapshot] = {}
        waiting = self._gathering.setdefault(room, [])
        waiting.append(found)
        asked = set(self._nodes.peers)
        answers: dict[bytes, Any] = {}
        try:
            answers = await self._nodes.ask_nodes(asked, "gather", room)
        except BrokerUnavailable:
            if not follow:
                raise
        finally:
            waiting.remove(found)
            if not waiting:
                self._gathering.pop(room, None)
        if follow:
            named = [each for each in answers.values() if isinstance(each, list)]
            if len(answers) < len(asked) or any(a not in found for each in named for a in each):
                self._verify_at = 0.0  # something was lost
        return list(found.values())

    def unfollow(self, room: str) -> None:
        """Nobody here follows a room any more."""
        if self._followed.pop(room, None) is not None:
            self._nodes.bus.unsubscribe(self._subject(room))
            for key in [each for each in self._wanted if each[0] == room]:
                del self._wanted[key]

    def ask(self, room: str, author: str) -> None:
        """Ask for a snapshot, until it comes."""
        if (room, author) not in self._wanted:
            self._wanted[room, author] = [0.0, 0]
            self._want(room, author, self._nodes.time())

    def _want(self, room: str, author: str, now: float) -> None:
        state = self._wanted[room, author]
        state[0] = now + self._nodes.times.answer * min(2 ** state[1], LONGEST_WAIT)
        state[1] += 1
        self._nodes.say(Said.WANT, [room, author], self._nodes.inbox_of(_node_of(author)))

    def verify(self, node: bytes | None = None) -> None:
        """Look whether a diff was missed in the rooms that are followed, of one node or all."""
        self._nodes.background(partial(self._verify, node))

    async def _verify(self, node: bytes | None) -> None:
        rooms = list(self._followed)
        for at in range(0, len(rooms), BATCH):
            batch = rooms[at : at + BATCH]
            asked = self._nodes.peers if node is None else [node]
            for one, numbers in (await self._nodes.ask_nodes(asked, "numbers", batch)).items():
                with suppress(BadMessage, ValueError, TypeError):
                    self._compare(one, batch, numbers)

    def _compare(self, node: bytes, rooms: list[str], numbers: Any) -> None:
        there = {(room, author): seq for room, author, seq in numbers}
        for (room, author), seq in there.items():
            self.diff(node, [room, author, seq, seq, {}, []])
        for room in rooms:
            for author in list(self._followed.get(room, ())):
                if _node_of(author) == node and (room, author) not in there:
                    self.ask(room, author)  # nobody is there any more, or nobody yet

    def sweep(self, now: float) -> None:
        """Repeat what may have been lost."""
        while self._again and self._again[0][0] <= now:
            _, room, own, seq = self._again.popleft()
            if self._latest.get((room, own)) == seq:
                del self._latest[room, own]
                self.say_number(room, own, seq)
        if not self._nodes.is_up:
            return
        for (room, author), (due, _) in list(self._wanted.items()):
            if due <= now:
                self._want(room, author, now)
        if now >= self._verify_at:
            self._verify_at = now + self._nodes.times.verify
            self.verify()

    # Hearing.

    def _note(self, node: bytes, room: str, author: str) -> bool:
        """Return whether an author may speak of a room that is followed here."""
        if _node_of(author) != node:
            raise BadMessage("another's members")
        if room not in self._followed:
            return False
        self._followed[room][author] = None
        self._authors.setdefault(node, set()).add(author)
        return author not in self._gone

    def diff(self, node: bytes, value: Any) -> None:
        """A node tells who came and went."""
        room, author, diff = read_diff(value)
        if self._note(node, room, author):
            self._nodes.here.heard(room, author, diff)

    def snapshot(self, node: bytes, value: Any) -> None:
        """A node tells who is there."""
        taken = self._parts.take(node, value)
        if taken is None:
            return
        room, snapshot = taken
        for found in self._gathering.get(room, ()):
            if _node_of(snapshot.node) == node:
                found[snapshot.node] = snapshot
        if self._note(node, room, snapshot.node):
            self._take(room, snapshot)

    def _take(self, room: str, snapshot: Snapshot) -> None:
        self._wanted.pop((room, snapshot.node), None)
        if room in self._followed:
            self._nodes.here.took(room, snapshot)

    def want(self, node: bytes, value: Any) -> None:
        """A node has missed something."""
        room, author, *_ = value
        id, _, own = author.partition(":")
        if id.encode() == self._nodes.id:
            self._nodes.here.want(room, own)

    def gone(self, node: bytes, author: Any) -> None:
        """A process of a node has ended."""
        if _node_of(author) != node:
            raise BadMessage("another's process")
        self._end(node, author)

    def died(self, node: bytes) -> None:
        """A node is dead."""
        for author in self._authors.pop(node, set()):
            self._end(node, author)
        self._parts.forget(node)

    def _end(self, node: bytes, author: str) -> None:
        self._gone[author] = None
        if len(self._gone) > MAX_GONE:
            del self._gone[next(iter(self._gone))]
        self._authors.get(node, set()).discard(author)
        for authors in self._followed.values():
            authors.pop(author, None)
        for key in [each for each in self._wanted if each[1] == author]:
            del self._wanted[key]
        self._nodes.here.gone(author)


def _node_of(author: str) -> bytes:
    return author.partition(":")[0].encode()
