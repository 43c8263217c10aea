"""The sink of a connection whose socket the poller owns."""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .connection import Connection
from .sockets import reset_socket, unacknowledged

if TYPE_CHECKING:
    from .poller import Poller


class _DescriptorSink:
    """The sink of a connection whose socket the poller owns."""

    is_ready = True  # whether reading costs no more than usual

    __slots__ = ("conn", "is_full", "is_paused", "is_registered", "poller", "sock")

    def __init__(self, poller: Poller, sock: socket.socket) -> None:
        self.poller = poller
        self.sock = sock
        self.conn: Connection  # set once it exists: each is made with the other
        self.is_full = False
        self.is_paused = False
        self.is_registered = False

    def register(self) -> None:
        """Tell epoll what to wait for."""
        epoll = self.poller._epoll
        events = (0 if self.is_paused else select.EPOLLIN) | (
            select.EPOLLOUT if self.is_full else 0
        )
        try:
            if self.is_registered and events:
                epoll.modify(self.sock, events)
            elif events:
                epoll.register(self.sock, events)
        except OSError:
            self.conn._lost()  # nobody would hear of it any more
            return
        if self.is_registered and not events:
            # Not merely an empty mask: EPOLLHUP would still be reported, turn after turn.
            epoll.unregister(self.sock)
        self.is_registered = bool(events)

    def writable(self) -> None:
        """The kernel takes bytes again."""
        self.conn._flush()

    def received(self, data: bytes) -> None:
        """Bytes came."""
        self.conn._feed(data)

    def ended(self) -> None:
        """The peer ended its side."""
        self.conn._feed_eof()

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        data = buffers[0] if len(buffers) == 1 else b"".join(buffers)
        try:
            taken = self.sock.send(data)
        except (BlockingIOError, InterruptedError):
            taken = 0
        is_full = taken < len(data)
        if is_full != self.is_full:
            self.is_full = is_full
            self.register()
        return taken

    def unsent(self) -> int:
        return unacknowledged(self.sock.fileno())

    def pause_reading(self) -> None:
        if not self.is_paused:
            self.is_paused = True
            self.register()

    def resume_reading(self) -> None:
        if self.is_paused:
            self.is_paused = False
            self.register()

    def shutdown(self) -> None:
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.poller._retire(self)

    def abort(self) -> None:
        reset_socket(self.sock.fileno())
