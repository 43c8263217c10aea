"""Which other nodes there are: each says now and then that it is there.

One that says nothing for `dead` seconds is dead, once and for all: its id is not heard any more. If
it was only stopped or cut off, it is told so by the beats of the others, and comes back under
another id. While this node itself has no broker nobody is judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

MAX_GONE = 10_000  # ids of dead nodes that are remembered
MAX_PEERS = 10_000  # more than that is somebody who writes nonsense to the broker


class Times(NamedTuple):
    """The lengths of waits, in seconds."""

    beat: float = 2.0  # between two signs of life
    dead: float = 7.5  # without one; it is looked for at every tick
    tick: float = 0.5
    silent: float = 6.0  # without one's own beat: the link is dead
    answer: float = 2.0  # for others to answer
    hello: float = 0.25  # for others to be known, at the start
    held: float = 1.5  # between the last member of a room and the end of its subscription
    again: float = 2.0  # after which the number of a diff is said again
    verify: float = 15.0  # between two looks whether a diff was missed


class Peers:
    """The other nodes, as this one has heard of them."""

    def __init__(self, times: Times, died: Callable[[bytes], object]) -> None:
        self.dead: dict[bytes, None] = {}  # the latest last
        self.ghosts: set[bytes] = set()  # dead ones that have spoken since
        self._times = times
        self._died = died
        self._heard_at: dict[bytes, float] = {}

    def __iter__(self) -> Iterator[bytes]:
        """The ids of those that are there."""
        return iter(list(self._heard_at))

    def __len__(self) -> int:
        return len(self._heard_at)

    def __contains__(self, node: object) -> bool:
        return node in self._heard_at

    def heard(self, node: bytes, now: float) -> bool:
        """A node has given a sign of life; whether it is new."""
        if node in self.dead:
            self.ghosts.add(node)
            return False
        is_new = node not in self._heard_at
        if is_new and len(self._heard_at) >= MAX_PEERS:
            return False
        self._heard_at[node] = now
        return is_new

    def left(self, node: bytes) -> None:
        """A node has ended, or is taken for it."""
        if node not in self.dead:
            self._bury(node)
            if self._heard_at.pop(node, None) is not None:
                self._died(node)

    def judge(self, now: float) -> None:
        """Take those for dead that have been silent for too long."""
        for node, at in list(self._heard_at.items()):
            if now - at > self._times.dead:
                self.left(node)

    def pardon(self, now: float) -> None:
        """Nobody could be heard until now."""
        for node in self._heard_at:
            self._heard_at[node] = now

    def _bury(self, node: bytes) -> None:
        self.dead[node] = None
        while len(self.dead) > MAX_GONE:
            oldest = next(iter(self.dead))
            del self.dead[oldest]
            self.ghosts.discard(oldest)
