"""Every allocation of a conversation fails once, and some in a row: no stream has a hole."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# The interpreter says so itself where a finalizer has no memory.
IGNORED = re.compile(r"^Exception ignored (?:.|\n)*?^MemoryError.*\n", re.MULTILINE)

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="replaces glibc's malloc"),
    # A program of nothing but lambdas ends by SIGSEGV or SIGABRT there; on 3.11 it does not.
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="CPython itself does not survive it"),
]


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The allocator that fails when it is told to."""
    built = tmp_path_factory.mktemp("allocator") / "failing_malloc.so"
    source = HERE / "failing_malloc.c"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", built, source], check=True)
    return built


@pytest.fixture(
    params=[3, pytest.param(3600, marks=[pytest.mark.slow, pytest.mark.soak])],
    ids=["some", "all"],
)
def seconds(request: pytest.FixtureRequest) -> int:
    """For how long places are tried; in the longer time all are."""
    found: int = request.param
    return found


@pytest.mark.parametrize("counts", ["1", "2,3,4,8,16"], ids=["one fails", "some in a row"])
@pytest.mark.parametrize("way", ["sink", "descriptor", "packed", "poller", "batch"])
def test_a_stream_is_whole_or_its_connection_ends(core, library, way, counts, seconds):
    arguments = [core.__name__.split(".")[-1], way, counts, str(seconds)]
    done = subprocess.run(
        [sys.executable, HERE / "allocations.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "LD_PRELOAD": str(library),
            "PYTHONMALLOC": "malloc",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=seconds + 100,
    )
    assert (done.returncode, IGNORED.sub("", done.stderr)) == (0, "")
    tried, places = map(int, done.stdout.split())
    assert places > 200
    assert tried == places or (tried > 5 and seconds < 100)
