"""Many client connections in one thread, over one epoll descriptor.

The frames are written and parsed by the core in client role, masking included; this file opens
sockets, moves bytes between them and the core, and writes once per connection and turn.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..core import Connection, Limits, Turn
from ..engine.tls import client_context
from ..logs import visible
from ..websocket.deflate import CLIENT_OFFER
from ..wire import ABNORMAL, CLIENT
from .opening import check_answer, compression_of, new_key, request_head
from .options import MAX_SOURCES, Options

RECEIVE = 256 * 1024  # bytes read from one connection at a time
MAX_EVENTS = 512
_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h: choose the port at connect, when the peer is known
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends a reset
_NO_LIMIT = 1 << 30
QUIET_S = 0.1  # without a message, after which a server has said all that it says by itself
LONGEST_GREETING_S = 2.0
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ, _WRITE = 1, 4  # EPOLLIN, EPOLLOUT; `select` has the names on Linux alone


def ended_by(code: int, reason: str) -> str:
    """Tell how a connection ended."""
    if code == ABNORMAL:
        return "lost"
    return f"closed with {code} {visible(reason)}".rstrip()


class LoadError(Exception):
    """The run cannot go on, or the server did not do what was asked of it."""


class Peer(Connection):
    """One connection of the client, with what the modes keep about it."""

    __slots__ = ("index", "key", "opened_at", "room", "seat")

    index: int
    room: int
    key: bytes
    opened_at: int  # ns; when the connection was asked for
    seat: Any  # whose `hear` takes what comes, in modes that follow a flow


class SocketSink:
    """Takes the bytes of one connection to its socket."""

    __slots__ = ("_epoll", "events", "is_ready", "peer", "sock")

    peer: Peer

    def __init__(self, epoll: select.epoll, sock: socket.socket) -> None:
        self._epoll = epoll
        self.sock: socket.socket | None = sock
        self.events = _WRITE  # until it is connected
        self.is_ready = False  # connected, and TLS has shaken hands
        epoll.register(sock, self.events)

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Send what the kernel takes; wait for EPOLLOUT when that was not all."""
        sock = self.sock
        if sock is None or not self.is_ready:
            return 0
        data = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        try:
            taken = sock.send(data)
        except _NOT_NOW:
            taken = 0
        full = taken < len(data)
        if full != bool(self.events & _WRITE):
            self.watch(self.events ^ _WRITE)
        return taken

    def watch(self, events: int) -> None:
        """Have epoll report these events."""
        if self.sock is not None and events != self.events:
            self.events = events
            self._epoll.modify(self.sock, events)

    def unsent(self) -> int:
        """Nothing is kept here."""
        return 0

    def pause_reading(self) -> None:
        """Leave what comes in the kernel."""
        self.watch(self.events & ~_READ)

    def resume_reading(self) -> None:
        """Read again."""
        self.watch(self.events | _READ)

    def shutdown(self) -> None:
        """End the writing side; reading goes on until the server closes."""
        if self.sock is not None:
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket."""
        if self.sock is not None:
            self._epoll.unregister(self.sock)
            self.sock.close()
            self.sock = None

    def abort(self) -> None:
        """Have the coming `close` reset the connection."""
        if self.sock is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


class _Bystander:
    """The seat of a connection whose work has not begun: a server may greet."""

    def hear(self, peer: Peer, payload: str | bytes) -> None:
        """Pass it over."""


class Workload:
    """The work of a mode: the handler of the core's client connections.

    A mode overrides `opened`, `message` and perhaps `closed`. What goes wrong is kept in `error`
    and ends the run at the end of the turn.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.compresses = False

    def opened(self, peer: Peer) -> None:
        """The handshake of `peer` is done."""

    def message(self, peer: Peer, opcode: int, payload: str | bytes) -> None:
        """`peer` received a message."""

    def closed(self, peer: Peer, code: int, reason: str) -> None:
        """`peer` is closed, which as a rule was not asked for."""
        self.fail(LoadError(f"connection {peer.index} was {ended_by(code, reason)}"))

    def fail(self, error: BaseException) -> None:
        """End the run with this error, unless it has one."""
        self.error = self.error or error

    def request(self, peer: Peer, head: bytes) -> None:
        """The core has a complete head, which for a client is the server's answer."""
        check_answer(head, peer.key)
        if self.compresses:
            peer._use_codec(compression_of(head, peer.key))
        peer._upgrade()
        self.opened(peer)

    def refuse(self, peer: Peer, status: int) -> None:
        """The server's answer is not a head at all."""
        self.fail(LoadError("the server's answer to the handshake is too long"))

    def data(self, peer: Peer, chunk: bytes) -> int:
        """A client expects no body."""
        return len(chunk)

    def ended(self, peer: Peer) -> None:
        """Cannot happen: a client holds nobody."""

    def closing(self, peer: Peer, code: int, reason: str) -> None:
        """Cannot happen: no peer holds a close."""

    def full(self, peer: Peer) -> None:
        """Cannot happen: the client's queues have no limit that a run reaches."""

    def drain(self, peer: Peer) -> None:
        """Nobody waits."""

    def close(self, peer: Peer, code: int, reason: str) -> None:
        """The core's last call for `peer`."""
        self.closed(peer, code, reason)

    def failed(self, peer: Peer | None, exc: BaseException) -> None:
        """One of the methods above raised."""
        self.fail(exc)


class Swarm:
    """Opens connections, and runs turns: read, handle, write."""

    def __init__(self, options: Options, workload: Workload) -> None:
        self.options = options
        self.workload = workload
        self.peers: list[Peer] = []
        self.opened = 0  # handshakes completed
        self._epoll = select.epoll()
        self._sinks: dict[int, SocketSink] = {}
        self._buffer = bytearray(RECEIVE)
        self._view = memoryview(self._buffer)
        self._turn = Turn(_limits(options), workload)
        self._family, self._address = _resolve(options.host, options.port)
        self._tls = None
        if options.place.is_secure:
            self._tls = client_context(options.ca, insecure=options.insecure)
        is_loopback = self._address[0].startswith("127.")
        self._sources = [f"127.0.0.{n + 1}" for n in range(MAX_SOURCES)] if is_loopback else []
        self._host = options.place.host_field
        workload.compresses = options.compression
        self._extensions = CLIENT_OFFER if options.compression else ""

    def connect(
        self, index: int, *, room: int = 0, receive_buffer: int = 0, target: str = ""
    ) -> Peer:
        """Begin to open a connection; the workload hears when it is open."""
        sock = self._new_socket(index, receive_buffer)
        sink = SocketSink(self._epoll, sock)
        peer = Peer(self._turn, sink, CLIENT)
        sink.peer = peer
        peer.index, peer.room, peer.seat = index, room, _BYSTANDER
        peer.opened_at = time.perf_counter_ns()
        peer.key = new_key()
        target = target or self.options.target(room)
        head = request_head(
            *(target, self._host, peer.key),
            browser=self.options.browser_head,
            extensions=self._extensions,
            authorization=self.options.place.authorization,
        )
        peer._write(head)
        self._sinks[sock.fileno()] = sink
        try:
            sock.connect(self._address)
        except BlockingIOError:
            pass
        else:
            self._connected(sink)
        return peer

    def _new_socket(self, index: int, receive_buffer: int) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if self._sources:
            # One pair of addresses has 28,000 ports; several sources multiply that.
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((self._sources[index % len(self._sources)], 0))
        return sock

    def _connected(self, sink: SocketSink) -> None:
        assert sink.sock is not None
        error = sink.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            self.workload.fail(LoadError(f"cannot connect: {os.strerror(error).lower()}"))
            return
        if self._tls is not None and not self._shake_hands(sink, self._tls):
            return
        sink.is_ready = True
        sink.watch(_READ)
        sink.peer._flush()

    def _shake_hands(self, sink: SocketSink, tls: ssl.SSLContext) -> bool:
        """Go on with TLS; whether it is done."""
        assert sink.sock is not None
        try:
            if not isinstance(sink.sock, ssl.SSLSocket):  # it keeps its descriptor
                name = self.options.place.server_name
                sink.sock = tls.wrap_socket(
                    sink.sock, server_hostname=name, do_handshake_on_connect=False
                )
            sink.sock.do_handshake()
        except ssl.SSLWantReadError:
            sink.watch(_READ)
        except ssl.SSLWantWriteError:
            sink.watch(_WRITE)
        except ssl.SSLCertVerificationError as exc:
            why = f"its certificate is not trusted: {exc.verify_message.lower()} (--ca, --insecure)"
            self.workload.fail(LoadError(f"cannot connect: {why}"))
        except OSError as exc:
            why = getattr(exc, "reason", None) or exc.strerror or str(exc)
            self.workload.fail(LoadError(f"cannot connect by TLS: {why.lower().replace('_', ' ')}"))
        else:
            return True
        return False

    def turn(self, timeout: float = 0.1) -> int:
        """Serve what is ready, waiting up to `timeout` seconds for it; return how much there was.

        Raises what the workload failed with.
        """
        sinks, view = self._sinks, self._view
        events = self._epoll.poll(timeout, MAX_EVENTS)
        for fd, event in events:
            sink = sinks[fd]
            if not sink.is_ready:
                if self.workload.error is None:
                    self._connected(sink)
                continue
            if event & _WRITE:
                sink.peer._flush()
            if event & ~_WRITE and sink.sock is not None:
                try:
                    size = sink.sock.recv_into(view)
                except _NOT_NOW:
                    continue
                except OSError:
                    sink.peer._lost()
                    continue
                if size:
                    sink.peer._feed(view[:size])
                else:
                    sink.peer._feed_eof()
        self._turn.flush()
        if self.workload.error is not None:
            raise self.workload.error
        return len(events)

    def run_until(self, done: Callable[[], bool], what: str, timeout: float) -> None:
        """Run turns until `done()`. Raises LoadError naming `what` when `timeout` seconds pass."""
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                raise LoadError(f"timed out after {timeout:g} s waiting for {what}")
            self.turn(0.05)

    def hear_greetings(self) -> None:
        """Let a server say what it says to whoever comes, before work begins."""
        heard = self._turn.counters
        quiet_since = time.monotonic()
        end = quiet_since + LONGEST_GREETING_S
        while (now := time.monotonic()) < end and now - quiet_since < QUIET_S:
            before = heard.messages_received
            self.turn(QUIET_S / 4)
            if heard.messages_received != before:
                quiet_since = time.monotonic()

    def reset(self, peers: Sequence[Peer]) -> None:
        """End connections with a reset: no closing handshake, no TIME_WAIT."""
        closed = self.workload.closed
        self.workload.closed = _ignore  # type: ignore[assignment, method-assign]
        for peer in peers:
            peer.abort()
        self._turn.flush()
        self.workload.closed = closed  # type: ignore[method-assign]

    def close(self) -> None:
        """Reset what is open and release every descriptor."""
        if not self._epoll.closed:
            self.reset([sink.peer for sink in self._sinks.values() if sink.sock is not None])
            self._epoll.close()


_BYSTANDER = _Bystander()


def _resolve(host: str, port: int) -> tuple[int, Any]:
    """Family and address, of IPv4 where there is one. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found.sort(key=lambda each: each[0] != socket.AF_INET)
    return found[0][0], found[0][4]


def _ignore(*_: object) -> None:
    pass


def _limits(options: Options) -> Limits:
    """A client that drops nothing of its own, pings nobody and times nobody out."""
    return Limits(
        max_message_size=max(2 * options.size, 1 << 20),
        queue_messages=1 << 24,
        queue_bytes=_NO_LIMIT,
        ping_interval=0,
    )
