"""The bench of tails measures and checks answers; figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.tails import PERCENTILES, SERVERS, page
from tests.serving import ROOT


def test_it_measures_both_shares_of_what_a_server_takes_and_a_reload(tmp_path):
    file = tmp_path / "tails.json"
    command = [
        *(sys.executable, "-m", "bench.tails", "--samples", "1", "--seconds", "0.2"),
        *("--servers", "glyph-fast", "--loads", "echo,stalled", "--json", str(file)),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    echo, stalled = found["runs"]
    assert echo["saturation"] > 0 and stalled["saturation"] > 0
    for taken in (echo["half"], echo["nine tenths"], stalled["half"]):
        if "failed" not in taken:  # a machine with other work may stop keeping up
            low, middle, high = (taken[key] for key in PERCENTILES)
            assert 0 < low <= middle <= high
    assert [each["is_replaced"] for each in found["reloads"]] == [False, True]
    assert all(each["clients"] == 100 and each["p50"] > 0 for each in found["reloads"])
    assert page(found) + "\n" == done.stdout


def test_its_page_says_who_does_not_keep_up_and_where_bun_stands():
    def run(server: str, p99: float) -> dict[str, object]:
        taken = {"p50": 10.0, "p99": p99, "p99.9": 900.0, "busy": 0.5, "client_busy": 0.4}
        return {
            **{"load": "echo", "server": server, "saturation": 9000.0, "limit": "server"},
            **{"half": taken, "nine tenths": {"failed": "the server does not keep up"}},
        }

    text = page(
        {
            **{"date": "2026-11-30", "commit": "abc", "plan": {"samples": 1, "seconds": 1}},
            "machine": dict.fromkeys(("processor", "cpus", "system", "python", "load_average"), 1),
            "runs": [run("glyph-fast", 30.0), run("bun", 40.0)],
            "reloads": [],
        }
    )
    row = next(line for line in text.splitlines() if line.startswith("| Bun"))
    assert (
        "| 9,000 (server) | 10.0 (10.0–10.0) | 40.0 (40.0–40.0) | 900 (900–900) | 50%, 40% |" in row
    )
    assert row.count("does not keep up") == 1
    assert "The p99 of glyph-fast is 0.75 (half) of Bun's" in text


def test_the_server_with_workers_is_the_same_with_one_more_option(tmp_path):
    one, several = (SERVERS[name] for name in ("glyph-fast", "glyph-fast-workers"))
    assert several.command(tmp_path, 1) == [*one.command(tmp_path, 1), "--workers", "2"]
