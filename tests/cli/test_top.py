"""`glyph-fast top`: what it shows of a real server, and how it says that there is none."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from websockets.sync.client import connect

from glyph_fast.cli import main
from glyph_fast.cli.top import rates, render, size, span
from glyph_fast.engine.tls import server_context
from tests.engine.certificates import make_certificate
from tests.hostile import ANSWERS, ESCAPES, Client, assert_one_line, hostile
from tests.serving import ROOT, serving

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
            ada.send('{"type": "ping"}')
            ada.recv(timeout=10)
            shown = top(url, GLYPH_FAST_ADMIN_TOKEN=TOKEN)
            assert shown.returncode == 0, shown.stderr
            assert "connections" in shown.stdout
            assert "lobby" in shown.stdout
            assert "\x1b" not in shown.stdout
        refused = top(url)
        assert refused.returncode == 1
        assert "wants a token" in refused.stderr
        assert "refuses this token" in top(url, "--token", TOKEN + "x").stderr
        named = top(url.replace("127.0.0.1", "0.0.0.0"), "--token", TOKEN)  # the same machine
        assert "refuses: the Host header is not" in named.stderr
        other = top(server.url)
        assert other.returncode == 1
        assert "is no operators' port" in other.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-"])
def test_a_stream_that_is_closed_is_no_terminal(closed: str) -> None:
    with serving("--admin", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        url = server.process.stdout.readline().decode().split()[-1]
        done = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -m glyph_fast top {url} {closed}'],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


class Terminal:
    """`glyph-fast top` on a terminal."""

    def __init__(self, url: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "glyph_fast", "top", url, "--interval", "0.1"],
            cwd=ROOT, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE,
            env={**os.environ, "TERM": "xterm"},
            # Whoever is run in the background ignores it, and so do its children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        os.close(theirs)

    def _read(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        assert left > 0 and select.select([self._ours], [], [], left)[0]
        return os.read(self._ours, 65536)

    def until(self, text: bytes, times: int = 1) -> None:
        """Read until the text has come so often."""
        seen, deadline = b"", time.monotonic() + 30
        while seen.count(text) < times:
            seen += self._read(deadline)

    def until_without(self, text: bytes) -> None:
        """Read until three screens in a row have come without the text."""
        seen, deadline = b"", time.monotonic() + 30
        while seen.rpartition(text)[2].count(b"messages in") < 3:
            seen += self._read(deadline)

    def drain(self) -> None:
        """Read until the other side is closed."""
        with suppress(OSError):
            while select.select([self._ours], [], [], 10)[0]:
                os.read(self._ours, 65536)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        assert self.process.stderr is not None
        self.process.stderr.close()
        os.close(self._ours)


def test_a_terminal_is_drawn_anew_until_interrupted() -> None:
    with serving("--admin", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        terminal = Terminal(server.process.stdout.readline().decode().split()[-1])
        try:
            terminal.until(b"messages in", times=3)
            terminal.process.send_signal(signal.SIGINT)
            terminal.drain()
            assert terminal.process.wait(10) == 130
        finally:
            terminal.close()


def test_nobody_there_is_one_line() -> None:
    nobody = top("127.0.0.1:1")
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("glyph-fast: no answer from 127.0.0.1:1")
    assert nobody.stderr.count("\n") == 1
    assert "connection refused" in nobody.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("ftp://x",), ("http://",), ("127.0.0.1:abc",), ("127.0.0.1:99999",), ("http://[::1:9",),
        ("127.0.0.1:1", "--token", "a\nb"), ("127.0.0.1:1", "--token", "grüße"),
        ("http://a b",), ("http://ä",), ("http://a\x1b[31m",), ("127.0.0.1:1", "--interval", "nan"),
        ("127.0.0.1:1", "--interval", "1e300"), ("https://127.0.0.1:1", "--ca", "/no/such/file"),
        ("https://127.0.0.1:1", "--ca", "x", "--insecure"),
        ("http://127.0.0.1:1", "--ca", "x"), ("127.0.0.1:1", "--insecure"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_one_line_and_status_2(arguments: tuple[str, ...]) -> None:
    wrong = top(*arguments)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1


def test_a_server_that_is_away_for_a_while_is_waited_for() -> None:
    with serving("--admin", "127.0.0.1:0") as server:
        assert server.process.stdout is not None
        address = server.process.stdout.readline().decode().split()[-1].removeprefix("http://")
        terminal = Terminal(address)
        try:
            terminal.until(b"messages in")
            server.process.terminate()
            terminal.until(b"these figures are old")
            server.process.wait(30)
            with serving("--admin", address):
                terminal.until(b"messages in")
                terminal.until_without(b"these figures are old")
        finally:
            terminal.close()


def figures(**changes: Any) -> dict[str, Any]:
    times = {"count": 3, "sum": 1.0, "p50": 2e-6, "p95": 0.0015, "p99": 2.0}
    none = dict.fromkeys(times, 0)
    return {
        "version": "1", "core": "c", "engine": "e", "uptime_seconds": 10.0, "connections": 12345,
        "messages_received": 10, "messages_sent": 20, "bytes_received": 0, "bytes_sent": 2048,
        "rates": {"messages_received": 1.0, "messages_sent": 2.0, "bytes_received": 0.0,
                  "bytes_sent": 0.0},
        "messages_dropped": {"oldest": 7}, "queue_bytes": 1536, "handler_errors": 2, "rooms": 1,
        "history_messages": 4321, "history_bytes": 3072, "presence_members": 1717,
        "resumes": {"resumed": 55, "refused": 6},
        "room_members": {"[red]markup[/red]": 3}, "handler_seconds": times,
        "broadcast_seconds": none, "ping_rtt_seconds": none,
        "slowest_consumers": [{"connection": "ab" * 16, "remote": None, "queued_bytes": 1,
                               "queued_messages": 1, "messages_dropped": 7}],
        "recent_errors": [{"handler": "app:[x]", "exception": "KeyError", "count": 2,
                           "text": "'no such key'", "where": "app.py:17"}],
        "process": {"cpu_seconds": 3.5, "memory_bytes": 5 << 20, "open_files": 77,
                    "max_files": 1000, "loop_lag_seconds": 0.0125},
        "last_drop_seconds": 42.0,
        **changes,
    }  # fmt: skip


def test_everything_is_on_the_screen_as_it_is() -> None:
    out = io.StringIO()
    Console(file=out, width=160).print(render(figures(), None))
    for text in ("12,345", "1.5 KiB", "2 µs", "1.5 ms", "[red]markup[/red]", "app:[x]", "abababab"):
        assert text in out.getvalue()
    for text in ("4,321 · 3.0 KiB", "55, 6 refused", "1,717"):
        assert text in out.getvalue()
    for text in ("3.5 s", "5.0 MiB", "77 of 1,000", "12.5 ms", "42 s ago"):
        assert text in out.getvalue()
    for text in ("KeyError: 'no such key'", "app.py:17"):
        assert text in out.getvalue()


def test_the_processor_is_a_share_of_the_time_between_two_looks() -> None:
    before, now = figures(), figures(uptime_seconds=12.0)
    now["process"] = {**before["process"], "cpu_seconds": 4.5}
    out = io.StringIO()
    Console(file=out, width=160).print(render(now, before))
    assert "50.0% of one" in out.getvalue()


def test_each_worker_has_a_line_where_there_are_several() -> None:
    worker = {"worker": 2, "connections": 4321, "cpu_seconds": 12.34, "memory_bytes": 3 << 20,
              "open_files": 8765, "loop_lag_seconds": 0.25, "restarts": 3}  # fmt: skip
    out = io.StringIO()
    Console(file=out, width=160).print(render(figures(workers=[worker]), None))
    for text in ("Workers", "4,321", "12.3 s", "3.0 MiB", "8,765", "250 ms"):
        assert text in out.getvalue()
    alone = io.StringIO()
    Console(file=alone, width=160).print(render(figures(), None))
    assert "Workers" not in alone.getvalue()


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


def answering(body: object) -> bytes:
    """What answers every request with this body, as JSON unless it is bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data)
    return head + data


@pytest.mark.parametrize("name", ANSWERS)
def test_a_broken_answer_is_one_line(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glyph_fast.cli.top.TIMEOUT_S", 0.4)
    with hostile(ANSWERS[name]) as port:
        assert main(["top", f"http://127.0.0.1:{port}"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert_one_line(said.err)


def test_a_body_that_comes_bit_by_bit_has_a_deadline(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glyph_fast.cli.top.TIMEOUT_S", 0.4)

    def behave(client: Client) -> None:
        client.send(b"HTTP/1.1 200 OK\r\n\r\n")
        client.drip(b"{")

    with hostile(behave) as port:
        assert main(["top", f"http://127.0.0.1:{port}"]) == 1
    assert "not whole within 0.4 s" in capsys.readouterr().err


@pytest.mark.parametrize(
    "body",
    [
        [], {}, 5, "x", b"", b"{", b"[" * 100_000, b"\xff", {"connections": 1},
        figures(connections="many"), figures(uptime_seconds=None), figures(room_members=[1]),
        figures(recent_errors=[{}]), figures(slowest_consumers=[5]), figures(messages_dropped=0),
        figures(version={}) | {"queue_bytes": "x"}, figures(bytes_sent=[]),
        figures(resumes={}), figures(messages_sent=10**400), figures(handler_seconds={"count": 1}),
        figures(process={}), figures(last_drop_seconds="x"),
        figures(room_members={"a": []}), figures(slowest_consumers={"a": 1}),
    ],
)  # fmt: skip
def test_figures_of_another_shape_are_one_line(
    body: object, capsys: pytest.CaptureFixture[str]
) -> None:
    with hostile(answering(body)) as port:
        assert main(["top", f"http://127.0.0.1:{port}"]) == 1
    said = capsys.readouterr().err
    assert_one_line(said)
    assert "is no operators' port of glyph-fast (200)" in said


def test_no_text_of_a_server_commands_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    consumer = {"connection": ESCAPES, "remote": ESCAPES, "queued_bytes": 1, "messages_dropped": 7}
    body = figures(
        version=ESCAPES, core=ESCAPES, engine=ESCAPES,
        room_members={ESCAPES: 1, **{f"{n}{'x' * 5000}": n for n in range(100)}},
        slowest_consumers=[consumer] * 100,
        recent_errors=[{
            "handler": ESCAPES, "exception": ESCAPES, "text": ESCAPES, "where": ESCAPES, "count": 1,
        }] * 100,
    )  # fmt: skip
    with hostile(answering(body)) as port:
        assert main(["top", f"http://127.0.0.1:{port}"]) == 0
    shown = capsys.readouterr().out
    assert all(line.isprintable() for line in shown.splitlines())
    assert "\\x1b" in shown and len(shown.splitlines()) < 200


def test_a_refusal_in_words_does_not_command_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    body = json.dumps({"error": ESCAPES}).encode()
    head = b"HTTP/1.1 403 No\r\nContent-Length: %d\r\n\r\n" % len(body)
    with hostile(head + body) as port:
        assert main(["top", f"http://127.0.0.1:{port}"]) == 1
    assert_one_line(capsys.readouterr().err)


@pytest.mark.parametrize("is_told", ["--ca", "--insecure", ""])
def test_an_operators_port_behind_tls(
    is_told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = make_certificate(tmp_path, "server")
    options = {"--ca": ["--ca", made.cert], "--insecure": ["--insecure"], "": []}[is_told]
    with hostile(answering(figures()), tls=server_context(made.cert, made.key)) as port:
        status = main(["top", f"https://127.0.0.1:{port}", *options])
    said = capsys.readouterr()
    if is_told:
        assert (status, said.err) == (0, "") and "12,345" in said.out
    else:
        assert status == 1
        assert "its certificate is not trusted" in said.err


def test_a_user_in_the_url_is_for_the_proxy_before_it() -> None:
    heads = []

    def behave(client: Client) -> None:
        heads.append(client.head)
        client.send(answering(figures()))

    with hostile(behave) as port:
        assert main(["top", f"http://ada:secret@127.0.0.1:{port}"]) == 0
    assert b"Authorization: Basic YWRhOnNlY3JldA==\r\n" in heads[0]
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in heads[0]
