"""Sockets without transports: accept, read and write by epoll."""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ..wire import (
    CLOSED,
)
from .descriptor import _DescriptorSink
from .tls import MAX_SHAKES, _Tls, _TlsSink
from .turn import Turn

if TYPE_CHECKING:
    import ssl

    from .connection import Connection

HAS_POLLER: Final = hasattr(select, "epoll")

READ_SIZE = 256 * 1024  # bytes taken from one peer in one turn

MAX_EVENTS = 256  # descriptors served in one turn

MAX_ACCEPTS = 64  # connections accepted from one socket in one turn


class Poller:
    """The sockets of a native engine: accepts, reads, writes, through one epoll descriptor.

    The loop watches `fileno()` and calls `run_turn` when it is readable. `accept_failed(exc)` is
    called once each time accepting has to pause, with the OSError (EMFILE, ENFILE, …).
    """

    def __init__(self, turn: Turn, accept_failed: Callable[[OSError], object]) -> None:
        self.turn = turn
        turn._poller = self
        self.accept_failed = accept_failed
        self._epoll = select.epoll()
        self._listeners: dict[int, socket.socket] = {}
        self._resting: list[socket.socket] = []
        self._sinks: dict[int, _DescriptorSink] = {}
        self._retired: list[_DescriptorSink] = []
        self._tls: _Tls | None = None  # of those who come
        self._shakes = 0  # steps of handshakes in this turn

    def fileno(self) -> int:
        """The descriptor that becomes readable when a turn is due."""
        return self._epoll.fileno()

    def use_tls(
        self,
        context: ssl.SSLContext,
        *,
        describe: Callable[[ssl.SSLObject], object],
        failed: Callable[[Connection, ssl.SSLError], object],
        preface: Callable[[Connection, bytes], int] | None = None,
    ) -> None:
        """Speak TLS with those who come from now on; called again, with other settings.

        `describe(session)` makes what `conn._sink.tls` gives, `failed(conn, exc)` is told why a
        session broke. `preface(conn, data)` reads what stands before TLS: given all that came so
        far, it says how many bytes that was, 0 while it cannot tell, -1 to abort the connection.
        """
        self.turn.check_thread("use_tls")
        self._tls = _Tls(context, describe, failed, preface)

    def listen(self, sock: socket.socket) -> None:
        """Accept from a bound, listening, non-blocking socket. It stays the caller's to close."""
        self.turn.check_thread("listen")
        self._listeners[sock.fileno()] = sock
        self._epoll.register(sock, select.EPOLLIN)

    def stop_listening(self) -> None:
        """Accept no more."""
        if self.turn._is_forked:
            return  # epoll is shared with the parent, which goes on
        self.turn.check_thread("stop_listening")
        for sock in self._listeners.values():
            if sock not in self._resting:
                self._epoll.unregister(sock)
        self._listeners.clear()
        self._resting.clear()

    def resume_listening(self) -> None:
        """Try again to accept after a failure. For the owner's sweep."""
        self.turn.check_thread("resume_listening")
        for sock in self._resting:
            self._epoll.register(sock, select.EPOLLIN)
        self._resting.clear()

    def run_turn(self) -> None:
        """Accept, read and handle what is there, then write once to each connection.

        Peers that answer at once are often there again by then, so it looks once more before it
        goes back to the loop, which costs more; but it serves a bounded number of events, and
        looks again only while what came is little and nobody's input was left for the next turn:
        that comes by the loop, in which others have timers. Within a turn it does nothing: a loop
        that a handler runs inside its own (nest_asyncio) would write over what is being read.
        """
        self.turn.check_thread("run_turn")
        if self.turn.in_turn:
            return
        served = self._shakes = 0
        counters = self.turn.counters
        enough = counters.bytes_received + READ_SIZE
        while (
            served < MAX_EVENTS
            and counters.bytes_received < enough
            and self._shakes < MAX_SHAKES
            and not self._epoll.closed
        ):
            ready = self._epoll.poll(0, MAX_EVENTS)
            if not ready:
                break
            served += len(ready)
            self.turn.in_turn = True
            try:
                for fd, events in ready:
                    sock = self._listeners.get(fd)
                    if sock is not None:
                        self._accept_safely(sock)
                    elif (sink := self._sinks.get(fd)) is not None:
                        self._serve(sink, events)
            finally:
                # A descriptor is closed at the end of its turn: its number must not be given to a
                # new connection while events of the old one may still be in this turn's list.
                self.turn.in_turn = False
                self.turn.flush()
            self._close_retired()  # `close` came meanwhile: the turn knows this poller no more
            if self.turn._scheduled:
                break

    def close(self) -> None:
        """Abort every connection and close the epoll descriptor."""
        if not self.turn._is_forked:  # there, all connections are the parent's
            self.turn.check_thread("close")
            self.stop_listening()
            for sink in list(self._sinks.values()):
                sink.conn.abort()
            self.turn.flush()  # closes descriptors too, unless a turn runs: then that one does
        self.turn._poller = None
        self._epoll.close()

    def _accept_safely(self, listener: socket.socket) -> None:
        try:
            self._accept(listener)
        except (MemoryError, SystemError) as exc:  # CPython may lose an error without memory
            self.turn._failed(None, exc)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(MAX_ACCEPTS):
            try:
                sock, peername = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    self._epoll.unregister(listener)
                    self._resting.append(listener)
                    self.accept_failed(exc)
                return
            sock.setblocking(False)
            tls = self._tls
            sink = _DescriptorSink(self, sock) if tls is None else _TlsSink(self, sock, tls)
            try:
                sink.conn = self.turn.connection_type(self.turn, sink)
            except BaseException as exc:
                sock.close()
                self.turn._failed(None, exc)
                return
            sink.conn.peername = peername
            self._sinks[sock.fileno()] = sink
            sink.register()

    def _serve(self, sink: _DescriptorSink, events: int) -> None:
        if events & select.EPOLLOUT:
            sink.writable()
        if events & ~select.EPOLLOUT and not sink.is_paused and sink.conn._phase != CLOSED:
            is_first = not sink.conn.bytes_received
            if self._shakes >= MAX_SHAKES and (is_first or not sink.is_ready):
                return  # it is readable in the next turn, too
            try:
                data = sink.sock.recv(READ_SIZE)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                sink.conn._lost()
                return
            if data:
                self._shakes += is_first and sink.is_ready
                sink.received(data)
            else:
                sink.ended()

    def _retire(self, sink: _DescriptorSink) -> None:
        if self._sinks.pop(sink.sock.fileno(), None) is not None:
            if sink.is_registered:
                with suppress(OSError):
                    self._epoll.unregister(sink.sock)
                sink.is_registered = False
            self._retired.append(sink)
            if not self.turn.in_turn:
                self._close_retired()

    def _close_retired(self) -> None:
        retired, self._retired = self._retired, []
        for sink in retired:
            with suppress(OSError):  # for a child as well that holds a copy of the descriptor
                sink.sock.shutdown(socket.SHUT_RDWR)
            sink.sock.close()
            sink.conn._sink = None  # no cycle to keep the two alive
