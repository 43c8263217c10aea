"""What docs/operations.md shows is run, and the names it uses exist."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from glyph_fast import json
from glyph_fast.admin.calls import CALLS
from glyph_fast.publisher import Publisher
from tests.admin.documented import BROKER_NAMES, NAMES, PAGE, blocks
from tests.admin.operated import BEARER, TOKEN
from tests.serving import ROOT, serving

pytestmark = pytest.mark.application


@pytest.mark.one_process
def test_the_curl_lines_publish_into_the_chat():
    publishing, others = blocks("sh")
    with serving("--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        admin = server.process.stdout.readline().decode().split()[-1]

        def shell(script: str) -> list[dict[str, object]]:
            done = subprocess.run(
                ["sh", "-e", "-c", script.replace("\ncurl", "\necho\ncurl")],
                env={**os.environ, "ADMIN": admin, "TOKEN": TOKEN},
                capture_output=True, text=True, timeout=60, check=True,
            )  # fmt: skip
            return [json.loads(line) for line in done.stdout.splitlines()]

        def publish(**told: int) -> None:
            (answer,) = shell(publishing)
            epoch = answer.pop("epoch")
            assert isinstance(epoch, str) and epoch
            assert answer == {"queued": 0, "dropped": 0, **told}

        publish(sent=0, offset=1)
        with connect(server.ws("/rooms/lobby/Ada"), proxy=None) as ada:
            ada.send('{"type": "ping"}')
            assert json.loads(ada.recv(timeout=10))["type"] == "pong"
            publish(sent=1, offset=2)
            notice = json.loads(ada.recv(timeout=10))
            assert notice == {"type": "notice", "text": "We restart at noon"}
            broadcast, rooms, metadata, closed, batch = shell(others)
            assert broadcast == {"sent": 1, "queued": 0, "dropped": 0}
            assert rooms == {"rooms": [{"name": "lobby", "size": 1}]}
            assert metadata == {"topic": "everything"}
            assert closed == {"closed": 1}
            positions = batch["results"][0].pop("positions")
            assert {room: each["offset"] for room, each in positions.items()} == {
                "lobby": 1,
                "tea": 1,
            }
            assert batch["results"] == [{"sent": 0, "queued": 0, "dropped": 0}, {"closed": 0}]
            assert ada.recv(timeout=10) == '"hello, all"'


def test_the_python_lines_publish():
    program, _ = blocks("python")
    with serving("--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        admin = server.process.stdout.readline().decode().split()[-1]
        exec(program.replace("http://127.0.0.1:9090", admin).replace("SECRET", TOKEN), {})
        with Publisher(admin, TOKEN) as publisher:
            assert publisher.rooms() == {}
        for path in re.findall(r"^\| `(/[a-z.]+)`", PAGE, re.MULTILINE):
            assert httpx.get(admin + path, headers=BEARER).status_code == 200, path


def test_the_lines_that_instrument_a_server_do():
    names: dict[str, Any] = {}
    exec(blocks("python")[1], names)
    assert names["server"]._is_observed


def test_every_metric_is_explained_and_every_alert_uses_one():
    alerts = (ROOT / "docs/prometheus/alerts.yml").read_text()
    for name in NAMES | BROKER_NAMES:
        base = re.sub(r"_(bucket|count|sum)$", "", name)
        assert re.search(rf"`{base}(\{{\w+\}})?`", PAGE), base
    used = set(re.findall(r"\bglyph_fast_([a-z_]+)", alerts))
    assert used
    assert used <= NAMES | BROKER_NAMES


def test_every_call_is_in_the_table():
    assert set(re.findall(r"^\| `([a-z-]+)` \| `", PAGE, re.MULTILINE)) == {*CALLS, "batch"}


def test_the_grafana_dashboard_draws_every_metric_and_no_other():
    dashboard = json.loads((ROOT / "docs/grafana/glyph-fast.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    drawn = {name for each in expressions for name in re.findall(r"glyph_fast_(\w+)", each)}
    assert drawn == {name for name in NAMES | BROKER_NAMES if not name.endswith(("_count", "_sum"))}
    for each in expressions:
        assert each.count("(") == each.count(")")
        assert "$job" in each
