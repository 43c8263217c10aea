"""The TLS bench measures and checks answers; figures are not judged here."""

from __future__ import annotations

import subprocess
import sys

from bench.tls import MASK, WORKS, frames
from tests.serving import ROOT


def test_it_prints_a_figure_for_each_work_and_way_to_serve():
    done = subprocess.run(
        [sys.executable, "-m", "bench.tls", "--rounds", "1", "--scale", "0.01"],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row[0].removeprefix("| ") for row in rows] == list(WORKS)
    assert all(float(row[-1].rstrip(" |")) > 0 for row in rows)


def test_its_frames_are_a_question_and_its_answer():
    for size in (64, 16384):
        question, answer = frames(size)
        payload = answer[-size:]
        assert question[:-size].endswith(MASK)
        assert bytes(b ^ MASK[i % 4] for i, b in enumerate(question[-size:])) == payload
