"""The measurement of a broker measures something."""

from __future__ import annotations

import json
import subprocess
import sys

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
