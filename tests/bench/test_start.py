"""The bench of starts measures and checks answers; figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys

from bench.start import OURS, STARTS, THEIRS
from tests.serving import ROOT


def test_it_prints_figures_for_each_start_of_both(tmp_path):
    file = tmp_path / "start.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench.start", "--rounds", "1", "--json", str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert list(dict.fromkeys(row[0].removeprefix("| ") for row in rows)) == list(STARTS)
    assert all(float(row[-1].rstrip(" |")) > 0 for row in rows)
    figures = json.loads(file.read_text())["figures"]
    served = figures["serve the same ASGI application, to the first answer"]
    assert all(each["pss_mib"] > 0 for who in (OURS, THEIRS) for each in served[who])
