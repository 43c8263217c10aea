"""Centrifugo's own library for Python, by its own suite, as it comes in its source package."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.serving import ROOT

CASES = 62  # that talk to a server; the others talk to one of the suite's own
WITHIN_S = 300.0


@pytest.mark.both_cores
def test_the_suite_of_the_library_passes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "ci/centrifuge_suites", "-k", "test_client."],
        env={**os.environ, "PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    counts = [int(word) for word in done.stdout.splitlines()[-1].split() if word.isdigit()]
    assert sum(counts) == CASES, done.stdout[-6000:]
