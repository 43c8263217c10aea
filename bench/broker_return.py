"""How long a broker that was started again is felt: `python -m bench.broker_return`.

    whole      a node with members in rooms that remember, whose Redis is killed and started again
               with nothing kept: until every member has what was published in its room since
    subscribe  a node that gets so many rooms in one turn: until Redis has confirmed them all, and
               the same on the new link after a restart

Members take everything at once and have no sockets: it is the way to them that is measured. The
node and who publishes share one process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from glyph_fast import core
from glyph_fast.broker.redis.broker import RedisBroker
from glyph_fast.broker.redis.connection import Subscriber
from glyph_fast.dialects.publication import ROOM, json_publication
from glyph_fast.errors import BrokerUnavailable
from glyph_fast.handlers import Dispatcher
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.hub import Hub
from glyph_fast.options.broker import read_broker_url
from glyph_fast.options.config import Config

from .broker import DEADLINE_S, Redis, reached, run
from .cases import NullSink
from .hub_cases import HEAD
from .rivals.comparison import commit, describe_machine

MARK = '{"mark":true}'
_MARK = MARK.encode()
PAUSE_S = 0.005


class Sink(NullSink):
    """Counts how often it was sent the mark."""

    marks = 0

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        """Take all."""
        self.marks += sum(bytes(each).count(_MARK) for each in buffers)
        return super().writev(buffers)


class Node:
    """A hub at a broker, with members in rooms that remember."""

    def __init__(self, url: str, rooms: int, members: int) -> None:
        self.rooms = [f"kept:{n}" for n in range(rooms)]
        self.broker = RedisBroker(read_broker_url(url), "bench")
        self.hub = Hub(Config(rooms={"kept:*": {"history_size": 100}}), self.broker)
        self._dispatcher = Dispatcher(self.hub)
        limits = core.Limits(queue_messages=1 << 16, queue_bytes=1 << 28, ping_interval=0)
        self.turn = core.Turn(limits, self._dispatcher, connection_type=Connection)
        self.hub._attach(self.turn)
        self.members = [self._member(self.rooms[n % rooms]) for n in range(members)]
        self.turn.flush()

    def _member(self, room: str) -> Connection:
        conn = Connection(self.turn, Sink())
        conn._kept = HEAD
        conn._upgrade()
        self._dispatcher.opened(conn)
        conn.join_room(room)
        return conn

    async def told(self, times: int) -> None:
        """Return when each member was sent the mark so often."""
        missing = list(self.members)

        def is_done() -> bool:
            self.turn.flush()
            while missing and missing[-1]._sink.marks == times:
                missing.pop()
            return not missing

        await until(is_done)


async def until(condition: Callable[[], bool]) -> None:
    """Return when it holds. Raises TimeoutError."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(PAUSE_S)


async def publish_to_all(broker: RedisBroker, rooms: list[str]) -> None:
    """Have a message placed in each room, however often that takes."""

    async def one(room: str) -> None:
        while True:
            try:
                await broker.publish_once(json_publication(ROOM, room, MARK))
                return
            except BrokerUnavailable:
                await asyncio.sleep(PAUSE_S)

    await asyncio.gather(*map(one, rooms))


async def whole(redis: Redis, rooms: int, members: int) -> dict[str, float]:
    """Seconds from Redis's first answer after a restart."""
    node, other = Node(redis.url, rooms, members), Node(redis.url, 1, 0)
    for each in (node, other):
        await reached(each.broker)

    await publish_to_all(other.broker, node.rooms)
    await node.told(1)
    redis.kill()
    await until(lambda: node.broker.state == other.broker.state == "lost")
    redis.start()
    began, cpu = time.perf_counter(), time.process_time()
    await until(lambda: node.broker.state == "up")
    reconnected = time.perf_counter()
    await publish_to_all(other.broker, node.rooms)
    await node.told(2)
    ended = time.perf_counter()
    used = time.process_time() - cpu
    lost = node.broker.figures()["broker_lost"]
    await node.broker.close()
    await other.broker.close()
    return {
        "members": members,
        "rooms": rooms,
        "reconnected_s": round(reconnected - began, 2),
        "whole_s": round(ended - began, 2),
        "cpu_s": round(used, 2),
        "lost": lost,
    }


async def subscribe(redis: Redis, rooms: int) -> dict[str, float]:
    """Seconds until all rooms of a turn are subscribed to, and again after a restart."""
    largest = 0
    change = Subscriber.subscribe

    def counted(self: Subscriber, channels: Any, done: Any) -> None:
        nonlocal largest
        largest = max(largest, len(channels))
        change(self, channels, done)

    Subscriber.subscribe = counted  # type: ignore[method-assign]
    node = Node(redis.url, 1, 0)
    broker = node.broker
    await reached(broker)
    wanted = broker._bus._wanted
    began, cpu = time.perf_counter(), time.process_time()
    for n in range(rooms):
        broker.subscribe(f"kept:{n}")
    await until(lambda: all(wanted.values()))
    first, first_cpu = time.perf_counter() - began, time.process_time() - cpu
    await until(lambda: not broker._places._locating._unknown)
    located = time.perf_counter() - began
    redis.kill()
    await until(lambda: broker.state == "lost")
    redis.start()
    began, cpu = time.perf_counter(), time.process_time()
    await until(lambda: broker.state == "up" and all(wanted.values()))
    again, again_cpu = time.perf_counter() - began, time.process_time() - cpu
    Subscriber.subscribe = change  # type: ignore[method-assign]
    await broker.close()
    return {
        "rooms": rooms,
        "largest_batch": largest,
        "subscribed_s": round(first, 2),
        "subscribed_cpu_s": round(first_cpu, 2),
        "positions_known_s": round(located, 2),
        "again_s": round(again, 2),
        "again_cpu_s": round(again_cpu, 2),
    }


def measure(
    server: str, rooms: int, members: int, subscribed: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Both, each with a Redis of its own."""
    with Redis(server) as redis:
        first = run(whole(redis, rooms, members))
    with Redis(server) as redis:
        return first, run(subscribe(redis, subscribed))


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", default="redis-server", help="the server to start")
    parser.add_argument("--rooms", type=int, default=1000)
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--subscribe", type=int, default=100_000, help="rooms subscribed to")
    options = parser.parse_args()
    first, second = measure(options.server, options.rooms, options.members, options.subscribe)
    print(json.dumps({"commit": commit(), "machine": describe_machine()}))
    print(json.dumps({"whole": first}))
    print(json.dumps({"subscribe": second}))


if __name__ == "__main__":
    main()
