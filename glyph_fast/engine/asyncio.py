"""The asyncio engine: transports of the loop own the sockets. For TLS, and wherever epoll is not.

Each accepted socket is a `Stream`; here they are accepted, counted and ended.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core import Turn
from ..logs import SERVER, log
from .base import BACKLOG, AcceptFailures, Renewal, Sweep
from .newcomers import Newcomers
from .stream import READ_SIZE, BufferStream, DataStream, Stream

if TYPE_CHECKING:
    from ..core import Connection

MAX_ACCEPTS = 64  # connections accepted from one socket at a time
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class AsyncioEngine:
    """An engine on the loop's own transports: any socket, any platform, TLS with `tls` given.

    `preface` reads what stands before TLS: it is given a connection and all that came so far, and
    says how many bytes that was, 0 while it cannot tell, -1 to abort the connection. `renewed` is
    asked now and then for settings of TLS that have changed, for those who come.

    Where the loop can tell that a socket is ready (everywhere but on Windows' proactor), the engine
    accepts by itself. asyncio's server would turn one failing accept into thousands of log lines
    and timers, uvloop's would throw the waiting clients away.
    """

    def __init__(
        self,
        turn: Turn,
        loop: asyncio.AbstractEventLoop,
        *,
        tls: ssl.SSLContext | None = None,
        renewed: Callable[[], ssl.SSLContext | None] | None = None,
        preface: Callable[[Connection, bytes], int] | None = None,
        tells_readiness: bool | None = None,
    ) -> None:
        if tells_readiness is None:
            proactor: type | tuple[()] = getattr(asyncio, "ProactorEventLoop", ())
            tells_readiness = not isinstance(loop, proactor)
        self.turn = turn
        self.loop = loop
        self.tls = tls
        self.newcomers = Newcomers(loop)
        self._renewal = Renewal(renewed)
        self.preface = preface if tls is not None else None
        self.buffer: memoryview | None = memoryview(bytearray(READ_SIZE if tells_readiness else 0))
        self.plaintext: memoryview | None = memoryview(
            bytearray(READ_SIZE if tls is not None else 0)
        )
        self._stream_type = BufferStream if tells_readiness else DataStream
        self._tells_readiness = tells_readiness
        self._servers: list[asyncio.Server] = []
        self._listeners: list[socket.socket] = []
        self._resting: list[socket.socket] = []  # listeners that could not accept
        self._failures = AcceptFailures()
        self._accepted: set[asyncio.Task[Any]] = set()  # sockets that get their transport
        # They have bytes to send: since when none has left, and how many there were.
        self._closing: dict[Stream, tuple[float, int]] = {}
        self._count = 0  # streams whose transport is not gone
        self._all_gone: asyncio.Future[None] | None = None  # set while `close` waits
        self.also: Callable[[], object] | None = None
        self._sweep = Sweep(turn, loop, self._swept)

    async def listen(self, sock: socket.socket) -> None:
        """Accept from a bound, listening, non-blocking socket, and own it."""
        if self._tells_readiness:
            self._listeners.append(sock)
            self.loop.add_reader(sock.fileno(), self._accept, sock)
        else:
            server = await self.loop.create_server(self._new_stream, sock=sock, backlog=BACKLOG)
            self._servers.append(server)

    def stop_listening(self) -> None:
        """Close the listening sockets; connections go on."""
        for server in self._servers:
            server.close()
        for sock in self._listeners:
            self.loop.remove_reader(sock.fileno())
            sock.close()
        self._servers.clear()
        self._listeners.clear()
        self._resting.clear()

    async def settle(self) -> None:
        """Return when every socket accepted has its connection."""
        if self._accepted:
            await asyncio.wait(self._accepted)

    async def close(self) -> None:
        """Abort what is left and return when every transport is gone. May be called twice."""
        self._sweep.stop()
        self.stop_listening()
        await self.settle()
        for conn in self.turn:
            conn.abort()
        for stream in list(self._closing):
            stream.abort()
        if self._all_gone is None:
            self._all_gone = self.loop.create_future()
            if not self._count:
                self._all_gone.set_result(None)
        await self._all_gone
        self.turn.flush()

    # What streams call.

    def opened(self, stream: Stream) -> None:
        """A stream has its transport."""
        self._count += 1
        if self._all_gone is not None:  # accepted a moment before the end
            stream.abort()

    def lost(self, stream: Stream) -> None:
        """A stream's transport is gone."""
        self._closing.pop(stream, None)
        self._count -= 1
        if not self._count and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)

    def close_later(self, stream: Stream) -> None:
        """A stream closes once its bytes have left: not for ever, if the peer reads none."""
        self._closing[stream] = self.turn.clock(), stream.unsent()

    # Accepting.

    def _new_stream(self) -> Stream:
        return self._stream_type(self)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(MAX_ACCEPTS):
            try:
                sock, _peer = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno in OUT_OF_RESOURCES:
                    self.loop.remove_reader(listener.fileno())
                    self._resting.append(listener)
                    self._failures.failed(exc)
                return
            sock.setblocking(False)
            connect = self.loop.connect_accepted_socket(self._new_stream, sock)
            task = self.loop.create_task(connect)
            self._accepted.add(task)
            task.add_done_callback(self._was_accepted)

    def _was_accepted(self, task: asyncio.Task[Any]) -> None:
        self._accepted.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log(SERVER, logging.DEBUG, "connection lost while it was accepted", reason=str(exc))

    def _swept(self, now: float) -> None:
        self.tls = self._renewal.due(now) or self.tls
        for stream, (since, before) in list(self._closing.items()):
            left = stream.unsent()
            if left < before:
                self._closing[stream] = now, left
            elif now - since >= self.turn.limits.close_timeout:
                stream.abort()
        self._failures.swept()
        for listener in self._resting:
            self.loop.add_reader(listener.fileno(), self._accept, listener)
        self._resting.clear()
        if self.also is not None:
            self.also()
