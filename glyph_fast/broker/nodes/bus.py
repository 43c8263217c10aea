"""The offer of a broker to the nodes of a server: subjects, and those who hear them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Heard = Callable[[bytes, bytes], object]  # a subject and what was published to it
Changed = Callable[[bool], object]  # whether the bus is up from now on


class Bus(Protocol):
    """Brings what is published to a subject to every node that has subscribed to it.

    Delivery is at most once, in the order of publishing for each pair of nodes. A node hears what
    it has published itself as well. All calls come from the loop's thread, and it calls back there.
    """

    @property
    def is_up(self) -> bool:
        """Return whether what is published now has somewhere to go."""
        ...

    @property
    def dropped(self) -> int:
        """Messages that were published while it was down, or that found no space."""
        ...

    @property
    def place(self) -> str:
        """Return where the broker is, for the log: without a password."""
        ...

    @property
    def reason(self) -> str:
        """Why it went down last, for the log. What is known when `changed` is told."""
        ...

    @property
    def max_payload(self) -> int | None:
        """Bytes of one message; None: no limit."""
        ...

    def attach(self, heard: Heard, changed: Changed) -> None:
        """Give what comes to `heard`, and tell `changed` whenever `is_up` changes.

        Called once, before `start`. Neither may raise.
        """
        ...

    async def start(self) -> None:
        """Begin to connect, and go on until `close`, whatever happens.

        Returns when it is up, or as soon as it is clear that the broker cannot be reached now.
        Raises BrokerRefused where the broker does not want us: a later try would end the same way.
        """
        ...

    async def close(self) -> None:
        """Send what waits, a moment long, and release everything."""
        ...

    def subscribe(self, subject: bytes) -> None:
        """Hear what is published to a subject from now on, or from when it is up.

        Kept over reconnects, after which all subscriptions are repeated in batches of bounded size.
        Twice is the same as once.
        """
        ...

    def unsubscribe(self, subject: bytes) -> None:
        """Hear no more of a subject. What still comes is harmless."""
        ...

    def publish(self, subject: bytes, payload: bytes) -> None:
        """Send to all who have subscribed. Never waits and never raises.

        What is published in one turn of the loop leaves in one piece. While the bus is down it is
        dropped and counted.
        """
        ...

    def suspect(self) -> None:
        """Nothing comes back: end the link, and connect anew, unless that goes on already."""
        ...
