"""A stream: one accepted socket, between asyncio and the core.

It is the protocol that asyncio calls and the sink the core writes to. The transport's buffer is
kept as small as asyncio allows: what the kernel refuses stays in the connection's queue, where the
queue policy still reaches it, save for the last `WRITE_SIZE` bytes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, cast

from ..core import Turn, reset_socket, unacknowledged
from ..http.tls import Tls
from .base import tls_failed
from .newcomers import Newcomers
from .tls import TlsSession

if TYPE_CHECKING:
    from ..core import Connection

READ_SIZE = 256 * 1024  # bytes taken from one peer at a time
WRITE_SIZE = 64 * 1024  # bytes given to a transport at a time
AF_UNIX = getattr(socket, "AF_UNIX", None)  # not on Windows
NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # on, for 0 seconds


class Owner(Protocol):
    """The part of an engine that its streams need."""

    turn: Turn
    loop: asyncio.AbstractEventLoop
    tls: ssl.SSLContext | None
    newcomers: Newcomers
    preface: Callable[[Connection, bytes], int] | None
    buffer: memoryview | None  # what a `BufferStream` reads into; None while it is being handled
    plaintext: memoryview | None  # what any stream decrypts into; the same

    def opened(self, stream: Stream) -> None:
        """A stream has its transport."""
        ...

    def lost(self, stream: Stream) -> None:
        """A stream's transport is gone."""
        ...

    def close_later(self, stream: Stream) -> None:
        """A stream closes once its bytes have left: not for ever, if the peer reads none."""
        ...


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


def _end(sock: socket.socket) -> None:
    """End both sides, for a child as well that holds a copy of the descriptor.

    uvloop's sockets cannot; the descriptor can.
    """
    with suppress(OSError):
        own = socket.socket(sock.family, sock.type, sock.proto, fileno=sock.fileno())
        try:
            own.shutdown(socket.SHUT_RDWR)
        finally:
            own.detach()


class Stream(asyncio.BaseProtocol):
    """One accepted socket, between asyncio and the core."""

    __slots__ = (
        "_conn",
        "_early",
        "_engine",
        "_heard_end",
        "_is_full",
        "_is_new",
        "_is_paused",
        "_is_reset",
        "_is_shut",
        "_preface",
        "_tls",
        "transport",
    )

    def __init__(self, engine: Owner) -> None:
        self._engine = engine
        self._tls = TlsSession(engine.tls) if engine.tls is not None else None
        # Of what stands before TLS, the bytes so far; None when nothing does, or once it is over.
        self._preface = b"" if engine.preface is not None else None
        self._is_new = True  # the core has had no bytes
        self._early: bytes | None = None  # what a newcomer sent, while others have their turn
        self._is_full = False
        self._is_paused = False
        self._is_reset = False
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
            self._conn._write_through(sock.fileno(), self.transport.is_closing)

    def received(self, data: bytes | memoryview) -> None:
        """Bytes came."""
        if not self._is_new:
            self._read(data)
        elif self._early is not None:
            self._early += data
        elif self._engine.newcomers.have_time():
            self._read(data)
            self._is_new = not self._conn.bytes_received
        else:
            self._early = bytes(data)
            self.transport.pause_reading()
            self._engine.newcomers.wait(self)

    def admit(self) -> None:
        """There is time for what a newcomer sent."""
        self._read_early()
        if not (self._is_paused or self._heard_end or self.transport.is_closing()):
            self.transport.resume_reading()

    def _read_early(self) -> None:
        data, self._early = self._early, None
        if data is not None and self._conn._sink is not None:  # else it is gone
            self._read(data)
            self._is_new = not self._conn.bytes_received

    def _read(self, data: bytes | memoryview) -> None:
        if self._tls is None:
            self._conn._feed(data)
        elif not self._is_shut:
            if self._preface is not None:
                data = self._read_preface(self._preface + data)
            if data:
                self._tls.feed(data)
                self._decrypt()

    def eof_received(self) -> bool:
        """The peer ended its side; ours stays open until the core ends it."""
        self._read_early()  # its end comes after what it sent
        self._hear_end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, and its socket about to be closed."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and not self._is_reset:
            _end(sock)
        self._conn._lost()
        self._conn._write_through(-1, None)
        self._conn._sink = None  # no cycle to keep the two alive
        self._engine.lost(self)

    def pause_writing(self) -> None:
        """The kernel refused bytes."""
        self._is_full = True
        self._conn._write_through(-1, None)

    def resume_writing(self) -> None:
        """The kernel has taken them."""
        self._is_full = False
        # Not from here: asyncio's transport, closed by what it calls, would be lost twice.
        self._engine.loop.call_soon(self._write_on)

    def _write_on(self) -> None:
        if self._conn._sink is not None:  # else the transport is gone
            if not self._is_full:
                self._lend()
            self._conn._flush()

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
        """Bytes that wait in the transport, and in the kernel until the peer has them."""
        sock = self.transport.get_extra_info("socket")
        fd = -1 if sock is None else sock.fileno()
        return self.transport.get_write_buffer_size() + (unacknowledged(fd) if fd >= 0 else 0)

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
        if sock is not None and sock.family != AF_UNIX and sock.fileno() >= 0:
            self._is_reset = True
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            reset_socket(sock.fileno())
        self.transport.abort()

    # TLS.

    @property
    def tls(self) -> Tls | None:
        """Return what TLS tells about the peer."""
        return None if self._tls is None else self._tls.tls

    def _read_preface(self, data: bytes) -> bytes:
        """Return what is left of `data` for TLS: nothing while the preface is not complete."""
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
        engine = self._engine
        plaintext = engine.plaintext
        if plaintext is None:  # as in `get_buffer`
            plaintext = memoryview(bytearray(READ_SIZE))
        engine.plaintext = None
        try:
            while not (self._is_paused or self._is_shut or self.transport.is_closing()):
                size = self._tls.read_into(plaintext)
                if not size:
                    self._hear_end()
                    break
                self._conn._feed(plaintext[:size])
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as exc:
            tls_failed(self._conn, exc)
            self._conn._lost()  # which closes the transport, once the alert below has left
        finally:
            engine.plaintext = plaintext
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
            self._conn._feed_eof()


class BufferStream(Stream, asyncio.BufferedProtocol):
    """A stream that reads into the engine's one buffer: it is empty again before the next reads.

    Only a loop that a handler runs inside the server's (nest_asyncio) finds it in use, and reads
    into another.
    """

    __slots__ = ()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer into which asyncio may put what comes."""
        buffer = self._engine.buffer
        if buffer is None:
            self._engine.buffer = buffer = memoryview(bytearray(READ_SIZE))
        return buffer

    def buffer_updated(self, nbytes: int) -> None:
        """So many bytes came."""
        engine = self._engine
        buffer = engine.buffer
        assert buffer is not None  # `get_buffer` has just been asked
        engine.buffer = None
        try:
            self.received(buffer[:nbytes])
        finally:
            engine.buffer = buffer


class DataStream(Stream, asyncio.Protocol):
    """A stream for loops whose reads are pending while others run, so that no buffer is shared."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self.received(data)
