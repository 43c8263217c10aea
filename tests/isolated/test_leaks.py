"""Nothing stays behind: no object, no block, no descriptor, no memory, however often it is done.

Each feature has a process of its own. What a round may leave is less than one block in ten rounds;
what happens once, such as a table that grows a last time, is allowed for.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.isolated.features import FEATURES
from tests.isolated.footprint import Footprint
from tests.isolated.leaks import AT_ONCE
from tests.serving import ROOT

DEADLINE_S = 300.0
ONCE = 100  # blocks and objects that a growing table or a cache may come to
ONCE_BYTES = 64 * 1024


def grown_in(features: str, backend: Any, rounds: int) -> dict[str, dict[str, Any]]:
    """What has grown in a process of its own, by feature."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.isolated.leaks", features),
            *(backend.core, backend.engine, backend.loop, str(rounds)),
        ],
        cwd=ROOT,
        env={**os.environ, "GLYPH_FAST_CORE": backend.core},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


def excess(grown: dict[str, Any], rounds: int) -> list[str]:
    """Of what more is left than may be after so many rounds."""
    bounds = {
        "objects": ONCE + rounds // 10,
        "blocks": ONCE + rounds // 10,
        "heap": ONCE_BYTES + rounds * 16,
        "rss": 16 * 1024 * 1024,  # what malloc keeps for itself comes and goes
    }
    return [what for what, bound in bounds.items() if grown[what] >= bound]


def check(features: str, backend: Any, rounds: int) -> None:
    """Judge what has grown. What is found to be too much is looked at over ten times the rounds.

    A leak is ten times as large then. The free lists of the interpreter, which fill up to the
    largest number of things that were there at once, are not.
    """
    for feature, grown in grown_in(features, backend, rounds).items():
        assert grown["descriptors"] == 0, (feature, grown)
        assert not grown["cycles"], (feature, grown)
        if found := excess(grown, rounds):
            longer = grown_in(feature, backend, 10 * rounds)[feature]
            leaks = [what for what in found if longer[what] >= 5 * grown[what]]
            assert not leaks, (feature, leaks, grown, longer)


def test_nothing_is_left_of_hundreds(backend: Any) -> None:
    check(",".join(FEATURES), backend, 6 * AT_ONCE)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("feature", FEATURES)
def test_nothing_is_left_of_thousands(feature: str, backend: Any) -> None:
    check(feature, backend, 150 * AT_ONCE)


def test_what_the_judge_must_find() -> None:
    """A list that grows by an object a round does not go unseen."""
    before = Footprint.now()
    kept = [[number] for number in range(300)]
    grown = Footprint.now().growth(before)
    assert grown.objects >= 300
    assert grown.blocks >= 300
    assert len(kept) == 300
    buffers = [ctypes.create_string_buffer(10_000) for _ in range(100)]
    assert Footprint.now().growth(before).heap >= 1_000_000
    assert len(buffers) == 100


@pytest.mark.parametrize("library", ["isal", "zlib"])
def test_dedicated_contexts_keep_to_the_stated_bound(library: str) -> None:
    command = [sys.executable, "-m", "tests.isolated.contexts", library]
    said = subprocess.check_output(command, cwd=ROOT, text=True, timeout=DEADLINE_S)
    size, stated = map(int, said.split())
    assert stated * 0.9 < size <= stated
