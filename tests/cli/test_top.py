"""`glyph-fast top`: what it shows of a real server, and how it says that there is none."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import Any

import pytest
from rich.console import Console
from serving import ROOT, serving
from websockets.sync.client import connect

from glyph_fast.cli.top import rates, render, size, span

TOKEN = "let-me-in"


def top(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glyph_fast", "top", *arguments],
        cwd=ROOT, env={**os.environ, "COLUMNS": "120", **env},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_a_screen_goes_into_a_pipe() -> None:
    with serving("--admin", "127.0.0.1:0", "--admin-token", TOKEN) as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        with connect(server.ws("/rooms/lobby/Ada"), proxy=None) as ada:
            ada.recv(timeout=10)
            shown = top(url, GLYPH_FAST_ADMIN_TOKEN=TOKEN)
            assert shown.returncode == 0, shown.stderr
            assert "connections" in shown.stdout
            assert "lobby" in shown.stdout
            assert "\x1b" not in shown.stdout
        refused = top(url)
        assert refused.returncode == 1
        assert "wants a token" in refused.stderr
        other = top(server.url)
        assert other.returncode == 1
        assert "is no operators' port" in other.stderr


def test_a_terminal_is_drawn_anew_until_interrupted() -> None:
    with serving("--admin", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "glyph_fast", "top", url, "--interval", "0.1"],
            cwd=ROOT, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm"},
            # Whoever is run in the background ignores it, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        os.close(theirs)
        try:
            seen, deadline = b"", time.monotonic() + 30
            while seen.count(b"messages in") < 3:
                assert select.select([ours], [], [], deadline - time.monotonic())[0], seen
                seen += os.read(ours, 65536)
            process.send_signal(signal.SIGINT)
            while time.monotonic() < deadline and select.select([ours], [], [], 10)[0]:
                try:
                    os.read(ours, 65536)
                except OSError:  # the other side is closed
                    break
            assert process.wait(10) == 130
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(10)
            assert process.stderr is not None
            process.stderr.close()
            os.close(ours)


def test_nobody_there_is_one_line() -> None:
    nobody = top("127.0.0.1:1")
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("glyph-fast: no answer from 127.0.0.1:1")
    assert nobody.stderr.count("\n") == 1
    assert top("ftp://x").returncode == 2


def figures(**changes: Any) -> dict[str, Any]:
    times = {"count": 3, "sum": 1.0, "p50": 2e-6, "p95": 0.0015, "p99": 2.0}
    none = dict.fromkeys(times, 0)
    return {
        "version": "1", "core": "c", "engine": "e", "uptime_seconds": 10.0, "connections": 12345,
        "messages_received": 10, "messages_sent": 20, "bytes_received": 0, "bytes_sent": 2048,
        "rates": {"messages_received": 1.0, "messages_sent": 2.0, "bytes_received": 0.0,
                  "bytes_sent": 0.0},
        "messages_dropped": {"oldest": 7}, "queue_bytes": 1536, "handler_errors": 2, "rooms": 1,
        "room_members": {"[red]markup[/red]": 3}, "handler_seconds": times,
        "broadcast_seconds": none, "ping_rtt_seconds": none,
        "slowest_consumers": [{"connection": "ab" * 16, "remote": None, "queued_bytes": 1,
                               "queued_messages": 1, "messages_dropped": 7}],
        "recent_errors": [{"handler": "app:[x]", "exception": "KeyError", "count": 2}],
        **changes,
    }  # fmt: skip


def test_everything_is_on_the_screen_as_it_is() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(render(figures(), None))
    for text in ("12,345", "1.5 KiB", "2 µs", "1.5 ms", "[red]markup[/red]", "app:[x]", "abababab"):
        assert text in out.getvalue()


def test_rates_are_those_between_two_looks() -> None:
    before = figures()
    now = figures(uptime_seconds=12.0, messages_received=110, bytes_sent=4096)
    assert rates(now, before)["messages_received"] == 50
    assert rates(now, before)["bytes_sent"] == 1024
    assert rates(figures(uptime_seconds=1.0), now)["messages_sent"] == 2.0


@pytest.mark.parametrize(
    ("shown", "expected"),
    [(size(0), "0 B"), (size(1023), "1023 B"), (size(2**40), "1.0 TiB"), (span(0.25), "250 ms")],
)
def test_figures_are_written_for_people(shown: str, expected: str) -> None:
    assert shown == expected
