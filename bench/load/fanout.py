"""Modes fan-out and stalled: publishers send to a room, all members must receive everything.

A message is done when the last member that reads has it. Publishers stand outside the count of
members, though for the server they are members too: they hear each other, and what a server sends
back to its own publisher is passed over.

With several publishers a member must see each publisher's messages in order, and all members of a
room must see the same interleaving; that is compared at the end, by a running hash.
"""

from __future__ import annotations

import time
from collections import deque

from .options import Options
from .payloads import Payload, make_script, tag_of
from .steady import Steady, open_all
from .swarm import LoadError, Peer, Swarm

_SMALL_BUFFER = 4096  # bytes: the receive buffer of a member that never reads
_TAGS = 256  # publishers of a room that a payload can tell apart


class Publisher:
    """One publishing connection and what of its messages is still on the way."""

    def __init__(self, peer: Peer, tag: int, options: Options) -> None:
        # A run in open loop may have many more outstanding than `in_flight`.
        window = max(options.in_flight, 1024 if options.rate else 1)
        self.peer = peer
        self.tag = tag
        self.script = make_script(options.size, window, binary=options.binary, tag=tag)
        self.mask = len(self.script) - 1
        self.sent = 0
        self.done = 0  # messages every reading member has
        self.since: deque[int] = deque()  # ns; of the messages in flight
        self.audience = 0  # members that read
        self.missing: list[int] = []  # per message in flight: members that do not have it yet

    def send(self, since: int) -> None:
        """Publish the next message; its latency counts from `since`."""
        index = self.sent & self.mask
        if self.sent - self.done > self.mask:
            raise LoadError("the server does not keep up with the rate: the window is full")
        self.missing[index] = self.audience
        self.peer.send(self.script[index])
        self.sent += 1
        self.since.append(since)


class FanOut(Steady):
    """Publishes, and follows every member's progress."""

    unit = "delivery"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if options.publishers > _TAGS * options.rooms:
            raise ValueError(f"at most {_TAGS} publishers per room can be told apart")
        self.publishers: list[Publisher] = []
        self.rooms: list[list[Publisher]] = [[] for _ in range(options.rooms)]
        self.members: list[Peer] = []
        self.stalled: list[Peer] = []
        self.stalled_closed = 0
        self.single: list[Publisher | None] = []  # per room, when it has just one

    def prepare(self, swarm: Swarm) -> None:
        """Open members, those that never read among them, then publishers."""
        options = self.options
        count = options.connections
        stalled = int(count * options.stalled_share)

        def connect(index: int) -> Peer:
            if index >= count:
                return swarm.connect(index, room=(index - count) % options.rooms)
            small = _SMALL_BUFFER if index < stalled else 0
            return swarm.connect(index, room=index % options.rooms, receive_buffer=small)

        publishers = max(options.publishers, options.rooms)
        open_all(swarm, self, connect, count + publishers)
        self.stalled = swarm.peers[:stalled]
        self.members = swarm.peers[stalled:count]
        self._assign(swarm.peers[count:])
        for peer in self.stalled:
            peer.sink.pause_reading()

    def _assign(self, peers: list[Peer]) -> None:
        for peer in peers:
            room = self.rooms[peer.room]
            room.append(Publisher(peer, len(room), self.options))
            self.publishers.append(room[-1])
        audience = [0] * len(self.rooms)
        for member in self.members:
            audience[member.room] += 1
        for publisher in self.publishers:
            publisher.audience = audience[publisher.peer.room]
            publisher.missing = [0] * len(publisher.script)
        if 0 in audience:
            raise ValueError("every room needs a member that reads: fewer rooms, more connections")
        self.single = [room[0] if len(room) == 1 else None for room in self.rooms]
        for peer in [*self.members, *peers]:
            # received per publisher, and the hash of the order in which they came
            peer.pending = [[0] * len(self.rooms[peer.room]), 0]
        for publisher in self.publishers:
            publisher.peer.pending.append(publisher.tag)

    def start(self) -> None:
        """Put `in_flight` messages of each publisher on the way."""
        for publisher in self.publishers:
            for _ in range(self.options.in_flight):
                publisher.send(time.perf_counter_ns())

    def publish(self, number: int, due: int) -> None:
        """Let the publishers take turns."""
        self.publishers[number % len(self.publishers)].send(due)

    def message(self, peer: Peer, opcode: int, payload: str | bytes) -> None:
        """Compare, and count the member off."""
        publisher = self.single[peer.room]
        if publisher is None or publisher.peer is peer:
            self._from_many(peer, payload)
            return
        position = peer.received
        index = position & publisher.mask
        if payload != publisher.script[index]:
            self.mismatch(peer, payload, publisher.script[index])
            return
        peer.received = position + 1
        self.done += 1
        left = publisher.missing[index] - 1
        publisher.missing[index] = left
        if not left:
            self._complete(publisher)

    def _from_many(self, peer: Peer, payload: Payload) -> None:
        """A message in a room of several publishers, or one that came back to its own."""
        tag = tag_of(payload)
        positions = peer.pending[0]
        is_publisher = len(peer.pending) == 3
        if is_publisher and peer.pending[2] == tag:
            return
        publisher = self.rooms[peer.room][tag]
        index = positions[tag] & publisher.mask
        if payload != publisher.script[index]:
            self.mismatch(peer, payload, publisher.script[index])
            return
        positions[tag] += 1
        peer.received += 1
        self.done += 1
        if is_publisher:
            return
        peer.pending[1] = hash((peer.pending[1], tag))
        publisher.missing[index] -= 1
        if not publisher.missing[index]:
            self._complete(publisher)

    def _complete(self, publisher: Publisher) -> None:
        now = time.perf_counter_ns()
        self.latencies.append(now - publisher.since.popleft())
        publisher.done += 1
        if self.is_sending and not self.options.rate:
            publisher.send(now)

    def closed(self, peer: Peer, code: int, reason: str) -> None:
        """A member that never reads may be closed; that is the server's policy."""
        if peer in self.stalled:
            self.stalled_closed += 1
        else:
            super().closed(peer, code, reason)

    def outstanding(self) -> int:
        """Messages that some member has not received."""
        return sum(publisher.sent - publisher.done for publisher in self.publishers)

    def notes(self) -> dict[str, object]:
        """What became of the members that never read."""
        notes: dict[str, object] = {}
        if self.stalled:
            notes["members_that_never_read"] = len(self.stalled)
            notes["of_these_closed_by_the_server"] = self.stalled_closed
        return notes

    def check(self) -> None:
        """All members of a room must have seen the same interleaving of publishers."""
        seen: dict[int, int] = {}
        for member in self.members:
            order = member.pending[1]
            if seen.setdefault(member.room, order) != order:
                raise LoadError("members of a room saw messages in different orders")
