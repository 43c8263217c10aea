"""The figures in Prometheus' text format, made when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from ..core import Histogram
from ..hub import Hub
from ..metrics import CLOSE_CODES, REFUSALS, REJECTIONS

# The format older than OpenMetrics: there a gauge and a counter may be `glyph_fast_connections`
# and `glyph_fast_connections_total`, which OpenMetrics takes for one name.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "glyph_fast_"


def new_registry(hub: Hub) -> CollectorRegistry:
    """A registry of the hub's figures and of those of the process."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(hub))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def exposition(registry: CollectorRegistry) -> bytes:
    """The text of all metrics."""
    return generate_latest(registry)


class ServerCollector(Collector):
    """Reads a hub's figures each time it is asked."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the names are unique in any case."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric, as the contract names them."""
        now, metrics = self._hub.figures(), self._hub.metrics
        core = metrics.core
        yield _gauge("connections", "Open WebSocket connections", now["connections"])
        yield _counter(
            "connections", "WebSocket connections since the start", metrics.connections_total
        )
        rejected = {reason: metrics.connections_rejected[reason] for reason in REJECTIONS}
        yield _counters(
            "connections_rejected",
            "Upgrades refused, by reason",
            "reason",
            {**rejected, **metrics.connections_rejected},
        )
        yield _counters(
            "disconnects",
            "WebSocket connections ended, by close code",
            "code",
            dict(sorted({**dict.fromkeys(CLOSE_CODES, 0), **metrics.disconnects}.items())),
        )
        yield _counters(
            "requests_refused",
            "HTTP requests refused before any route was asked, by status",
            "status",
            {**dict.fromkeys(REFUSALS, 0), **metrics.requests_refused},
        )
        yield _counter(
            "commands_refused",
            "Built-in messages of clients answered with an error",
            metrics.commands_refused,
        )
        yield _counter("messages_received", "Messages from clients", core.messages_received)
        yield _counter("messages_sent", "Messages to clients", core.messages_sent)
        yield _counter("bytes_received", "Bytes from clients", core.bytes_received)
        yield _counter("bytes_sent", "Bytes to clients", core.bytes_sent)
        yield _counters(
            "messages_dropped",
            "Messages not delivered: a full queue's, by policy; or of a client beyond its rate",
            "reason",
            metrics.messages_dropped,
        )
        yield _counter(
            "messages_unhandled",
            "Messages for which the program has no handler",
            metrics.messages_unhandled,
        )
        yield _gauge("queue_bytes", "Bytes in all send queues", now["queue_bytes"])
        yield _gauge("rooms", "Rooms", now["rooms"])
        members = GaugeMetricFamily(
            PREFIX + "room_members", "Members of the largest rooms", labels=["room"]
        )
        for room, size in now["room_members"].items():
            members.add_metric([room], size)
        yield members
        yield _counter("handler_errors", "Exceptions raised by handlers", metrics.handler_errors)
        yield _histogram(
            "handler_seconds",
            "Time in message handlers; of those that do not wait one in 16 is timed, for all",
            core.handler_seconds,
        )
        yield _histogram("broadcast_seconds", "Time to queue one broadcast", core.broadcast_seconds)
        yield _counter("pongs_missed", "Pings that were not answered", core.pongs_missed)
        yield _histogram("ping_rtt_seconds", "Round trips of pings", core.ping_rtt_seconds)


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help, value=value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, help, value=value)


def _counters(name: str, help: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, help, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _histogram(name: str, help: str, histogram: Histogram) -> Metric:
    counts, buckets, total = histogram.counts, [], 0
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return HistogramMetricFamily(PREFIX + name, help, buckets=buckets, sum_value=histogram.total)
