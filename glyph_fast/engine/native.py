"""The native engine: the core's poller owns the sockets, the loop watches one descriptor.

asyncio calls Python once per turn, however many peers have sent something in it, and there is no
transport, protocol, task or timer per connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..core import Poller, Turn
from ..http.tls import Tls
from .base import AcceptFailures, Renewal, Sweep, tls_failed

if TYPE_CHECKING:
    from ..core import Connection


class NativeEngine:
    """An engine on the core's `Poller`: TCP, with TLS if `tls` is given, and Unix sockets; Linux.

    `preface` and `renewed` are as the asyncio engine's.
    """

    def __init__(
        self,
        turn: Turn,
        loop: asyncio.AbstractEventLoop,
        *,
        tls: ssl.SSLContext | None = None,
        renewed: Callable[[], ssl.SSLContext | None] | None = None,
        preface: Callable[[Connection, bytes], int] | None = None,
    ) -> None:
        self._loop = loop
        self._failures = AcceptFailures()
        self._listeners: list[socket.socket] = []
        self._poller = Poller(turn, self._failures.failed)
        self._fileno = self._poller.fileno()
        loop.add_reader(self._fileno, self._poller.run_turn)
        self._preface = preface
        self._renewal = Renewal(renewed)
        if tls is not None:
            self._use_tls(tls)
        self.also: Callable[[], object] | None = None
        self._sweep = Sweep(turn, loop, self._swept)

    async def listen(self, sock: socket.socket) -> None:
        """Accept from a bound, listening, non-blocking socket, and own it."""
        if sock.family != getattr(socket, "AF_UNIX", None):
            # Linux hands the option down to accepted sockets: no system call for each of them.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._poller.listen(sock)
        self._listeners.append(sock)

    def stop_listening(self) -> None:
        """Close the listening sockets; connections go on."""
        self._poller.stop_listening()
        for sock in self._listeners:
            sock.close()
        self._listeners.clear()

    async def settle(self) -> None:
        """Return when every socket accepted has its connection: here that is always so."""

    async def close(self) -> None:
        """Abort what is left and release every descriptor. May be called twice."""
        if self._fileno < 0:
            return
        self._sweep.stop()
        self.stop_listening()
        # First the reader, then the descriptor: its number may be another's a moment later.
        self._loop.remove_reader(self._fileno)
        self._fileno = -1
        self._poller.close()

    def _use_tls(self, context: ssl.SSLContext) -> None:
        self._poller.use_tls(context, describe=Tls, failed=tls_failed, preface=self._preface)

    def _swept(self, now: float) -> None:
        if (context := self._renewal.due(now)) is not None:
            self._use_tls(context)
        self._failures.swept()
        self._poller.resume_listening()
        if self.also is not None:
            self.also()
