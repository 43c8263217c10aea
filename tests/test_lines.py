"""What `ci/lines` counts, and that the examples are as short as their table says."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.serving import ROOT


def counted() -> str:
    done = subprocess.run(
        [sys.executable, "ci/lines"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_table_of_the_examples_is_true() -> None:
    assert counted() in (ROOT / "examples/README.md").read_text(), "run ci/lines --update"


def test_each_program_is_less_than_half_of_what_it_is_by_hand() -> None:
    rows = re.findall(r"\| (\d+) \+ (\d+) \| (\d+) \+ (\d+) \|", counted())
    assert len(rows) == 3
    for row in rows:
        server, page, server_by_hand, page_by_hand = map(int, row)
        assert 2 * (server + page) < server_by_hand + page_by_hand
