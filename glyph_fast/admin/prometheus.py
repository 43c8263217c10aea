"""The figures in Prometheus' text format, made when somebody scrapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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

from ..hub.metrics import CLOSE_CODES, REFUSALS, REJECTIONS, Durations
from .observation import Observation

# The format older than OpenMetrics: there a gauge and a counter may be `glyph_fast_connections`
# and `glyph_fast_connections_total`, which OpenMetrics takes for one name.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "glyph_fast_"


def exposition(observed: Observation, workers: Sequence[Mapping[str, Any]] | None = None) -> bytes:
    """The text of all metrics: the server's, its workers' and those of this process."""
    registry = CollectorRegistry()
    registry.register(ServerCollector(observed))
    if workers is not None:
        registry.register(WorkersCollector(workers))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return generate_latest(registry)


class ServerCollector(Collector):
    """The figures of a server."""

    def __init__(self, observed: Observation) -> None:
        self._observed = observed

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the names are unique in any case."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every metric, as the contract names them."""
        now, counts = self._observed.present, self._observed.counts
        times = self._observed.histograms
        yield _gauge("connections", "Open WebSocket connections", now["connections"])
        yield _counter(
            "connections", "WebSocket connections since the start", counts["connections_total"]
        )
        yield _counters(
            "connections_rejected",
            "Upgrades refused, by reason",
            "reason",
            {**dict.fromkeys(REJECTIONS, 0), **counts["connections_rejected"]},
        )
        yield _counters(
            "disconnects",
            "WebSocket connections ended, by close code",
            "code",
            _by_number({**dict.fromkeys(map(str, CLOSE_CODES), 0), **counts["disconnects"]}),
        )
        yield _counters(
            "requests_refused",
            "HTTP requests refused before any route was asked, by status",
            "status",
            {**dict.fromkeys(map(str, REFUSALS), 0), **counts["requests_refused"]},
        )
        yield _counter(
            "commands_refused",
            "Built-in messages of clients answered with an error",
            counts["commands_refused"],
        )
        yield _counter(
            "events_invalid",
            "Events whose data did not fit the type their handler declares",
            counts["events_invalid"],
        )
        yield _counter("messages_received", "Messages from clients", counts["messages_received"])
        yield _counter("messages_sent", "Messages to clients", counts["messages_sent"])
        yield _counter("bytes_received", "Bytes from clients", counts["bytes_received"])
        yield _counter("bytes_sent", "Bytes to clients", counts["bytes_sent"])
        yield _counters(
            "messages_dropped",
            "Messages not delivered: a full queue's, by policy; or of a client beyond its rate",
            "reason",
            counts["messages_dropped"],
        )
        yield _counter(
            "messages_unhandled",
            "Messages for which the program has no handler",
            counts["messages_unhandled"],
        )
        yield _gauge("queue_bytes", "Bytes in all send queues", now["queue_bytes"])
        yield _gauge("rooms", "Rooms", now["rooms"])
        members = GaugeMetricFamily(
            PREFIX + "room_members", "Members of the largest rooms", labels=["room"]
        )
        for room, size in now["room_members"].items():
            members.add_metric([room], size)
        yield members
        yield _gauge("presence_members", "Members of rooms with presence", now["presence_members"])
        yield _gauge("history_bytes", "Bytes of what rooms remember", now["history_bytes"])
        yield _gauge("history_messages", "Messages that rooms keep", now["history_messages"])
        yield _counters(
            "resumes",
            "Clients that joined with a position, by whether all that they missed was there",
            "result",
            counts["resumes"],
        )
        yield _counter(
            "ids_forgotten", "Ids of messages forgotten before their time", now["ids_forgotten"]
        )
        if "broker_up" in now:
            yield _gauge("broker_up", "Whether the broker is there", now["broker_up"])
            yield _counter(
                "broker_lost", "Messages lost as the broker was not there", now["broker_lost"]
            )
        if "broker_invalid" in now:
            yield _counter(
                "broker_invalid",
                "What came from the broker and was no message of a server",
                now["broker_invalid"],
            )
        yield _counter("handler_errors", "Exceptions raised by handlers", counts["handler_errors"])
        yield _histogram(
            "handler_seconds",
            "Time in message handlers; of those that do not wait one in 16 is timed, for all",
            times["handler_seconds"],
        )
        yield _histogram(
            "broadcast_seconds", "Time to queue one broadcast", times["broadcast_seconds"]
        )
        yield _counter("pongs_missed", "Pings that were not answered", counts["pongs_missed"])
        yield _histogram("ping_rtt_seconds", "Round trips of pings", times["ping_rtt_seconds"])
        if own := self._observed.process:
            yield _counter("cpu_seconds", "Processor time of all processes", own["cpu_seconds"])
            yield _gauge("memory_bytes", "Resident memory of all processes", own["memory_bytes"])
            yield _gauge(
                "open_files", "Open files of the process nearest to its limit", own["open_files"]
            )
            yield _gauge("max_files", "The limit of that process", own["max_files"])
            yield _gauge(
                "loop_lag_seconds", "How late a loop was of late, at most", own["loop_lag_seconds"]
            )


class WorkersCollector(Collector):
    """A line for each worker of a server of several processes."""

    def __init__(self, workers: Sequence[Mapping[str, Any]]) -> None:
        self._workers = workers

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the names are unique in any case."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield what each worker has and costs."""
        for name, help, made in (
            ("connections", "Open WebSocket connections of a worker", GaugeMetricFamily),
            ("cpu_seconds", "Processor time that a worker has used", CounterMetricFamily),
            ("memory_bytes", "Resident memory of a worker", GaugeMetricFamily),
            ("open_files", "Open files of a worker", GaugeMetricFamily),
            ("max_files", "How many files a worker may have open", GaugeMetricFamily),
            ("loop_lag_seconds", "How late the loop of a worker was of late", GaugeMetricFamily),
            ("restarts", "How often a worker was started again", CounterMetricFamily),
        ):
            family = made(f"{PREFIX}worker_{name}", help, labels=["worker"])
            for each in self._workers:
                family.add_metric([str(each["worker"])], each[name])
            yield family


def _gauge(name: str, help: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, help, value=value)


def _counter(name: str, help: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, help, value=value)


def _counters(name: str, help: str, label: str, values: Mapping[Any, float]) -> Metric:
    family = CounterMetricFamily(PREFIX + name, help, labels=[label])
    for key, value in values.items():
        family.add_metric([str(key)], value)
    return family


def _by_number(counts: Mapping[str, int]) -> Mapping[str, int]:
    return dict(sorted(counts.items(), key=lambda each: int(each[0])))


def _histogram(name: str, help: str, histogram: Durations) -> Metric:
    counts, buckets, total = histogram.counts, [], 0
    for bound, count in zip((*map(str, histogram.bounds), "+Inf"), counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return HistogramMetricFamily(PREFIX + name, help, buckets=buckets, sum_value=histogram.total)
