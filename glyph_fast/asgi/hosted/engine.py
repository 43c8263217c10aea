"""An engine without sockets: each connection is one scope of the server around us."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

from ...core import Connection, Turn
from ...engine.base import Sweep
from ...wire import CLOSED

if TYPE_CHECKING:
    from socket import socket

WINDOW = 64 * 1024  # bytes on their way to the server around us, beyond which ours queues


class ScopeEngine:
    """The connections of one run. `scheme` and address of each are its scope's."""

    def __init__(self, turn: Turn, loop: asyncio.AbstractEventLoop) -> None:
        self.turn = turn
        self.loop = loop
        self.context: Context = copy_context()  # what handlers see, whoever caused them to run
        self.also: Callable[[], object] | None = None
        self._sweep = Sweep(turn, loop, self._swept)

    async def listen(self, sock: socket) -> None:
        """There is nothing to listen on."""
        raise NotImplementedError("the server around us listens")

    def stop_listening(self) -> None:
        """Nothing: the server around us has stopped before."""

    async def settle(self) -> None:
        """Nothing: no connection is under way."""

    async def close(self) -> None:
        """Abort what is left."""
        self._sweep.stop()
        for conn in self.turn:
            conn.abort()
        self.turn.flush()

    def _swept(self, now: float) -> None:
        if self.also is not None:
            self.also()


class Pipe:
    """One connection: the sink of the core's side, and what a scope's tasks read and write."""

    def __init__(self, engine: ScopeEngine, scope: Any) -> None:
        self._engine = engine
        self._out = bytearray()
        self._is_over = False  # no more will come of the server
        self._is_cut = False  # nor is what came whole
        self.is_lost = False  # the client is gone
        self._was_full = False
        self._waiter: asyncio.Future[None] | None = None  # for output
        self._can_feed: asyncio.Event = asyncio.Event()
        self._can_feed.set()
        self.scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        turn = engine.turn
        self.conn: Connection = turn.connection_type(turn, self)
        client = scope.get("client")
        self.conn.peername = (str(client[0]), int(client[1] or 0)) if client else ""

    # What the core calls: a `Sink`.

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Take what there is room for."""
        if self._is_over:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
        before = len(self._out)
        for data in buffers:
            room = WINDOW - len(self._out)
            if len(data) > room:
                self._out += memoryview(data)[: max(0, room)]
                self._was_full = True
                break
            self._out += data
        self._wake()
        return len(self._out) - before

    def unsent(self) -> int:
        """Bytes that the server around us has not taken."""
        return len(self._out)

    def pause_reading(self) -> None:
        """Take no more of what the client sends."""
        self._can_feed.clear()

    def resume_reading(self) -> None:
        """Take it again."""
        self._can_feed.set()

    def shutdown(self) -> None:
        """Nothing more comes of this side."""
        self._is_over = True
        self._wake()

    close = shutdown

    def abort(self) -> None:
        """The same, and what has not left is lost."""
        self._out.clear()
        self._is_cut = True
        self.shutdown()

    # What the tasks of the scope call.

    @property
    def is_cut(self) -> bool:
        """Return whether the server has aborted the connection."""
        return self._is_cut

    async def output(self) -> bytes:
        """Return what the server has written since, once there is some; nothing at the end."""
        while not self._out and not self._is_over:
            self._waiter = self._engine.loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        data, self._out = bytes(self._out), bytearray()
        return data

    def taken(self) -> None:
        """The server around us has taken that: ours may write on."""
        if self._was_full:
            self._was_full = False
            self._call(self._flush)

    async def feed(self, data: bytes) -> None:
        """Give the server bytes of the client, once it takes some."""
        await self._can_feed.wait()
        self._call(self._feed, data)
        await asyncio.sleep(0)  # it may ask for a pause

    def answer(self, data: bytes) -> None:
        """Give it what it waits for whatever else it does: the answer to a ping, to a close."""
        self._call(self._feed, data)

    def lost(self) -> None:
        """The client is gone."""
        self._is_over = self.is_lost = True
        self._can_feed.set()
        self._call(self._lose)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _call(self, function: Callable[..., object], *args: Any) -> None:
        # Handlers begin within: they must not run in the task of a scope, nor see its context.
        self._engine.loop.call_soon(function, *args, context=self._engine.context)

    def _feed(self, data: bytes) -> None:
        if self.conn._phase != CLOSED:
            self.conn._feed(data)

    def _flush(self) -> None:
        if self.conn._phase != CLOSED:
            self.conn._flush()

    def _lose(self) -> None:
        self.conn._lost()
        self.conn._sink = None  # no cycle to keep the two alive


__all__ = ["WINDOW", "Pipe", "ScopeEngine"]
