"""One socket to a Redis server: commands leave in one write a turn, answers come in their order.

A connection never connects again: when it is lost, what waits for an answer is told so, once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast

import hiredis

from ...errors import BrokerUnavailable

Answer = Callable[[Any], object]  # gets an answer; a `ReplyError` or `BrokerUnavailable` as such
Pushed = Callable[[bytes, bytes], object]  # a channel, and what was published to it

MAX_WAITING = 64 * 2**20  # bytes that the kernel has not taken; above it the link is ill
LOST = "the broker is away"

pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command


class Connection(asyncio.Protocol):
    """A connection that is open, until `lost` is told of its end. For the loop's thread alone."""

    def __init__(self, lost: Callable[[Connection], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._lost = lost
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes] = []
        self._answers: deque[Answer] = deque()
        self.is_open = False
        self.refused = ""  # why a server does not serve this connection, where it said so
        self.heard_at = self._loop.time()

    # As a protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """Take answers."""
        self.heard_at = self._loop.time()
        reader, answers = self._reader, self._answers
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not False:
                answers.popleft()(answer)
        except (hiredis.ProtocolError, IndexError):  # no Redis, or an answer to nothing
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone: nobody will answer."""
        self.is_open = False
        self._out.clear()
        while self._answers:
            self._answers.popleft()(BrokerUnavailable(LOST))
        self._lost(self)

    # Commands.

    def send(self, command: bytes, answer: Answer) -> None:
        """Send a packed command with what else is sent in this turn, and give on its answer."""
        if not self.is_open:
            answer(BrokerUnavailable(LOST))
            return
        if not self._out:
            self._loop.call_soon(self.flush)
        self._out.append(command)
        self._answers.append(answer)

    def tell(self, command: bytes) -> None:
        """Send a packed command whose answer nobody wants."""
        self.send(command, ignore)

    async def ask(self, *command: Any) -> Any:
        """The answer to a command. Raises `hiredis.ReplyError` and BrokerUnavailable."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self.send(pack(command), lambda answer: settle(future, answer))
        return await future

    def flush(self) -> None:
        """Write what was sent in this turn."""
        if not self._out or self._transport is None:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._transport.write(data)
        if self._transport.get_write_buffer_size() > MAX_WAITING:
            self.abort()

    @property
    def waiting(self) -> int:
        """Bytes that the kernel has not taken."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """Close once what was sent has left."""
        self.flush()
        if self._transport is not None:
            self._transport.close()


class Subscriber(Connection):
    """A connection that subscribes to channels, and gives what is published there to `pushed`.

    It takes no other commands but `PING`. A subscription that the server refuses ends it.
    """

    def __init__(self, lost: Callable[[Connection], object], pushed: Pushed) -> None:
        super().__init__(lost)
        self._pushed = pushed

    def data_received(self, data: bytes) -> None:
        """Take what was published, most of all, and answers."""
        self.heard_at = self._loop.time()
        reader, pushed = self._reader, self._pushed
        try:
            reader.feed(data)
            while (answer := reader.gets()) is not False:
                if type(answer) is list and answer[0] == b"message":
                    pushed(answer[1], answer[2])
                else:
                    self._answers.popleft()(answer)
        except (hiredis.ProtocolError, IndexError):
            self.abort()

    def subscribe(self, channels: Sequence[bytes], done: Callable[[bytes], object]) -> None:
        """Subscribe to channels; `done` is told of each that is."""
        self._change(b"SUBSCRIBE", channels, done)

    def unsubscribe(self, channels: Sequence[bytes]) -> None:
        """Hear no more of channels."""
        self._change(b"UNSUBSCRIBE", channels, ignore)

    def _change(
        self, word: bytes, channels: Sequence[bytes], done: Callable[[bytes], object]
    ) -> None:
        """One answer comes for each channel, or one error for all."""

        def changed(answer: Any) -> None:
            if type(answer) is list:
                done(answer[1])
            elif not isinstance(answer, BrokerUnavailable):
                self.refused = str(answer)
                self.abort()

        self._answers.extend([changed] * (len(channels) - 1))
        self.send(pack((word, *channels)), changed)


def settle(future: asyncio.Future[Any], answer: Any) -> None:
    """Give an answer to who awaits it, be it an error."""
    if future.done():
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def ignore(answer: Any) -> None:
    """Take an answer that nobody wants."""
