# cython: annotation_typing=False
"""One end of the stream socket between two processes of one server.

What is sent in one turn of the loop leaves in one system call at its end. An end that does not read
holds up nobody: what waits for it is bounded, and beyond that is dropped and counted, but for what
must not be lost (`send_always`), which is little.

`link.pxd` types this; it is compiled where the core is.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from collections.abc import Callable

from ..logs import SERVER, log
from .frames import BadFrame
from .splitting import Splitter, count

READ_SIZE = 256 * 1024  # bytes read at a time
READS = 4  # at most in one turn of the loop, which has others to serve
BUFFERS = 512  # handed over in one system call; Linux takes 1,024
JOINED = 64 * 1024  # bytes up to which one buffer is cheaper than those of the frames
LIMIT = 64 * 2**20  # bytes that may wait for the other end
CROWD = 8 * 2**20  # bytes from which those who make the link wait are read no more
_READ_SIZE, _BUFFERS, _JOINED = READ_SIZE, BUFFERS, JOINED  # numbers of C where this is compiled


class Link:
    """Sends frames, and gives those that come to `heard`, all of one reading in one list.

    With `joins` publications for one room come as runs, and a run can be sent as one frame is.
    `lost` is called once, when the other end is gone or sends what is no frame. For the loop's
    thread alone.
    """

    def __init__(
        self,
        sock: socket.socket,
        heard: Callable[[list[bytes]], object],
        lost: Callable[[], object],
        *,
        limit: int = LIMIT,
        crowd: int = CROWD,
        joins: bool = False,
    ) -> None:
        sock.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._sock = sock
        self._heard = heard
        self._lost = lost
        self._splitter = Splitter(joins=joins)
        self._waiting: deque[bytes | memoryview] = deque()
        self._is_open = True
        self._is_scheduled = False  # a flush will come by itself
        self._drained: asyncio.Event | None = None  # while somebody waits until all has left
        self.waiting_bytes = 0
        self.limit = limit
        self._crowd = crowd
        self.crowded: Callable[[], object] | None = None  # called by each send of a crowd …
        self.emptied: Callable[[], object] | None = None  # … and when all of it has left
        self._is_crowded = False
        self.dropped = 0  # frames that the other end missed
        self.is_behind = False  # something was dropped since the other end read all
        self.caught_up: Callable[[], object] | None = None  # called when it is not behind any more
        self.heard_at = self._loop.time()
        self._loop.add_reader(sock.fileno(), self.read)

    @property
    def is_open(self) -> bool:
        """Return whether the other end is there, as far as is known."""
        return self._is_open

    @property
    def has_room(self) -> bool:
        """Return whether more may wait for the other end; where not, it is behind from now on."""
        if self.waiting_bytes < self.limit:
            return True
        self._drop(1)
        return False

    def send(self, frame: bytes) -> bool:
        """Send a frame at the end of this turn; False when it is dropped: too much waits."""
        size = len(frame)
        if self.waiting_bytes + size > self.limit:
            self._drop(count(frame))
            return False
        if self._is_open:
            self._waiting.append(frame)
            self.waiting_bytes += size
            if self.waiting_bytes > self._crowd:
                self._tell_crowd()
            if not self._is_scheduled:
                self._schedule()
        return True

    def queue(self, frame: bytes) -> bool:
        """The same for who calls `flush_queued` in this turn."""
        size = len(frame)
        if self.waiting_bytes + size > self.limit:
            self._drop(count(frame))
            return False
        if self._is_open:
            self._waiting.append(frame)
            self.waiting_bytes += size
        return True

    def _drop(self, frames: int) -> None:
        """Count frames that the other end misses; the first of several is told."""
        self.dropped += frames
        if not self.is_behind:
            self.is_behind = True
            log(
                SERVER, logging.WARNING, "a process does not read, and messages for it are dropped",
                waiting_bytes=self.waiting_bytes, limit=self.limit,
            )  # fmt: skip

    def attach(self, frame: bytes, fds: list[int]) -> None:
        """Send the first frame of all at once, and descriptors with it."""
        try:
            socket.send_fds(self._sock, [frame], fds)
        except OSError:
            self.close()

    def send_always(self, frame: bytes) -> None:
        """Send a frame whatever waits. Nothing when the other end is gone."""
        if not self._is_open:
            return
        self._waiting.append(frame)
        self.waiting_bytes += len(frame)
        if self.waiting_bytes > self._crowd:
            self._tell_crowd()
        if not self._is_scheduled:
            self._schedule()

    def _tell_crowd(self) -> None:
        """Have whoever sends so much read no more, if somebody wants to know."""
        if self.crowded is not None:
            self._is_crowded = True
            self.crowded()

    def _end_crowd(self) -> None:
        """All has left, or the other end is gone: go on."""
        self._is_crowded = False
        if self.emptied is not None:
            self.emptied()

    def _schedule(self) -> None:
        self._is_scheduled = True
        self._loop.call_soon(self.flush)

    def flush_queued(self) -> None:
        """Write what the kernel takes now, unless that will come by itself."""
        if not self._is_scheduled:
            self.flush()

    def flush(self) -> None:
        """Write what the kernel takes now."""
        self._is_scheduled = False
        while self._waiting and self._is_open:
            batch = self._take_batch()
            try:
                sent = self._sock.sendmsg(batch)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self.close()
                return
            self.waiting_bytes -= sent
            if self._put_back(batch, sent):
                self._is_scheduled = True
                self._loop.add_writer(self._sock.fileno(), self._writable)
                return
        if self._drained is not None:
            self._drained.set()
        if self._is_crowded:
            self._end_crowd()
        if self.is_behind and self._is_open:
            self.is_behind = False
            if self.caught_up is not None:
                self.caught_up()

    async def drain(self) -> None:
        """Return when the kernel has all that was sent, or the other end is gone."""
        while self._waiting and self._is_open:
            if self._drained is None:
                self._drained = asyncio.Event()
            self._drained.clear()
            await self._drained.wait()

    def _take_batch(self) -> list[bytes | memoryview]:
        """Return what is handed over next."""
        waiting = self._waiting
        if self.waiting_bytes > _JOINED:
            return [waiting.popleft() for _ in range(min(_BUFFERS, len(waiting)))]
        if len(waiting) == 1:
            return [waiting.popleft()]
        batch: list[bytes | memoryview] = [b"".join(waiting)]
        waiting.clear()
        return batch

    def _put_back(self, batch: list[bytes | memoryview], sent: int) -> bool:
        """Let what was not sent wait in its place; whether there is something."""
        for i, each in enumerate(batch):
            size = len(each)
            if sent < size:
                self._waiting.extendleft(reversed(batch[i + 1 :]))
                self._waiting.appendleft(memoryview(each)[sent:])
                return True
            sent -= size
        return False

    def _writable(self) -> None:
        self._loop.remove_writer(self._sock.fileno())
        self.flush()

    def read(self) -> None:
        """Take what has come. The loop calls it; who must know all that was said may, too."""
        if not self._is_open:
            return
        for _ in range(READS):
            try:
                data = self._sock.recv(_READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                return
            self.heard_at = self._loop.time()
            try:
                frames = self._splitter.split(data)
            except BadFrame:
                self.close()
                return
            if frames:
                self._heard(frames)
            if len(data) < _READ_SIZE or not self._is_open:
                return

    def close(self) -> None:
        """Let the other end go, and tell `lost`. May be called twice."""
        if not self._is_open:
            return
        self._is_open = False
        fd = self._sock.fileno()
        self._loop.remove_reader(fd)
        self._loop.remove_writer(fd)
        self._sock.close()
        self._waiting.clear()
        self.waiting_bytes = 0
        if self._drained is not None:
            self._drained.set()
        if self._is_crowded:
            self._end_crowd()
        self._lost()
