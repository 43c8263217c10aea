"""The asyncio engine: transports of the loop own the sockets. For TLS, and wherever epoll is not.

A `Stream` is the protocol that asyncio calls and the sink the core writes to. The transport's
buffer is kept as small as asyncio allows: what the kernel refuses stays in the connection's queue,
where the queue policy still reaches it, save for the last `WRITE_SIZE` bytes.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from ..core import Turn
from ..http.tls import Tls
from ..logs import SERVER, log
from .base import BACKLOG, AcceptFailures, Sweep
from .tls import TlsSession

if TYPE_CHECKING:
    from ..core import Connection

READ_SIZE = 256 * 1024  # bytes taken from one peer at a time
WRITE_SIZE = 64 * 1024  # bytes given to a transport at a time
RENEWAL_LOOK_S = 1.0  # between two looks whether there is a new certificate, at least
MAX_ACCEPTS = 64  # connections accepted from one socket at a time
AF_UNIX = getattr(socket, "AF_UNIX", None)  # not on Windows
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # on, for 0 seconds
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def pieces(buffers: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """The same bytes in pieces of at most `WRITE_SIZE`, small ones joined."""
    small: list[bytes | memoryview] = []
    room = WRITE_SIZE
    for data in buffers:
        if len(data) > room:
            view = memoryview(data)
            small.append(view[:room])
            yield b"".join(small)
            view = view[room:]
            while len(view) > WRITE_SIZE:
                yield view[:WRITE_SIZE]
                view = view[WRITE_SIZE:]
            small, room, data = [], WRITE_SIZE, view
        small.append(data)
        room -= len(data)
    if room < WRITE_SIZE:
        yield small[0] if len(small) == 1 else b"".join(small)


class Stream(asyncio.BaseProtocol):
    """One accepted socket, between asyncio and the core."""

    __slots__ = (
        "_conn",
        "_engine",
        "_heard_end",
        "_is_full",
        "_is_paused",
        "_is_shut",
        "_preface",
        "_tls",
        "transport",
    )

    def __init__(self, engine: AsyncioEngine) -> None:
        self._engine = engine
        self._tls = TlsSession(engine.tls) if engine.tls is not None else None
        # Of what stands before TLS, the bytes so far; None when nothing does, or once it is over.
        self._preface = b"" if engine.preface is not None else None
        self._is_full = False
        self._is_paused = False
        self._is_shut = False  # our side is ended
        self._heard_end = False  # the peer's is
        self._conn: Connection
        self.transport: asyncio.Transport

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted."""
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=0)
        turn = self._engine.turn
        self._conn = turn.connection_type(turn, self)
        self._conn.peername = transport.get_extra_info("peername")
        self._lend()
        self._engine.opened(self)

    def _lend(self) -> None:
        """Have the core write to the socket itself, which is the short way while nothing waits."""
        sock = self.transport.get_extra_info("socket")
        if self._tls is None and sock is not None:
            self._conn.write_through(sock.fileno(), self.transport.is_closing)

    def received(self, data: bytes | memoryview) -> None:
        """Bytes came."""
        if self._tls is None:
            self._conn.feed(data)
        elif not self._is_shut:
            if self._preface is not None:
                data = self._read_preface(self._preface + data)
            if data:
                self._tls.feed(data)
                self._decrypt()

    def eof_received(self) -> bool:
        """The peer ended its side; ours stays open until the core ends it."""
        self._hear_end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._conn.lost()
        self._conn.write_through(-1, None)
        self._conn.sink = None  # no cycle to keep the two alive
        self._engine.lost(self)

    def pause_writing(self) -> None:
        """The kernel refused bytes."""
        self._is_full = True
        self._conn.write_through(-1, None)

    def resume_writing(self) -> None:
        """The kernel has taken them."""
        self._is_full = False
        # Not from here: asyncio's transport, closed by what it calls, would be lost twice.
        self._engine.loop.call_soon(self._write_on)

    def _write_on(self) -> None:
        if self._conn.sink is not None:  # else the transport is gone
            if not self._is_full:
                self._lend()
            self._conn.flush()

    # What the core calls.

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Take bytes until the kernel refuses some."""
        if self.transport.is_closing():
            raise BrokenPipeError("the transport is closing")
        if len(buffers) == 1 and self._tls is None and not self._is_full:
            data = buffers[0]
            if len(data) <= WRITE_SIZE:  # the common case
                self.transport.write(data)
                return len(data)
        taken = 0
        for piece in pieces(buffers):
            if self._is_full:
                break
            if self._tls is None:
                self.transport.write(piece)
            else:
                self._tls.write(piece)
                self.transport.write(self._tls.to_send())
            taken += len(piece)
        return taken

    def unsent(self) -> int:
        """Bytes that wait in the transport."""
        return self.transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Deliver no more input for now."""
        self._is_paused = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Deliver input again."""
        self._is_paused = False
        # After the end, asyncio would read it again.
        if not self._heard_end and not self.transport.is_closing():
            self.transport.resume_reading()
            if self._tls is not None:
                self._engine.loop.call_soon(self._decrypt)

    def shutdown(self) -> None:
        """End our side once everything taken has left."""
        if self.transport.is_closing():
            raise BrokenPipeError("the transport is closing")
        self._end_tls()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def close(self) -> None:
        """Close once everything taken has left, within the close timeout."""
        if not self.transport.is_closing():
            self._end_tls()
            self.transport.close()
            if self.transport.get_write_buffer_size():
                self._engine.close_later(self)

    def abort(self) -> None:
        """Close at once, with a reset: the kernel, too, forgets what the peer has not read."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family != AF_UNIX:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self.transport.abort()

    # TLS.

    @property
    def tls(self) -> Tls | None:
        """What TLS tells about the peer."""
        return None if self._tls is None else self._tls.tls

    def _read_preface(self, data: bytes) -> bytes:
        """What is left of `data` for TLS: nothing while the preface is not complete."""
        assert self._engine.preface is not None
        size = self._engine.preface(self._conn, data)
        self._preface = None if size else data
        if size >= 0:
            return data[size:] if size else b""
        self._conn.abort()
        return b""

    def _decrypt(self) -> None:
        """Give the core what can be read, as long as it wants any."""
        assert self._tls is not None
        plaintext = self._engine.plaintext
        try:
            while not (self._is_paused or self._is_shut or self.transport.is_closing()):
                size = self._tls.read_into(plaintext)
                if not size:
                    self._hear_end()
                    break
                self._conn.feed(plaintext[:size])
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            log(SERVER, logging.DEBUG, "TLS failed", reason=exc.reason, peer=self._conn.peername)
            self._conn.lost()  # which closes the transport, once the alert below has left
        self._send_tls()

    def _send_tls(self) -> None:
        """Send what TLS itself has to say: a handshake, a ticket, an alert."""
        assert self._tls is not None
        if data := self._tls.to_send():
            self.transport.write(data)

    def _end_tls(self) -> None:
        if self._tls is not None and not self._is_shut:
            self._is_shut = True
            self._tls.end()
            self._send_tls()

    def _hear_end(self) -> None:
        if not self._heard_end:
            self._heard_end = True
            self._conn.feed_eof()


class BufferStream(Stream, asyncio.BufferedProtocol):
    """A stream that reads into the engine's one buffer: it is empty again before the next reads."""

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where asyncio may put what comes."""
        return self._engine.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        self.received(self._engine.buffer[:nbytes])


class DataStream(Stream, asyncio.Protocol):
    """A stream for loops whose reads are pending while others run, so that no buffer is shared."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.received(data)


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
        self._renewed = renewed
        self._next_look = 0.0  # the turn's time from which on to ask for it again
        self.preface = preface if tls is not None else None
        self.buffer = memoryview(bytearray(READ_SIZE if tells_readiness else 0))
        self.plaintext = memoryview(bytearray(READ_SIZE if tls is not None else 0))
        self._stream_type = BufferStream if tells_readiness else DataStream
        self._tells_readiness = tells_readiness
        self._servers: list[asyncio.Server] = []
        self._listeners: list[socket.socket] = []
        self._resting: list[socket.socket] = []  # listeners that could not accept
        self._failures = AcceptFailures()
        self._accepted: set[asyncio.Task[Any]] = set()  # sockets that get their transport
        self._closing: dict[Stream, float] = {}  # when each began; they have bytes to send
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
        self._closing[stream] = self.turn.clock()

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
        if self._renewed is not None and now >= self._next_look:
            self._next_look = now + RENEWAL_LOOK_S
            self.tls = self._renewed() or self.tls
        oldest = now - self.turn.limits.close_timeout
        for stream in [each for each, since in self._closing.items() if since <= oldest]:
            stream.abort()
        self._failures.swept()
        for listener in self._resting:
            self.loop.add_reader(listener.fileno(), self._accept, listener)
        self._resting.clear()
        if self.also is not None:
            self.also()
