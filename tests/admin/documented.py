"""What docs/operations.md documents: its examples, and the names of the metrics."""

from __future__ import annotations

import re

from prometheus_client.parser import text_string_to_metric_families

from tests.serving import ROOT

PREFIX = "glyph_fast_"
NAMES = {
    "connections", "connections_total", "connections_rejected_total", "disconnects_total",
    "messages_received_total", "messages_sent_total", "bytes_received_total", "bytes_sent_total",
    "requests_refused_total", "commands_refused_total", "events_invalid_total",
    "messages_dropped_total", "queue_bytes",
    "messages_unhandled_total", "rooms", "room_members", "presence_members",
    "history_bytes", "history_messages", "resumes_total", "ids_forgotten_total",
    "handler_errors_total",
    "handler_seconds_bucket", "handler_seconds_count", "handler_seconds_sum",
    "broadcast_seconds_bucket", "broadcast_seconds_count", "broadcast_seconds_sum",
    "pongs_missed_total",
    "cpu_seconds_total", "memory_bytes", "open_files", "max_files", "loop_lag_seconds",
    "ping_rtt_seconds_bucket", "ping_rtt_seconds_count", "ping_rtt_seconds_sum",
}  # fmt: skip
BROKER_NAMES = {"broker_up", "broker_lost_total", "broker_invalid_total"}  # with a broker alone
PAGE = (ROOT / "docs/operations.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """What a scrape has, by name and labels."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
