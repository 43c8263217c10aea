"""A server whose output nobody takes: closed, full, or a pipe whose reader has gone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import ROOT, START_S, STOP_S

PROGRAM = """
from glyph_fast import Server

server = Server()


@server.get("/ping")
def ping(request):
    return "pong"
"""
STREAMS = {
    "closed": "<&- >&- 2>&-",
    "full": ">/dev/full 2>/dev/full",
    "no reader": "",
}


def ask(path: Path) -> bytes:
    """The answer to a request on a connection of its own."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(STOP_S)
        sock.connect(str(path))
        sock.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.fixture(params=STREAMS)
def streams(request: pytest.FixtureRequest) -> Iterator[tuple[str, int]]:
    """What a shell redirects, and a descriptor for the rest of the output."""
    reading, writing = os.pipe()
    os.close(reading)
    yield STREAMS[request.param], writing
    os.close(writing)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_goes_on_whatever_becomes_of_what_it_says(
    streams: tuple[str, int], workers: int, tmp_path: Path
) -> None:
    redirected, output = streams
    (tmp_path / "app.py").write_text(PROGRAM)
    path = tmp_path / "socket"
    command = ["serve", "app:server", "--uds", str(path), "--workers", str(workers)]
    process = subprocess.Popen(
        ["sh", "-c", f'exec "$@" {redirected}', "sh", sys.executable, "-m", "glyph_fast", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=output,
        stderr=output,
    )
    try:
        end = time.monotonic() + START_S
        while True:
            try:
                assert ask(path).startswith(b"HTTP/1.1 200 ")
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, "it does not serve"
                time.sleep(0.05)
        for _ in range(50):  # each has its line
            assert ask(path).endswith(b"pong")
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOP_S) == 0
    finally:
        process.kill()
        process.wait()
