"""Mode echo: every connection keeps some messages in flight, and each must come back."""

from __future__ import annotations

import time
from collections import deque

from .options import Options
from .payloads import make_script
from .steady import Steady, open_all
from .swarm import Peer, Swarm


class Echo(Steady):
    """Sends, compares what comes back, and sends the next."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.script = make_script(options.size, options.in_flight, binary=options.binary)
        self.mask = len(self.script) - 1
        self.peers: list[Peer] = []
        self.sent = 0

    def prepare(self, swarm: Swarm) -> None:
        """Open every connection. Each begins at another payload, so that mix-ups show."""

        def connect(index: int) -> Peer:
            peer = swarm.connect(index)
            peer.received = peer.sent = index * 7
            peer.pending = deque()  # when each message in flight was sent or due
            return peer

        open_all(swarm, self, connect, self.options.connections)
        self.peers = swarm.peers

    def start(self) -> None:
        """Put `in_flight` messages on each connection."""
        for peer in self.peers:
            for _ in range(self.options.in_flight):
                self.send(peer, time.perf_counter_ns())

    def publish(self, number: int, due: int) -> None:
        """Send on the connections in turn."""
        self.send(self.peers[number % len(self.peers)], due)

    def send(self, peer: Peer, since: int) -> None:
        """Send the next message of `peer`; its latency counts from `since`."""
        peer.send(self.script[peer.sent & self.mask])
        peer.sent += 1
        peer.pending.append(since)
        self.sent += 1

    def message(self, peer: Peer, opcode: int, payload: str | bytes) -> None:
        """Compare, take the time, send the next."""
        expected = self.script[peer.received & self.mask]
        if payload != expected:
            self.mismatch(peer, payload, expected)
            return
        peer.received += 1
        self.done += 1
        now = time.perf_counter_ns()
        self.latencies.append(now - peer.pending.popleft())
        if self.is_sending and not self.options.rate:
            self.send(peer, now)

    def outstanding(self) -> int:
        """Messages that have not come back."""
        return self.sent - self.done
