"""The server's figures as OpenTelemetry metrics, read when somebody collects them.

They are the core's counters, so every instrument is an observable one. OpenTelemetry has no
observable histogram: of durations there are count, sum and percentiles; whoever needs the buckets
takes them from `/metrics` of the operators' port.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from ..hub.hub import Hub
from ..hub.metrics import CLOSE_CODES, REFUSALS, REJECTIONS, summary

Values = Callable[[], Iterable[Observation]]

TIMES = {"handler": "message handlers", "broadcast": "broadcasts", "ping_rtt": "pings' round trips"}
# Names of rooms told apart since the start. The SDK keeps an entry for each set of attributes it
# has ever seen, and clients choose the names: without a bound of ours its memory would be theirs to
# fill (new versions stop at 2,000).
MAX_ROOM_NAMES = 1000
OVERFLOW = {"otel.metric.overflow": True}  # OpenTelemetry's word for what is not told apart
PERCENTILES = ("p50", "p95", "p99")


def observe(meter: Meter, hub: Hub) -> None:
    """Create the instruments for a hub's figures. Their callbacks may run in any thread."""
    metrics = hub.metrics

    def core(name: str) -> Values:
        return lambda: [Observation(getattr(metrics.core, name))]

    def labelled(label: str, counts: Callable[[], Mapping[Any, int]]) -> Values:
        return lambda: [
            Observation(value, {label: str(key)}) for key, value in dict(counts()).items()
        ]

    counters: list[tuple[str, str, str, Values]] = [
        ("connections.opened", "{connection}", "WebSocket connections since the start",
         lambda: [Observation(metrics.connections_total)]),
        ("connections.rejected", "{connection}", "Upgrades refused, by reason",
         labelled("reason", lambda: dict.fromkeys(REJECTIONS, 0) | metrics.connections_rejected)),
        ("connections.closed", "{connection}", "WebSocket connections ended, by close code",
         labelled("code", lambda: dict.fromkeys(CLOSE_CODES, 0) | metrics.disconnects)),
        ("requests.refused", "{request}", "HTTP requests refused before any route was asked",
         labelled("status", lambda: dict.fromkeys(REFUSALS, 0) | metrics.requests_refused)),
        ("commands.refused", "{message}", "Built-in messages of clients answered with an error",
         lambda: [Observation(metrics.commands_refused)]),
        ("events.invalid", "{message}", "Events whose data did not fit the type of their handler",
         lambda: [Observation(metrics.events_invalid)]),
        ("messages.received", "{message}", "Messages from clients", core("messages_received")),
        ("messages.sent", "{message}", "Messages to clients", core("messages_sent")),
        ("messages.dropped", "{message}", "Messages not delivered because a queue was full",
         labelled("reason", lambda: metrics.messages_dropped)),
        ("messages.unhandled", "{message}", "Messages for which the program has no handler",
         lambda: [Observation(metrics.messages_unhandled)]),
        ("bytes.received", "By", "Bytes from clients", core("bytes_received")),
        ("bytes.sent", "By", "Bytes to clients", core("bytes_sent")),
        ("handler.errors", "{error}", "Exceptions raised by handlers",
         lambda: [Observation(metrics.handler_errors)]),
        ("pongs.missed", "{ping}", "Pings that were not answered", core("pongs_missed")),
    ]  # fmt: skip
    for name, unit, text, values in counters:
        meter.create_observable_counter(f"glyph_fast.{name}", [_callback(values)], unit, text)
    _observe_present(meter, hub)
    for name, what in TIMES.items():
        _observe_times(meter, hub, name, what)


def _observe_present(meter: Meter, hub: Hub) -> None:
    for name, key, unit, text in (
        ("connections", "connections", "{connection}", "Open WebSocket connections"),
        ("queue.size", "queue_bytes", "By", "Bytes in all send queues"),
        ("queue.messages", "queue_messages", "{message}", "Messages in all send queues"),
        ("rooms", "rooms", "{room}", "Rooms"),
    ):

        def present(key: str = key) -> list[Observation]:
            return [Observation(hub._figures()[key])]

        meter.create_observable_up_down_counter(
            f"glyph_fast.{name}", [_callback(present)], unit, text
        )

    names: set[str] = set()

    def members() -> list[Observation]:
        found, others = [], 0
        for room, size in hub._figures()["room_members"].items():
            if room in names or len(names) < MAX_ROOM_NAMES:
                names.add(room)
                found.append(Observation(size, {"room": room}))
            else:
                others += size
        if others:
            found.append(Observation(others, OVERFLOW))
        return found

    meter.create_observable_gauge(
        "glyph_fast.room.members", [_callback(members)], "{member}", "Of the largest rooms"
    )


def _observe_times(meter: Meter, hub: Hub, name: str, what: str) -> None:
    def times() -> dict[str, float]:
        return summary(getattr(hub.metrics.core, f"{name}_seconds"))

    def percentiles() -> list[Observation]:
        now = times()
        if not now["count"]:
            return []
        return [Observation(now[each], {"quantile": f"0.{each[1:]}"}) for each in PERCENTILES]

    base = f"glyph_fast.{name}.duration"
    meter.create_observable_gauge(
        base, [_callback(percentiles)], "s", f"Percentiles of the durations of {what}"
    )
    meter.create_observable_counter(
        f"{base}.count", [_callback(lambda: [Observation(times()["count"])])], "1", f"Of {what}"
    )
    meter.create_observable_counter(
        f"{base}.sum", [_callback(lambda: [Observation(times()["sum"])])], "s", f"Of {what}"
    )


def _callback(values: Values) -> Callable[[CallbackOptions], Iterator[Observation]]:
    return lambda options: iter(values())
