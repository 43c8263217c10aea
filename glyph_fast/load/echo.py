"""Mode echo: every connection keeps some messages in flight, and each must come back."""

from __future__ import annotations

import time

from .flow import AnsweredSeat, Flow, Seat
from .options import Options
from .payloads import make_events, make_script
from .steady import OPEN_WINDOW, Steady, open_all
from .swarm import Peer, Swarm


class Echo(Steady):
    """Each connection is the publisher and the only listener of its own flow."""

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        window = max(options.in_flight, OPEN_WINDOW if options.rate else 1)
        self.beginnings: list[str] = []  # of the answers to events
        if options.event:
            self.script, self.beginnings = make_events(options.event, options.size, window)
        else:
            self.script = make_script(
                *(options.size, window),
                binary=options.binary,
                words=options.compression,
                as_json=options.json_messages,
            )
        self.flows: list[Flow] = []

    def prepare(self, swarm: Swarm) -> None:
        """Open every connection. Each begins at another payload, so that mix-ups show."""
        open_all(swarm, self, swarm.connect, self.options.connections)
        for peer in swarm.peers:
            flow = self.flow_of(peer)
            self.flows.append(flow)
            peer.seat = self.seat_of(flow)

    def flow_of(self, peer: Peer) -> Flow:
        """The flow of one connection."""
        flow = Flow(self.tally, peer, self.script, first=peer.index * 7)
        flow.audience = 1
        return flow

    def seat_of(self, flow: Flow) -> Seat:
        """The listener of a flow: to the messages themselves, or to the answers to events."""
        if self.beginnings:
            return AnsweredSeat(flow, self.beginnings, flow.sent)
        return Seat(flow, flow.sent)

    def start(self) -> None:
        """Put `in_flight` messages on each connection."""
        for flow in self.flows:
            for _ in range(self.options.in_flight):
                flow.send(time.perf_counter_ns())

    def publish(self, number: int, due: int) -> None:
        """Send on the connections in turn."""
        self.flows[number % len(self.flows)].send(due)
