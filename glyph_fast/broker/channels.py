"""The channels of a Channels layer: queues with a name, and groups of them.

Messages are bytes here. A queue has its messages or those who wait for one, never both. A channel
whose name has a `!` is one process's: who made what stands before it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

SWEEP_S = 1.0  # at most so often is looked for what is too old


class _Waiting(NamedTuple):
    until: float  # clock reading
    message: bytes


class _Member(NamedTuple):
    until: float  # clock reading
    capacity: int  # messages that may wait in the channel


class Sent(NamedTuple):
    """To how many channels of a group a message went, and how many of them were full."""

    full: int
    channels: int


class Channels:
    """The queues and groups of one process. For the loop's thread alone."""

    __slots__ = ("_clock", "_groups", "_messages", "_swept", "_waiters")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._messages: dict[str, deque[_Waiting]] = {}  # by channel; those with some
        self._waiters: dict[str, deque[asyncio.Future[bytes]]] = {}  # as well
        self._groups: dict[str, dict[str, _Member]] = {}  # by name, by channel
        self._swept = clock()

    def __len__(self) -> int:
        """The number of channels with messages."""
        return len(self._messages)

    async def do(self, call: str, *args: Any) -> Any:
        """Return what one of the methods below does, by its name."""
        return await self.receive(*args) if call == "receive" else self.do_now(call, *args)

    def do_now(self, call: str, *args: Any) -> Any:
        """The same, of one that does not wait."""
        return _CALLS[call](self, *args)

    def own(self, channel: str) -> None:
        """Nothing: all channels that nobody else has are here."""

    def send(self, channel: str, message: bytes, capacity: int, expiry: float) -> bool:
        """Put a message into a channel for `expiry` seconds; False when that is full."""
        self._sweep()
        if self._hand_over(channel, message):
            return True
        queue = self._fresh(channel)
        if len(queue) >= capacity:
            return False
        self._messages[channel] = queue
        queue.append(_Waiting(self._clock() + expiry, message))
        return True

    def put_back(self, channel: str, message: bytes, expiry: float) -> None:
        """Put the message in front that was taken last, and that nobody has got."""
        if not self._hand_over(channel, message):
            queue = self._messages.setdefault(channel, deque())
            queue.appendleft(_Waiting(self._clock() + expiry, message))

    async def receive(self, channel: str, expiry: float) -> bytes:
        """The next message of a channel; one wait that is cancelled loses none."""
        self._sweep()
        if queue := self._fresh(channel):
            message = queue.popleft().message
            if not queue:
                del self._messages[channel]
            return message
        waiter: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(channel, deque()).append(waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.put_back(channel, waiter.result(), expiry)
            else:
                self._forget_waiter(channel, waiter)
            raise

    def group_add(self, group: str, channel: str, capacity: int, expiry: float) -> bool:
        """Make a channel a member of a group for `expiry` seconds."""
        members = self._groups.setdefault(group, {})
        members[channel] = _Member(self._clock() + expiry, capacity)
        return True

    def group_discard(self, group: str, channel: str) -> bool:
        """End a membership, if there is one."""
        members = self._groups.get(group)
        if members is not None:
            members.pop(channel, None)
            if not members:
                del self._groups[group]
        return True

    def group_send(self, group: str, message: bytes, expiry: float) -> Sent:
        """Put a message into the channels of a group; those that are full do not get it."""
        full = total = 0
        now = self._clock()
        for channel, member in list(self._groups.get(group, {}).items()):
            if member.until <= now:
                self.group_discard(group, channel)
                continue
            total += 1
            full += not self.send(channel, message, member.capacity, expiry)
        return Sent(full, total)

    def flush(self, prefix: str) -> None:
        """Forget all messages and groups whose names begin so."""
        for names in (self._messages, self._groups):
            for name in [each for each in names if each.startswith(prefix)]:
                del names[name]

    def _hand_over(self, channel: str, message: bytes) -> bool:
        """Give a message to whoever waits longest; whether somebody does."""
        waiters = self._waiters.get(channel)
        while waiters:
            waiter = waiters.popleft()
            if not waiters:
                del self._waiters[channel]
            if not waiter.done():
                waiter.set_result(message)
                return True
        return False

    def _forget_waiter(self, channel: str, waiter: asyncio.Future[bytes]) -> None:
        waiters = self._waiters.get(channel)
        if waiters is not None and waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiters[channel]

    def _fresh(self, channel: str) -> deque[_Waiting]:
        """The messages of a channel that are not too old."""
        queue = self._messages.get(channel)
        if queue is None:
            return deque()
        now = self._clock()
        while queue and queue[0].until <= now:
            queue.popleft()
        if not queue:
            del self._messages[channel]
        return queue

    def _sweep(self) -> None:
        now = self._clock()
        if now - self._swept < SWEEP_S:
            return
        self._swept = now
        for channel in list(self._messages):
            self._fresh(channel)
        for group, members in list(self._groups.items()):
            for channel in [each for each, member in members.items() if member.until <= now]:
                self.group_discard(group, channel)


_CALLS: dict[str, Callable[..., Any]] = {
    "send": Channels.send,
    "put_back": Channels.put_back,
    "group_add": Channels.group_add,
    "group_discard": Channels.group_discard,
    "group_send": Channels.group_send,
    "flush": Channels.flush,
}

__all__ = ["Channels", "Sent"]
