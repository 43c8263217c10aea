"""Centrifugo's own library for JavaScript, as it comes from npm, by cases after its own suites.

Its package has no suite. The scripts in `javascript` have the cases, under the suite's names.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.admin.operated import TOKEN
from tests.centrifuge.app.program import SECRET
from tests.nodejs import program
from tests.serving import serving

APP = Path(__file__).parent / "app"
SCRIPTS = Path(__file__).parent / "javascript"
WITHIN_S = 100.0

# Scripts with their arguments, and how many cases each has.
RUNS = {
    "json": (["connections.mjs", "websocket"], 25),
    "protobuf": (["connections.mjs", "websocket", "protobuf"], 25),
    "recovery": (["recovery.mjs", "websocket"], 11),
    "server-api": (["server_api.mjs"], 4),
    "http-stream": (["connections.mjs", "http_stream"], 23),
    "http-stream-protobuf": (["connections.mjs", "http_stream", "protobuf"], 23),
    "http-stream-recovery": (["recovery.mjs", "http_stream"], 11),
    "sse": (["connections.mjs", "sse"], 23),
    "sse-recovery": (["recovery.mjs", "sse"], 11),
}

# With workers one of each kind is enough: what differs there is where a session lives.
WITH_WORKERS = ("json", "protobuf", "recovery", "http-stream")


@contextmanager
def servers(count: int) -> Iterator[dict[str, str]]:
    """Servers of so many processes, as the scripts are told of them."""
    if not (SCRIPTS / "node_modules/installed-for").exists():
        pytest.fail("no library: run ci/centrifuge_suites --fetch", pytrace=False)
    workers = ["--workers", str(count)] if count > 1 else []
    with ExitStack() as stack:
        admin = ["--admin", "127.0.0.1:0", "--admin-token", TOKEN]
        opened = stack.enter_context(serving("program:opened", *admin, *workers, cwd=APP))
        assert opened.process.stdout is not None
        api = opened.process.stdout.readline().decode().split()[-1]
        secured = stack.enter_context(serving("program:secured", *workers, cwd=APP))
        yield {
            "HTTP": opened.url, "SECURED": secured.url, "API": api, "KEY": TOKEN, "SECRET": SECRET,
            "WORKERS": str(count),
        }  # fmt: skip


@pytest.fixture(scope="module")
def alone() -> Iterator[dict[str, str]]:
    with servers(1) as where:
        yield where


@pytest.fixture(scope="module")
def workers() -> Iterator[dict[str, str]]:
    with servers(2) as where:
        yield where


@pytest.mark.both_cores
@pytest.mark.parametrize("run", RUNS)
def test_the_cases_of_the_library_pass(run: str, alone: dict[str, str]) -> None:
    check(run, alone)


@pytest.mark.parametrize("run", WITH_WORKERS)
def test_they_pass_with_two_workers(run: str, workers: dict[str, str]) -> None:
    check(run, workers)


def check(run: str, where: dict[str, str]) -> None:
    """Run a script; every case of it must pass."""
    arguments, count = RUNS[run]
    done = subprocess.run(
        [program("node"), *arguments],
        cwd=SCRIPTS,
        env={**os.environ, **where},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    failed = [f"{each['name']}: {each['error']}" for each in results if each["error"]]
    assert not failed, "\n\n".join(failed)
    assert len(results) == count, done.stderr[-4000:]
