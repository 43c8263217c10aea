"""What waits for the handlers of one connection while one of them runs.

An inbox holds messages, `(opcode, payload)`, and jobs, functions that return a coroutine. The end
of a connection is the last thing in it.
"""

from __future__ import annotations

from asyncio import TimerHandle
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from sys import getsizeof
from typing import Any, TypeAlias

from .eager import Awaited, HandlerTask

Job: TypeAlias = Callable[[], Awaited]


class LastJob(partial[Awaited]):
    """A job that tells of an end, of the connection or of its membership in a room.

    It is never given up because the client is gone.
    """


class Inbox(deque[Any]):
    """The messages and jobs, and `task`, that of the handler or job that runs.

    Once the client is gone, `grace` gives up what still runs; with the inbox it is over. Of one
    that `has_time` handlers of messages are not given up: the server closed the connection.
    """

    __slots__ = ("grace", "has_time", "size", "task")

    task: HandlerTask

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        super().__init__(jobs)
        self.grace: TimerHandle | None = None
        self.has_time = False
        self.size = 0  # bytes of the messages, as they lie in memory

    def put(self, opcode: int, payload: str | bytes) -> None:
        """Add a message."""
        self.append((opcode, payload))
        self.size += getsizeof(payload)

    def take(self) -> Any:
        """Take the next message or job out."""
        item = self.popleft()
        if isinstance(item, tuple):
            self.size -= getsizeof(item[1])
        return item

    def only_ends(self) -> bool:
        """Whether nothing waits but what tells of an end."""
        return all(isinstance(item, LastJob) for item in self)

    def end(self) -> None:
        """Everything is done: a timer that went on would hold the connection until it fires."""
        if self.grace is not None:
            self.grace.cancel()

    def forget_messages(self) -> None:
        """Keep the jobs alone."""
        jobs = [item for item in self if not isinstance(item, tuple)]
        self.clear()
        self.extend(jobs)
        self.size = 0
