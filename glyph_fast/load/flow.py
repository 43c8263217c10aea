# cython: annotation_typing=False
"""The hot part of the client: is this the message that had to come, and who still lacks it?

A `Flow` is what one publisher sends: known payloads in a known order. A `Seat` is where one
listener is in the flow it hears. A message is done when all seats have it; then its latency is
taken and, in a closed loop, the next one is sent. An echo is the flow of a connection that is its
own only listener.

Plain Python, which `setup.py` compiles with the types of `flow.pxd`; the client is then four times
as fast. Nothing here looks at sockets or frames.
"""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from .histogram import Histogram
from .payloads import Script, tag_of

is_compiled = not __file__.endswith(".py")


class WindowFull(Exception):
    """More messages are outstanding than a flow can tell apart."""


class Tally:
    """The counts of all flows of a run, and the handler of every message received."""

    def __init__(self, mismatch: Callable[[Any, Any, Any], object]) -> None:
        self.latency = Histogram()
        self.delivered = 0  # messages that arrived as they had to
        self.outstanding = 0  # messages sent and not done
        self.is_closed_loop = True
        self._mismatch = mismatch  # (peer, got, expected)

    def message(self, peer: Any, opcode: int, payload: str | bytes) -> None:
        """The core's handler: `peer` received a message."""
        peer.seat.hear(peer, payload)

    def mismatch(self, peer: Any, got: str | bytes, expected: str | bytes) -> None:
        """A message is not the one that had to come."""
        self._mismatch(peer, got, expected)


class Flow:
    """The messages of one publisher, and which of them are still on the way."""

    def __init__(self, tally: Tally, publisher: Any, script: Script, first: int = 0) -> None:
        self.tally = tally
        self.publisher = publisher  # whose `send` takes a payload
        self.script = list(script)
        self.mask = len(script) - 1
        self.audience = 0  # seats that must have a message for it to be done
        self.sent = first
        self.done = first
        self._since = array("q", bytes(8 * len(script)))  # ns, per message on the way
        self._missing = array("q", bytes(8 * len(script)))  # seats that do not have it yet

    def send(self, since: int) -> None:
        """Publish the next message; its latency counts from `since`. Raises WindowFull."""
        index = self.sent & self.mask
        if self.sent - self.done > self.mask:
            raise WindowFull
        self._since[index] = since
        self._missing[index] = self.audience
        self.sent += 1
        self.tally.outstanding += 1
        self.publisher.send(self.script[index])

    def arrived(self, index: int) -> None:
        """One more seat has the message at `index` of the script."""
        left = self._missing[index] - 1
        self._missing[index] = left
        self.tally.delivered += 1
        if left == 0:
            now = time.perf_counter_ns()
            self.tally.latency.record(now - self._since[index])
            self.tally.outstanding -= 1
            self.done += 1
            if self.tally.is_closed_loop:
                self.send(now)


class Seat:
    """A listener of one flow. `position` is how many messages it has, counted from the first."""

    def __init__(self, flow: Flow, position: int = 0) -> None:
        self.flow = flow
        self.position = position

    def hear(self, peer: Any, payload: str | bytes) -> None:
        """Compare with what had to come, and count this listener off."""
        flow = self.flow
        index = self.position & flow.mask
        if self.position >= flow.sent or payload != flow.script[index]:  # the script is known
            flow.tally.mismatch(peer, payload, flow.script[index])
            return
        self.position += 1
        flow.arrived(index)


class AnsweredSeat(Seat):
    """A listener whose messages are answered: each by JSON that begins as the answer to it must."""

    def __init__(self, flow: Flow, beginnings: Sequence[str], position: int = 0) -> None:
        Seat.__init__(self, flow, position)
        self._beginnings = list(beginnings)

    def hear(self, peer: Any, payload: str | bytes) -> None:
        """Compare with the answer that had to come, as far as it is known."""
        flow = self.flow
        index = self.position & flow.mask
        beginning: str = self._beginnings[index]
        if (
            self.position >= flow.sent
            or not isinstance(payload, str)
            or not payload.startswith(beginning)
            or not payload.endswith("}")
        ):
            flow.tally.mismatch(peer, payload, beginning)
            return
        self.position += 1
        flow.arrived(index)


class ManySeats:
    """A listener of several flows, told apart by the tag their payloads begin with.

    `own` is the tag of a listener that publishes too: it is in nobody's audience, and what a server
    sends back to its own publisher is passed over. `order` is a hash of the order in which the
    flows' messages came.
    """

    def __init__(self, flows: Sequence[Flow], own: int = -1) -> None:
        self.flows = flows
        self.own = own
        self.order = 0
        self.positions = [0] * len(flows)

    def hear(self, peer: Any, payload: str | bytes) -> None:
        """Compare with what had to come next from that publisher."""
        try:
            tag = tag_of(payload)
        except ValueError:
            tag = -1
        if not 0 <= tag < len(self.flows):  # of nobody here
            flow = self.flows[0]
            flow.tally.mismatch(peer, payload, flow.script[self.positions[0] & flow.mask])
            return
        if tag == self.own:
            return
        flow = self.flows[tag]
        index = self.positions[tag] & flow.mask
        if self.positions[tag] >= flow.sent or payload != flow.script[index]:
            flow.tally.mismatch(peer, payload, flow.script[index])
            return
        self.positions[tag] += 1
        if self.own >= 0:
            flow.tally.delivered += 1
        else:
            self.order = hash((self.order, tag))
            flow.arrived(index)
