"""What a node does with messages of rooms that remember: for counting instructions.

Redis is left out: what leaves is thrown away, and its answers are written here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any, cast

from glyph_fast.broker.crossing import pack as packed
from glyph_fast.broker.nodes.messages import Said, head
from glyph_fast.broker.ordering import order, placed
from glyph_fast.broker.redis.broker import RedisBroker
from glyph_fast.broker.redis.connection import Connection, Subscriber, pack
from glyph_fast.broker.redis.login import Server
from glyph_fast.dialects.publication import ROOM, Publication, json_publication
from glyph_fast.options.broker import read_broker_url
from glyph_fast.options.rooms import RoomDeclaration
from glyph_fast.wire import NOBODY, SendResult

from .cases import BATCH, Case, Operation

NAME, PLAIN = "kept:bench", "bench"  # rooms: one that remembers, and one that does not
TEXT = '{"text":"' + "x" * 100 + '"}'
EPOCH = "abcdefgh"


class NullTransport:
    """Takes everything."""

    def __init__(self) -> None:
        self.size = self.calls = 0

    def write(self, data: bytes) -> None:
        """Count it."""
        self.calls += 1
        self.size += len(data)

    def get_write_buffer_size(self) -> int:
        """Nothing waits."""
        return 0


class Node:
    """A node whose link is up, without a server."""

    def __init__(self) -> None:
        self.delivered: list[Publication] = []
        self.transport = NullTransport()
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._connect())
        self._offset = 0

    async def _connect(self) -> None:
        self.broker = broker = RedisBroker(read_broker_url("redis://127.0.0.1"), "bench")
        broker.attach(self._deliver)
        terms = RoomDeclaration(pattern="*", history_size=100)
        broker.remember(lambda name: None if name == PLAIN else terms, 0, lambda publication: None)
        link = broker.link
        broker._bus.attach(broker.nodes.heard, lambda is_up: None)
        link.server = Server("0" * 40, True, False, "7.2.4")
        link.commands = Connection(lambda conn: None)
        link.subscriber = Subscriber(lambda conn: None, link.pushed)
        for conn in (link.commands, link.subscriber):
            conn.connection_made(cast(Any, self.transport))
        broker.subscribe(NAME)
        broker.subscribe(PLAIN)
        self.channel = broker._streams.keys(NAME).stream
        link.is_up = True

    def _deliver(self, publication: Publication) -> SendResult:
        self.delivered.append(publication)
        return NOBODY

    def rest(self) -> None:
        """Let the loop do what it was told."""
        self._loop.run_until_complete(asyncio.sleep(0))
        self.delivered.clear()

    def messages(self) -> bytes:
        """What Redis publishes then."""
        asked = order(json_publication(ROOM, NAME, TEXT), None)
        first = self._offset + 1
        self._offset += BATCH
        return b"".join(
            pack(("message", self.channel, placed(asked, EPOCH, n, 1e9)))
            for n in range(first, first + BATCH)
        )

    def plain_messages(self) -> bytes:
        """What another node publishes to the other room."""
        said = head(Said.PUBLISH, b"another node")
        frame = packed(json_publication(ROOM, PLAIN, TEXT))
        assert frame is not None
        subject = self.broker.nodes._of_room(PLAIN)
        return pack(("message", subject, said + frame)) * BATCH

    def close(self) -> None:
        """Let all go."""
        self._loop.close()


@contextmanager
def _publish(_: ModuleType, name: str = NAME) -> Iterator[Operation]:
    """Sixteen messages of one turn, their one write, and the answers of one read."""
    node = Node()
    broker, commands = node.broker, node.broker.link.commands
    answers = b":0\r\n" * BATCH  # what Redis says to so many that want no position

    def run() -> None:
        for _ in range(BATCH):
            broker.publish(json_publication(ROOM, name, TEXT))
        commands.flush()
        commands.data_received(answers)

    def check() -> None:
        run()
        calls, size = node.transport.calls, node.transport.size
        run()
        assert node.transport.calls == calls + 1
        assert node.transport.size > size + BATCH * len(TEXT)
        assert broker.figures()["broker_lost"] == 0

    try:
        yield Operation(run, check, BATCH, prepare=node.rest)
    finally:
        node.close()


@contextmanager
def _receive(_: ModuleType) -> Iterator[Operation]:
    """Sixteen messages of one read, delivered in their order."""
    node = Node()
    subscriber = node.broker.link.subscriber
    data = node.messages()

    def prepare() -> None:
        nonlocal data
        node.rest()
        data = node.messages()

    def run() -> None:
        subscriber.data_received(data)

    def check() -> None:
        prepare()
        run()
        offsets = [each.offset for each in node.delivered]
        assert offsets == list(range(offsets[0], offsets[0] + BATCH))
        assert all(each.payload == TEXT.encode() for each in node.delivered)

    try:
        yield Operation(run, check, BATCH, prepare=prepare)
    finally:
        node.close()


@contextmanager
def _receive_plain(_: ModuleType) -> Iterator[Operation]:
    """The same of a room that remembers nothing."""
    node = Node()
    subscriber, data = node.broker.link.subscriber, node.plain_messages()

    def run() -> None:
        subscriber.data_received(data)

    def check() -> None:
        node.rest()
        run()
        assert [each.payload for each in node.delivered] == [TEXT.encode()] * BATCH

    try:
        yield Operation(run, check, BATCH, prepare=node.rest)
    finally:
        node.close()


BROKER_CASES = (
    Case("broker-publish", _publish),
    Case("broker-publish-plain", partial(_publish, name=PLAIN)),
    Case("broker-receive", _receive),
    Case("broker-receive-plain", _receive_plain),
)
