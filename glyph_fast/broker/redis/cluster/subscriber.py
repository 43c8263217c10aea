"""A connection that subscribes to sharded channels of one server of a cluster.

The server ends a subscription unasked when the slot moves away, by the words in which it answers to
who ends one. So each answer is looked at, and one that is none to what was said ends the
connection: all is compared when there is another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hiredis

from ....errors import BrokerUnavailable
from ..connection import LOST, Answer, Connection, Pushed, Subscriber, pack
from .slots import is_elsewhere


class _Leaving:
    """Who takes the answer to SUNSUBSCRIBE."""

    def __init__(self, channel: bytes, wrong: Callable[[], object]) -> None:
        self.channel = channel
        self._wrong = wrong

    def __call__(self, answer: Any) -> None:
        """The server has ended the subscription, or had none, as the slot is not there."""
        if type(answer) is not list and not is_elsewhere(answer):
            if not isinstance(answer, BrokerUnavailable):
                self._wrong()


class ShardSubscriber(Subscriber):
    """A subscriber to sharded channels; `moved` is told of those that the server does not serve."""

    def __init__(
        self,
        lost: Callable[[Connection], object],
        pushed: Pushed,
        moved: Callable[[bytes], object],
    ) -> None:
        super().__init__(lost, pushed)
        self._moved = moved

    def data_received(self, data: bytes) -> None:
        """Take what was published, most of all, and answers."""
        self.heard_at = self._loop.time()
        reader, pushed = self._reader, self._pushed
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not False:
                if type(answer) is list:
                    if answer[0] == b"smessage":
                        pushed(answer[1], answer[2])
                        continue
                    if answer[0] == b"sunsubscribe" and not self._is_leaving(answer[1]):
                        self._moved(answer[1])
                        continue
                self._answers.popleft()(answer)
        except (hiredis.ProtocolError, IndexError):
            self.abort()

    def _is_leaving(self, channel: bytes) -> bool:
        first = self._answers[0] if self._answers else None
        return isinstance(first, _Leaving) and first.channel == channel

    def send(self, command: bytes, answer: Answer) -> None:
        """Send a packed command that is no subscription."""

        def checked(got: Any) -> None:
            if is_elsewhere(got) or type(got) is list and got[0] != b"pong":
                self.abort()
                got = BrokerUnavailable(LOST)
            answer(got)

        super().send(command, checked)

    def subscribe(self, channels: Sequence[bytes], done: Callable[[bytes], object]) -> None:
        """Subscribe to channels; `done` is told of each that is, or `moved` is."""
        for each in channels:
            super().send(pack((b"SSUBSCRIBE", each)), self._joining(each, done))

    def _joining(self, channel: bytes, done: Callable[[bytes], object]) -> Answer:
        def joined(answer: Any) -> None:
            if type(answer) is list and answer[:2] == [b"ssubscribe", channel]:
                done(channel)
            elif is_elsewhere(answer):
                self._moved(channel)
            elif not isinstance(answer, BrokerUnavailable):
                self.refused = str(answer)
                self.abort()

        return joined

    def unsubscribe(self, channels: Sequence[bytes]) -> None:
        """Hear no more of channels."""
        for each in channels:
            super().send(pack((b"SUNSUBSCRIBE", each)), _Leaving(each, self.abort))
