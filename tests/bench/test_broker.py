"""The measurement of a broker measures something."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.brokers import page
from tests.broker_servers import VALKEY
from tests.serving import ROOT


def test_every_figure_is_there():
    command = [
        sys.executable, "-m", "bench.broker", "--server", VALKEY, "--json", "--messages", "320",
        "--samples", "1", "--seconds", "0.2",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=50)
    figures = json.loads(done.stdout)
    for name in ("publish_us", "tell_us", "receive_us", "latency_p50_ms", "latency_p99_ms"):
        assert figures[name] > 0


def test_members_come_back_whole_and_subscriptions_go_in_batches():
    command = [
        sys.executable, "-m", "bench.broker_return", "--server", VALKEY,
        "--rooms", "5", "--members", "20", "--subscribe", "700",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=50)
    _, whole, subscribe = map(json.loads, done.stdout.splitlines())
    assert whole["whole"]["members"] == 20 and whole["whole"]["whole_s"] > 0
    assert subscribe["subscribe"]["largest_batch"] == 500
    row = {"median": 1.0, "least": 0.5, "most": 2.0}
    text = page({
        "machine": {"processor": "P", "cpus": 2, "load_average": 1.0, "python": "3"},
        "commit": "c", "versions": {"redis": "8"}, "rounds": 1, "window": 16, "rate": 1000,
        "rows": {"told publish_us": row}, **whole, **subscribe,
    })  # fmt: skip
    assert "| glyph-fast, a room that remembers | 1.00 (0.50 to 2.00) |  |  |  |" in text
