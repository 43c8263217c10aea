"""A real cluster of Redis or Valkey on the loopback, whose slots can be moved.

async with redis_cluster() as cluster:
    ... cluster.url ...
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import chain, repeat
from typing import Any

import hiredis

from glyph_fast.broker.nodes.subjects import Subjects
from glyph_fast.broker.redis.cluster.slots import SLOTS, slot_of
from tests.broker_servers import VALKEY, RedisServer, free_port

OPTIONS = (
    "--cluster-enabled", "yes", "--cluster-node-timeout", "2000",
    "--cluster-require-full-coverage", "no", "--cluster-replica-validity-factor", "0",
    "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1",
)  # fmt: skip
MAKE_S = 40.0


class Cluster:
    """Some primaries, each with an equal part of the slots, and perhaps replicas."""

    def __init__(self, binary: str, primaries: int, replicas: int, *options: str) -> None:
        self.primaries = [self._server(binary, *options) for _ in range(primaries)]
        self.replicas = [self._server(binary, *options) for _ in range(replicas)]

    @staticmethod
    def _server(binary: str, *options: str) -> RedisServer:
        bus = str(free_port())
        return RedisServer(binary, *OPTIONS, "--cluster-port", bus, *options)

    @property
    def servers(self) -> list[RedisServer]:
        """All of them."""
        return self.primaries + self.replicas

    @property
    def url(self) -> str:
        """What `--broker` takes; not all addresses."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in self.primaries[:2])
        return f"redis+cluster://{places}"

    async def make(self) -> None:
        """Start and join them."""
        for each in self.servers:
            each.start()
        for each in self.servers:
            await each.ready()
        count = len(self.primaries)
        for number, each in enumerate(self.primaries):
            first, end = number * SLOTS // count, (number + 1) * SLOTS // count
            each.run("CLUSTER", "ADDSLOTSRANGE", first, end - 1)
            each.run("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        self.join(*self.servers[1:])
        async with asyncio.timeout(MAKE_S):
            await self.agreed()
            for number, each in enumerate(self.replicas):
                await self._replicate(each, self.primaries[number])
            await self.agreed()

    def release(self) -> None:
        """Let nothing of it be left."""
        for each in self.servers:
            each.release()

    def join(self, *servers: RedisServer) -> None:
        """Let the first server meet others."""
        for each in servers:
            bus = each.options[each.options.index("--cluster-port") + 1]
            self.servers[0].run("CLUSTER", "MEET", "127.0.0.1", each.port, bus)

    async def agreed(self) -> None:
        """Return when all servers know all others, and who has which slot."""
        while not self._is_agreed():
            await asyncio.sleep(0.05)

    def _is_agreed(self) -> bool:
        views = {str(self._slots(each)) for each in self.primaries}
        knows = all(
            each.run("CLUSTER", "INFO").count(b"cluster_state:ok")
            and len(each.run("CLUSTER", "NODES").splitlines()) == len(self.servers)
            for each in self.servers
        )
        return knows and len(views) == 1

    @staticmethod
    def _slots(server: RedisServer) -> list[Any]:
        return sorted((each[0], each[1], each[2][1]) for each in server.run("CLUSTER", "SLOTS"))

    async def _replicate(self, replica: RedisServer, primary: RedisServer) -> None:
        id = self.id_of(primary)
        while True:
            try:
                replica.run("CLUSTER", "REPLICATE", id)
            except hiredis.ReplyError:  # it does not know it yet
                await asyncio.sleep(0.05)
                continue
            break
        while b"master_link_status:up" not in replica.run("INFO", "replication"):
            await asyncio.sleep(0.05)

    @staticmethod
    def id_of(server: RedisServer) -> str:
        """By which servers know it."""
        return str(server.run("CLUSTER", "MYID").decode())

    def primary_of(self, room: str) -> RedisServer:
        """Who has a room, unless it was moved."""
        return self.primaries[slot_of_room(room) * len(self.primaries) // SLOTS]

    def move(self, room: str, to: RedisServer, pause: Any = lambda: None) -> None:
        """Move the slot of a room, as `redis-cli --cluster reshard` does."""
        slot = slot_of_room(room)
        source = next(
            each for each in self.primaries
            if any(a <= slot <= b and port == each.port for a, b, port in self._slots(each))
        )  # fmt: skip
        to.run("CLUSTER", "SETSLOT", slot, "IMPORTING", self.id_of(source))
        source.run("CLUSTER", "SETSLOT", slot, "MIGRATING", self.id_of(to))
        pause()
        for count in chain((1, 1), repeat(50)):
            if not (keys := source.run("CLUSTER", "GETKEYSINSLOT", slot, count)):
                break
            source.run("MIGRATE", "127.0.0.1", to.port, "", 0, 5000, "KEYS", *keys)
            pause()
        for each in (to, source, *self.primaries):
            each.run("CLUSTER", "SETSLOT", slot, "NODE", self.id_of(to))


def slot_of_room(room: str) -> int:
    """That of all that belongs to a room."""
    return slot_of(Subjects().of(b"s", room))


def a_room_of_each(cluster: Cluster, begin: str = "kept:") -> list[str]:
    """A room at each primary."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < len(cluster.primaries):
        room = f"{begin}{number}"
        found.setdefault(cluster.primary_of(room).port, room)
        number += 1
    return [found[each.port] for each in cluster.primaries]


@asynccontextmanager
async def redis_cluster(
    primaries: int = 3, replicas: int = 0, *options: str, binary: str = VALKEY
) -> AsyncIterator[Cluster]:
    """A cluster that serves, until the end of the block."""
    cluster = Cluster(binary, primaries, replicas, *options)
    try:
        await cluster.make()
        yield cluster
    finally:
        cluster.release()
