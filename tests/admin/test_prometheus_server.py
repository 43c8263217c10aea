"""A real Prometheus reads the operators' port as docs/operations.md configures it.

`ci/setup` installs it. The alert rules are tried with promtool, each with figures that must raise
it and with those of a healthy server.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from websockets.sync.client import connect

from tests.admin.documented import NAMES, PAGE, PREFIX, blocks
from tests.admin.operated import TOKEN
from tests.serving import ROOT, serving

ALERTS = ROOT / "docs/prometheus/alerts.yml"
WITHIN_S = 30.0
LABELS = 'job="glyph-fast", instance="a"'

# Figures of an hour, one a minute, in the notation of `promtool test rules`.
HEALTHY = {
    "up": "1x60",
    "glyph_fast_connections": "100x60",
    'glyph_fast_disconnects_total{code="1006"}': "0+1x60",
    'glyph_fast_disconnects_total{code="4008"}': "0x60",
    'glyph_fast_connections_rejected_total{reason="full"}': "0x60",
    'glyph_fast_messages_dropped_total{reason="oldest"}': "0x60",
    "glyph_fast_handler_errors_total": "0x60",
    "glyph_fast_queue_bytes": "1000x60",
    "glyph_fast_memory_bytes": "50000000x60",
    'glyph_fast_handler_seconds_bucket{le="0.001"}': "0+100x60",
    'glyph_fast_handler_seconds_bucket{le="0.5"}': "0+100x60",
    'glyph_fast_handler_seconds_bucket{le="+Inf"}': "0+100x60",
    "glyph_fast_open_files": "100x60",
    "glyph_fast_max_files": "1024x60",
    "glyph_fast_broker_up": "1x60",
}
UNHEALTHY = {
    "GlyphFastDown": {"up": "1x50 0x10"},
    "GlyphFastHandlerErrors": {"glyph_fast_handler_errors_total": "0+1x60"},
    "GlyphFastMessagesDropped": {'glyph_fast_messages_dropped_total{reason="oldest"}': "0+9x60"},
    "GlyphFastSlowConsumersCutOff": {'glyph_fast_disconnects_total{code="4008"}': "0x55 20x5"},
    "GlyphFastFull": {'glyph_fast_connections_rejected_total{reason="full"}': "0x57 1x3"},
    "GlyphFastQueuesGrow": {"glyph_fast_queue_bytes": "20000000x60"},
    "GlyphFastHandlersSlow": {'glyph_fast_handler_seconds_bucket{le="0.001"}': "0+95x60"},
    "GlyphFastConnectionsLost": {
        "glyph_fast_connections": "100x57 60x3",
        'glyph_fast_disconnects_total{code="1006"}': "0x57 40x3",
    },
    "GlyphFastFilesNearlyUsedUp": {"glyph_fast_open_files": "900x60"},
    "GlyphFastBrokerLost": {"glyph_fast_broker_up": "1x50 0x10"},
}


@contextmanager
def prometheus(directory: Path, config: dict[str, Any]) -> Iterator[httpx.Client]:
    """A client of the HTTP API of a Prometheus with that configuration."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.fail("no prometheus on PATH: run ci/setup", pytrace=False)
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    subprocess.run(["promtool", "check", "config", file], check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, f"--config.file={file}", f"--web.listen-address={address}",
             f"--storage.tsdb.path={directory / 'data'}", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        with httpx.Client(base_url=f"http://{address}") as client:
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        print((directory / "log").read_text(errors="replace"))  # shown with a failure


def until(found: Callable[[], Any]) -> Any:
    """The first answer that is something; asked again while nobody answers, within a deadline."""
    deadline, problem = time.monotonic() + WITHIN_S, "nothing was found"
    while time.monotonic() < deadline:
        try:
            if answer := found():
                return answer
        except (httpx.HTTPError, IndexError) as exc:  # it has just begun, or knows nothing yet
            problem = repr(exc)
        time.sleep(0.05)
    pytest.fail(f"not within {WITHIN_S:g} s: {problem}")


def configured(admin: str) -> dict[str, Any]:
    """The page's configuration, for this port and this token, and in a hurry."""
    (page,) = blocks("yaml")
    assert "127.0.0.1:9090" in page and "SECRET" in page and "alerts.yml" in page
    text = page.replace("127.0.0.1:9090", admin.removeprefix("http://")).replace("SECRET", TOKEN)
    config: dict[str, Any] = yaml.safe_load(text.replace("alerts.yml", str(ALERTS)))
    config["global"] = {"scrape_interval": "500ms", "scrape_timeout": "500ms",
                        "evaluation_interval": "500ms"}  # fmt: skip
    return config


def test_prometheus_scrapes_what_happens(tmp_path: Path) -> None:
    with serving("--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        admin = server.process.stdout.readline().decode().split()[-1]
        with prometheus(tmp_path, configured(admin)) as api:

            def query(expression: str) -> dict[str, Any]:
                answer = api.get("/api/v1/query", params={"query": expression}).raise_for_status()
                result: dict[str, Any] = answer.json()["data"]["result"][0]
                return result

            assert until(lambda: query('up{job="glyph-fast"}')["value"][1] == "1")
            assert until(lambda: query("glyph_fast_connections")["value"][1] == "0")
            with connect(server.ws("/rooms/lobby/Ada"), proxy=None) as ada:
                ada.send('{"type": "ping"}')
                ada.recv(timeout=10)
                assert until(lambda: query("glyph_fast_connections")["value"][1] == "1")
                assert until(lambda: query('glyph_fast_room_members{room="lobby"}'))
            closed = 'glyph_fast_disconnects_total{code="1000"}'
            assert until(lambda: query(closed)["value"][1] == "1")
            assert until(lambda: float(query(f"increase({closed}[1m])")["value"][1]) > 0)

            names = api.get("/api/v1/label/__name__/values").json()["data"]
            seen = {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}
            assert seen == NAMES
            assert "process_resident_memory_bytes" in names
            (group,) = api.get("/api/v1/rules").json()["data"]["groups"]
            assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
            assert len(group["rules"]) == len(UNHEALTHY)


def series(figures: dict[str, str]) -> list[dict[str, str]]:
    return [
        {
            "series": name[:-1] + f", {LABELS}}}" if name.endswith("}") else f"{name}{{{LABELS}}}",
            "values": values,
        }
        for name, values in figures.items()
    ]


def test_each_alert_is_raised_by_what_it_is_for_and_by_nothing_else(tmp_path: Path) -> None:
    tests = [
        {
            "interval": "1m",
            "input_series": series({**HEALTHY, **changes}),
            "promql_expr_test": [
                {
                    "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                    "eval_time": "59m",
                    "exp_samples": [{"labels": f'{{alertname="{each}"}}', "value": 1}
                                    for each in raised],
                }
            ],
        }
        for raised, changes in [((), {}), *(((name,), bad) for name, bad in UNHEALTHY.items())]
    ]  # fmt: skip
    file = tmp_path / "alerts_test.yml"
    file.write_text(
        json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests})
    )
    for arguments in (["check", "rules", ALERTS], ["test", "rules", file]):
        done = subprocess.run(
            ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_its_reason_on_the_page() -> None:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    alerts = [rule["alert"] for rule in group["rules"]]
    assert set(alerts) == set(UNHEALTHY)
    assert re.findall(r"^\| `(GlyphFast\w+)` \|", PAGE, re.MULTILINE) == alerts
