"""Connections without sockets: an engine whose every connection is a pipe in this process.

The server's end of a `Pipe` is the sink of a core connection, as it is for a socket. What one side
writes reaches the other in an iteration of the loop of its own, never from within the write, so the
order of things is that of a network. Time stands still until a test moves it.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Protocol

from ..core import Connection, Turn
from ..engine.base import sweep_interval
from ..wire import CLOSED

if TYPE_CHECKING:
    from socket import socket

NOON = 1000.0  # seconds; where a test's clock begins: anything but 0, which means "never"
ANSWER_TURNS = 3  # iterations between what a peer hears and its answer, a pong say
QUIET_TURNS = 10  # iterations of the loop without a delivery after which nothing more is expected


class Clock:
    """The server's clock, in seconds; `now` is for the test to set."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Peer(Protocol):
    """The client's end of a pipe."""

    def received(self, data: bytes) -> None:
        """Bytes came from the server."""
        ...

    def ended(self) -> None:
        """No more will come."""
        ...


class Pipe:
    """One connection: the sink of the server's side, and the methods of the peer's."""

    def __init__(self, engine: MemoryEngine, peer: Peer, remote: str | None) -> None:
        self._engine = engine
        self._peer = peer
        self._to_server = bytearray()
        self._to_peer = bytearray()
        self._is_scheduled = False
        self._peer_ended = False  # the peer's side is ended
        self._server_ended = False
        self._is_told = False  # whether the peer knows
        self._is_cut = False
        self.is_paused = False  # the server reads no more for now
        self.is_stalled = False  # the peer does not read
        self._room = 0  # bytes the network takes although the peer does not read
        turn = engine.turn
        self.conn: Connection = turn.connection_type(turn, self)
        self.conn.peername = (remote, 50000) if remote else ""

    # The server's side: a `Sink`.

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Take everything, or what the network still takes for a peer that does not read."""
        if self._is_cut:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        data = b"".join(buffers)
        if self.is_stalled:
            data = data[: self._room]
            self._room -= len(data)
        self._to_peer += data
        self._schedule()
        return len(data)

    def unsent(self) -> int:
        """Bytes taken that are still on this side: none."""
        return 0

    def pause_reading(self) -> None:
        """Deliver no more to the server."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Deliver again."""
        self.is_paused = False
        self._schedule()

    def shutdown(self) -> None:
        """The server has ended its side."""
        self._server_ended = True
        self._schedule()

    close = shutdown

    def abort(self) -> None:
        """The server is gone, and with it what the peer has not read."""
        self._to_peer.clear()
        self._is_cut = True
        self.shutdown()

    # The peer's side.

    @property
    def unread(self) -> int:
        """Bytes that the server has not read."""
        return len(self._to_server)

    def write(self, data: bytes) -> None:
        """Send bytes to the server."""
        if not self._peer_ended:
            self._to_server += data
            self._schedule()

    def end(self) -> None:
        """End the peer's side."""
        self._peer_ended = True
        self._schedule()

    def cut(self) -> None:
        """Lose the connection: neither side hears another byte."""
        self._is_cut = self._peer_ended = self._server_ended = True
        self._to_server.clear()
        self._to_peer.clear()
        self._schedule()

    def stall(self, room: int) -> None:
        """Read no more; the network takes `room` more bytes."""
        self.is_stalled = True
        self._room = room

    def read(self, size: int) -> None:
        """Let a stalled peer have so many more bytes, and stall again."""
        self._room += size
        self._engine.call_soon(self._flush)

    def resume(self) -> None:
        """Read again."""
        self.is_stalled = False
        self._engine.call_soon(self._flush)
        self._schedule()

    def _flush(self) -> None:
        if self.conn._phase != CLOSED:
            self.conn._flush()

    # Deliveries.

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._engine.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._is_scheduled = False
        self._deliver_to_peer()
        self._deliver_to_server()

    def _deliver_to_server(self) -> None:
        if self._is_cut:
            self.conn._lost()
            return
        if self.is_paused or self.conn._phase == CLOSED:
            return
        if self._to_server:
            data, self._to_server = bytes(self._to_server), bytearray()
            self.conn._feed(data)
            if self._peer_ended:
                self._schedule()  # what answers the data leaves first
        elif self._peer_ended:
            self.conn._feed_eof()

    def _deliver_to_peer(self) -> None:
        # What the network has taken for a peer that does not read lies there until it does.
        if self._to_peer and not self.is_stalled:
            data, self._to_peer = bytes(self._to_peer), bytearray()
            self._peer.received(data)
        if self._server_ended and not self._to_peer and not self._is_told:
            self._is_told = True
            self._peer.ended()


class MemoryEngine:
    """An engine of pipes. `advance` makes time pass for the connections of its turn."""

    def __init__(self, turn: Turn, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self.turn = turn
        self._loop = loop
        self._clock = clock
        self._context = copy_context()  # what handlers see, whoever caused them to run
        self._under_way = 0
        self._is_listening = True
        self.also: Callable[[], object] | None = None

    async def listen(self, sock: socket) -> None:
        """There is nothing to listen on."""
        raise NotImplementedError("connections in memory need no socket")

    def stop_listening(self) -> None:
        """Refuse new connections."""
        self._is_listening = False

    async def close(self) -> None:
        """Abort what is left."""
        self._is_listening = False
        for conn in self.turn:
            conn.abort()
        self.turn.flush()

    def connect(self, peer: Peer, remote: str | None) -> Pipe:
        """A new connection. Raises ConnectionRefusedError when the server does not listen."""
        if not self._is_listening:
            raise ConnectionRefusedError(
                errno.ECONNREFUSED, "the server has stopped listening: nobody can connect"
            )
        return Pipe(self, peer, remote)

    async def advance(self, seconds: float) -> None:
        """Let time pass in the steps in which a server looks at its clock."""
        step = sweep_interval(self.turn.limits)
        end = self._clock.now + seconds
        while self._clock.now < end:
            self._clock.now = min(self._clock.now + step, end)
            self.turn.sweep(self._clock.now)
            if self.also is not None:
                self.also()
            self.turn.flush()
            await self.settle(ANSWER_TURNS)
        await self.settle()

    async def settle(self, quiet_turns: int = QUIET_TURNS) -> None:
        """Return when nothing is under way and `quiet_turns` iterations brought nothing new."""
        quiet = 0
        while quiet < quiet_turns:
            await asyncio.sleep(0)
            quiet = 0 if self._under_way else quiet + 1

    def call_soon(self, function: Callable[[], None]) -> None:
        """Call a function in the next iteration of the loop; `settle` waits for it."""
        self._under_way += 1
        self._loop.call_soon(self._call, function, context=self._context)

    def _call(self, function: Callable[[], None]) -> None:
        self._under_way -= 1
        function()
