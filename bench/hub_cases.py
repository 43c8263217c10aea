"""Pieces of the hub's work, as `cases.py` has those of the core: for counting instructions.

A hub goes with the core of its process, so these are made for that one alone.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

from glyph_fast import core
from glyph_fast.broker.link import Link
from glyph_fast.broker.switchboard import Switchboard
from glyph_fast.broker.workers import WorkersBroker
from glyph_fast.dialects.publication import Format, bare
from glyph_fast.dialects.stream import enveloped
from glyph_fast.handlers import Dispatcher
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.hub import Hub
from glyph_fast.interfaces import Broker
from glyph_fast.options.config import Config

from .cases import BATCH, Case, NullSink, Operation

HEAD = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
MEMBERS = 10
ROOM = "lobby"
TEXT = "x" * 128
KEPT = 100  # messages; the room is full, so that each publish drops one


class Hall:
    """A hub with one room and its members, who take everything; no loop and no socket."""

    def __init__(
        self,
        format: Format = bare,
        members: int = MEMBERS,
        broker: Broker | None = None,
        **declared: Any,
    ) -> None:
        self.hub = Hub(Config(rooms={ROOM: declared}) if declared else Config(), broker)
        dispatcher = Dispatcher(self.hub)
        limits = core.Limits(queue_messages=1 << 16, queue_bytes=1 << 28, ping_interval=0)
        self.turn = core.Turn(limits, dispatcher, connection_type=Connection)  # type: ignore[arg-type]
        self.hub._attach(self.turn)
        self.dispatcher = dispatcher
        self.members = [self.connect() for _ in range(members)]
        for conn in self.members:
            conn.join_room(ROOM)
        self.speak(self.members, format)
        self.turn.flush()

    def speak(self, some: list[Connection], format: Format) -> None:
        """Give some members another format."""
        for conn in some:
            members = self.hub._rooms._rooms[ROOM]._members
            members.discard(conn)
            members.add(conn, format)

    def connect(self) -> Connection:
        """One more connection, upgraded."""
        conn = Connection(self.turn, NullSink())  # type: ignore[arg-type]
        conn._kept = HEAD
        conn._upgrade()
        self.dispatcher.opened(conn)
        self.turn.flush()
        return conn

    def publish(self) -> None:
        """To all members but one."""
        self.hub.broadcast_to_room(ROOM, TEXT, self.members[0])


@contextmanager
def _publish(_: ModuleType, format: Format = bare, **declared: Any) -> Iterator[Operation]:
    hall = Hall(format, **declared)
    for _each in range(KEPT):
        hall.publish()
    publish = hall.publish

    def run() -> None:
        for _ in range(BATCH):
            publish()

    def check() -> None:
        hall.turn.flush()
        sizes = [conn._sink.size for conn in hall.members]
        run()
        hall.turn.flush()
        grown = [conn._sink.size - size for conn, size in zip(hall.members, sizes, strict=True)]
        if format is bare:
            assert grown == [0] + [BATCH * (4 + len(TEXT))] * (MEMBERS - 1)
        else:
            assert 0 < grown[0] < BATCH * len(TEXT) < min(grown[1:]) == max(grown)
        kept = hall.hub._rooms._broker.figures()["history_messages"]
        assert kept == (KEPT if declared else 0)

    yield Operation(run, check, BATCH, prepare=hall.turn.flush)


class Workers:
    """Two workers and the main process of a server, in one process: a publisher and the members."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._connect())

    async def _connect(self) -> None:
        self._switchboard = Switchboard()
        here, self._from_here = self._worker()
        there, self._from_there = self._worker()
        self.hub = Hub(Config(), here)
        self.hall = Hall(broker=there)
        self._from_there.read()
        self._here, self._there = here._link, there._link

    def _worker(self) -> tuple[WorkersBroker, Link]:
        """The broker of a worker, and main's link to it."""
        ours, theirs = socket.socketpair()
        main = Link(ours, lambda frames: self._switchboard.heard(main, frames), list, joins=True)
        self._switchboard.add(main)
        broker = WorkersBroker(Link(theirs, lambda frames: broker.heard(frames), list))
        return broker, main

    def publish(self) -> None:
        """To all members, of whom none is here."""
        self.hub.broadcast_to_room(ROOM, TEXT)

    def turn(self) -> None:
        """One turn of each process, one after the other, as their loops have it."""
        self._here.flush()
        self._from_here.read()
        self._switchboard._hand_on()
        self._there.read()

    def rest(self) -> None:
        """Let the loop do what it was told, and members' frames leave."""
        self._loop.run_until_complete(asyncio.sleep(0))
        self.hall.turn.flush()

    def close(self) -> None:
        """Let all go."""
        for link in (self._here, self._from_here, self._there, self._from_there):
            link.close()
        self._loop.close()


@contextmanager
def _cross(_: ModuleType) -> Iterator[Operation]:
    workers = Workers()
    publish = workers.publish

    def run() -> None:
        for _ in range(BATCH):
            publish()
        workers.turn()

    def check() -> None:
        workers.rest()
        sizes = [conn._sink.size for conn in workers.hall.members]
        run()
        workers.rest()
        grown = [
            conn._sink.size - size for conn, size in zip(workers.hall.members, sizes, strict=True)
        ]
        assert grown == [BATCH * (4 + len(TEXT))] * MEMBERS

    try:
        yield Operation(run, check, BATCH, prepare=workers.rest)
    finally:
        workers.close()


HUB_CASES = (
    Case("publish-room", _publish),
    Case("publish-history", partial(_publish, history_size=KEPT)),
    Case("publish-across", _cross),
    Case("publish-enveloped", partial(_publish, format=enveloped, history_size=KEPT)),
)
