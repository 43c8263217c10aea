"""The parts of which a broker is made, for one server of Redis or for a cluster."""

from __future__ import annotations

from typing import NamedTuple

from ...options.broker import CLUSTER, BrokerUrl
from ..nodes.subjects import Subjects
from .bus import RedisBus, RoomBus
from .lease import Calls
from .link import Link, Reached
from .streams import LEASE, RedisStreams


class Parts(NamedTuple):
    """A bus, rooms that remember, and what a lease needs: the link of its key, and scripts."""

    link: Reached
    bus: RoomBus
    streams: RedisStreams
    scripts: Calls


def parts_of(url: BrokerUrl, subjects: Subjects) -> Parts:
    """Those that a URL asks for, not connected."""
    if url.kind == CLUSTER:
        return _parts_of_cluster(url, subjects)
    link = Link(url)
    bus = RedisBus(link)
    streams = RedisStreams(link, subjects)
    bus.preparing = streams.opened
    return Parts(link, bus, streams, streams.scripts)


def _parts_of_cluster(url: BrokerUrl, subjects: Subjects) -> Parts:
    from .cluster.bus import ClusterBus
    from .cluster.leading import Leading
    from .cluster.routing import Routing
    from .cluster.shard import Shard
    from .cluster.shards import Shards
    from .cluster.streams import ClusterStreams

    def make(place: BrokerUrl) -> Shard:
        shard = Shard(place, subjects, lambda name: shards.former(streams.slot_of(name)))
        shard.streams.declare(streams.terms_of)
        bus.add(shard)
        return shard

    shards = Shards(url, make)
    routing = Routing(shards)
    leading = Leading(shards, subjects.of(LEASE))
    bus = ClusterBus(shards, routing, subjects)
    streams = ClusterStreams(shards, routing, subjects, leading)
    return Parts(leading, bus, streams, leading)
