"""Modes fan-out and stalled: publishers send to a room, all members must receive everything.

A message is done when the last member that reads has it. Publishers stand outside the count of
members, though for the server they are members too: they hear each other, and what a server sends
back to its own publisher is passed over.

With several publishers a member must see each publisher's messages in order, and all members of a
room must see the same interleaving; that is compared at the end, by a running hash.
"""

from __future__ import annotations

import time

from .flow import Flow, ManySeats, Seat
from .options import Options
from .payloads import make_script
from .steady import OPEN_WINDOW, Steady, open_all
from .swarm import LoadError, Peer, Swarm

_SMALL_BUFFER = 4096  # bytes: the receive buffer of a member that never reads
_TAGS = 256  # publishers of a room that a payload can tell apart


class FanOut(Steady):
    """A flow per publisher, heard by every member of its room."""

    unit = "delivery"

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        if options.publishers > _TAGS * options.rooms:
            raise ValueError(f"at most {_TAGS} publishers per room can be told apart")
        stalled = int(options.connections * options.stalled_share)
        if options.connections - stalled < options.rooms:
            raise ValueError("every room needs a member that reads: fewer rooms, more connections")
        self.flows: list[Flow] = []
        self.rooms: list[list[Flow]] = [[] for _ in range(options.rooms)]
        self.members: list[Peer] = []
        self.stalled: list[Peer] = []
        self.stalled_closed = 0

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
        self._make_flows(swarm.peers[count:])
        self._seat_members(swarm.peers[count:])
        for peer in self.stalled:
            peer._sink.pause_reading()

    def _make_flows(self, publishers: list[Peer]) -> None:
        window = max(self.options.in_flight, OPEN_WINDOW if self.options.rate else 1)
        for peer in publishers:
            room = self.rooms[peer.room]
            script = make_script(
                *(self.options.size, window),
                binary=self.options.binary,
                tag=len(room),
                words=self.options.compression,
                as_json=self.options.json_messages,
            )
            room.append(Flow(self.tally, peer, script))
            self.flows.append(room[-1])

    def _seat_members(self, publishers: list[Peer]) -> None:
        for member in self.members:
            room = self.rooms[member.room]
            member.seat = Seat(room[0]) if len(room) == 1 else ManySeats(room)
            for flow in room:
                flow.audience += 1
        for peer in publishers:
            room = self.rooms[peer.room]
            own = next(tag for tag, flow in enumerate(room) if flow.publisher is peer)
            peer.seat = ManySeats(room, own)

    def start(self) -> None:
        """Put `in_flight` messages of each publisher on the way."""
        for flow in self.flows:
            for _ in range(self.options.in_flight):
                flow.send(time.perf_counter_ns())

    def publish(self, number: int, due: int) -> None:
        """Let the publishers take turns."""
        self.flows[number % len(self.flows)].send(due)

    def closed(self, peer: Peer, code: int, reason: str) -> None:
        """A member that never reads may be closed; that is the server's policy."""
        if peer in self.stalled:
            self.stalled_closed += 1
        else:
            super().closed(peer, code, reason)

    def check(self) -> None:
        """All members of a room must have seen the same interleaving of its publishers."""
        seen: dict[int, int] = {}
        for member in self.members:
            if isinstance(member.seat, ManySeats):
                order = member.seat.order
                if seen.setdefault(member.room, order) != order:
                    raise LoadError("members of a room saw messages in different orders")

    def notes(self) -> dict[str, object]:
        """Tell what became of the members that never read."""
        notes: dict[str, object] = {}
        if self.stalled:
            notes["members_that_never_read"] = len(self.stalled)
            notes["of_these_closed_by_the_server"] = self.stalled_closed
        return notes
