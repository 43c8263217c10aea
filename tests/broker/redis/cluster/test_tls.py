"""Servers that share a Redis Cluster over TLS, which tells the names in its certificates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.broker.redis.nodes import Follower, nodes, until
from tests.broker_servers import REDIS, RedisServer, free_port
from tests.engine.certificates import shared_certificate
from tests.redis_cluster import Cluster, a_room_of_each


class ClusterWithTls(Cluster):
    """One that tests command without TLS, and servers of ours with it."""

    @staticmethod
    def _server(binary: str, *options: str) -> RedisServer:
        cert, key = shared_certificate()
        more = (
            "--tls-port", str(free_port()), "--tls-cert-file", cert, "--tls-key-file", key,
            "--tls-ca-cert-file", cert, "--tls-auth-clients", "no", "--tls-cluster", "yes",
            "--cluster-announce-hostname", "localhost",
            "--cluster-preferred-endpoint-type", "hostname",
        )  # fmt: skip
        return Cluster._server(binary, *more, *options)

    @staticmethod
    def port_of(server: RedisServer) -> int:
        """Where it speaks TLS."""
        return int(server.options[server.options.index("--tls-port") + 1])

    @property
    def url(self) -> str:
        places = ",".join(f"localhost:{self.port_of(each)}" for each in self.primaries[:2])
        return f"rediss+cluster://{places}"


@pytest.fixture
def cluster(run: Any) -> Iterator[ClusterWithTls]:
    made = ClusterWithTls(REDIS, 3, 0)
    try:
        run(made.make())
        yield made
    finally:
        made.release()


def test_rooms_of_all_primaries_are_shared_over_tls(
    run: Any, monkeypatch: pytest.MonkeyPatch, cluster: ClusterWithTls
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", shared_certificate().cert)

    async def main() -> None:
        rooms = a_room_of_each(cluster)
        async with nodes(cluster, 2) as (one, two), AsyncExitStack() as stack:
            for room in rooms:
                follower = await stack.enter_async_context(Follower(two, room))
                await one.hub.publish(room, "by TLS")
                await follower.follows("by TLS")
            for each in cluster.primaries:
                ours = [line for line in each.run("CLIENT", "LIST").split(b"\n")
                        if b"name=glyph-fast" in line]  # fmt: skip
                assert len(ours) == 4  # two of each node
                assert all(b":%d " % ClusterWithTls.port_of(each) in line for line in ours)
            cluster.primaries[0].run("CLIENT", "KILL", "TYPE", "pubsub")
            await until(lambda: one.figures["broker_up"] and two.figures["broker_up"])
            follower = await stack.enter_async_context(Follower(two, rooms[0]))
            await one.hub.publish(rooms[0], "again")
            await follower.follows("again")

    run(main())
