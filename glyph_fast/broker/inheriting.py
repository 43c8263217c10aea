"""The inheritance of a process, over a link that lasts as long as the one before it.

First the order of rooms that remember comes, as `estate.py` has it. Where that takes too long, or
the former process ends in the middle of it, the rooms that have come whole go on, and the others
begin new epochs. From then on the former process asks as a worker asks its main process.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from ..logs import SERVER, log
from .estate import Receiver
from .frames import BadFrame, Kind
from .link import Link
from .memory import MemoryBroker

WAIT_S = 10.0  # for all of it, since this process serves

_ESTATE = frozenset({Kind.HANDING, Kind.IDS, Kind.STREAMS, Kind.HANDED})


class Inheriting:
    """Takes what comes into `memory`; `came` is called once, when this process has the order.

    `heard` gets the frames that are about anything else.
    """

    def __init__(
        self,
        sock: socket.socket,
        memory: MemoryBroker,
        heard: Callable[[Link, list[bytes]], object],
        came: Callable[[], object],
    ) -> None:
        self.link = Link(sock, self._heard, self._lost)
        self._receiver = Receiver(memory)
        self._hear = heard
        self._came = came
        self._is_over = False
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, seconds: float = WAIT_S) -> None:
        """This process serves: from now on it waits so long."""
        if not self._is_over:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(seconds, self._end, f"it took more than {seconds:g} s")

    def close(self) -> None:
        """Wait no more, and let the former process go."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        self.link.close()

    def _heard(self, frames: list[bytes]) -> None:
        others = []
        for each in frames:
            if each[4] not in _ESTATE:
                others.append(each)
            elif not self._is_over:
                self._take(each)
        if others:
            self._hear(self.link, others)

    def _take(self, frame: bytes) -> None:
        if frame[4] == Kind.HANDED:
            self._end()
            return
        try:
            self._receiver.take(frame)
        except BadFrame as exc:
            self._end(str(exc))
            self.link.close()

    def _lost(self) -> None:
        self._end("the former process has ended")

    def _end(self, problem: str = "") -> None:
        if self._is_over:
            return
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
        got = self._receiver
        if problem:
            log(
                SERVER, logging.ERROR, "not handed over: rooms that remember begin anew",
                reason=problem, came_whole=got.rooms, expected=got.expected,
            )  # fmt: skip
        elif got.rooms:
            log(SERVER, logging.INFO, "taken over", rooms=got.rooms, messages=got.messages)
        self._came()
