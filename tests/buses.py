"""A broker in memory that loses, delays and parts: buses of several nodes on it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection

from glyph_fast.broker.nodes.bus import Changed, Heard

TICK = 1e-7  # seconds between two messages: a loop does not keep the order of one moment


class Network:
    """What lies between the nodes of a test.

    `delay` gives the seconds that a message takes from one node to another; the order of each pair
    of nodes is kept. `loss` is how likely a message is lost.
    """

    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self.buses: list[MemoryBus] = []
        self.delay: tuple[float, float] = (0.0, 0.0)
        self.loss = 0.0
        self._side: dict[MemoryBus, int] = {}  # of a partition
        self._arrival: dict[tuple[MemoryBus, MemoryBus], float] = {}
        self.messages = 0

    def bus(self) -> MemoryBus:
        """A new node's."""
        made = MemoryBus(self)
        self.buses.append(made)
        return made

    def part(self, *sides: Collection[MemoryBus]) -> None:
        """Let only the buses of one side hear each other; those not named are on side 0."""
        self._side = {bus: number for number, side in enumerate(sides, 1) for bus in side}

    def heal(self) -> None:
        """Let all hear each other again."""
        self._side = {}

    def carry(self, source: MemoryBus, subject: bytes, payload: bytes) -> None:
        """Bring a message to all who want it and can be reached."""
        loop = asyncio.get_running_loop()
        self.messages += 1
        for bus in self.buses:
            if subject not in bus.subjects or not self._reaches(source, bus):
                continue
            if bus is not source and self.random.random() < self.loss:
                continue
            pair = (source, bus)
            at = max(
                loop.time() + self.random.uniform(*self.delay), self._arrival.get(pair, 0) + TICK
            )
            self._arrival[pair] = at
            loop.call_at(at, bus.take, subject, payload)

    def _reaches(self, source: MemoryBus, bus: MemoryBus) -> bool:
        if not (source.is_up and bus.is_up):
            return False
        return self._side.get(source, 0) == self._side.get(bus, 0)


class MemoryBus:
    """One node's; see `glyph_fast.broker.nodes.bus.Bus`."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.is_up = False
        self.dropped = 0
        self.place = "memory"
        self.reason = "the test says so"
        self.max_payload: int | None = None
        self.subjects: set[bytes] = set()
        self.is_killed = False

    def attach(self, heard: Heard, changed: Changed) -> None:
        self._heard, self._changed = heard, changed

    async def start(self) -> None:
        self.set_up(True)

    async def close(self) -> None:
        self.set_up(False)

    def set_up(self, is_up: bool) -> None:
        """Lose or get the broker."""
        if self.is_up != is_up:
            self.is_up = is_up
            self._changed(is_up)

    def kill(self) -> None:
        """End as a process does that is killed: nothing goes in or out."""
        self.is_killed, self.is_up = True, False

    def subscribe(self, subject: bytes) -> None:
        self.subjects.add(subject)

    def unsubscribe(self, subject: bytes) -> None:
        self.subjects.discard(subject)

    def publish(self, subject: bytes, payload: bytes) -> None:
        if not self.is_up:
            self.dropped += 1
            return
        self._network.carry(self, subject, payload)

    def take(self, subject: bytes, payload: bytes) -> None:
        if self.is_up and subject in self.subjects:
            self._heard(subject, payload)

    def suspect(self) -> None:
        self.set_up(False)
