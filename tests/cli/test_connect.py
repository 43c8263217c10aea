"""`glyph-fast connect`, driven from a pipe."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from serving import ROOT, serving

APP = """
from glyph_fast import Config, MessageType, Server

server = Server(Config(subprotocols=["chat"], allowed_origins=["https://example.com"]))

@server.on_connect
def hello(conn):
    conn.send_json([conn.subprotocol, conn.request.headers.get("x-name")])

@server.on_message(MessageType.TEXT)
def echo(ctx):
    if ctx.message.data == "leave":
        ctx.conn.close(4001, "as asked")
    else:
        ctx.reply(MessageType.TEXT, ctx.message.data)

@server.on_message(MessageType.JSON)
def bytes_(ctx):
    ctx.conn.send(bytes(ctx.message.data))
"""


def connect(url: str, lines: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "glyph_fast", "connect", url, "--wait", "0.3", *options],
        cwd=ROOT, env=os.environ, input=lines, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_lines_go_out_and_frames_come_back(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        url = server.ws("/ws")
        options = ("--subprotocol", "chat", "-H", "X-Name: Ada", "--origin", "https://example.com")
        done = connect(url, "one\ngrüße\n[1,255]\n", *options)
        assert (done.returncode, done.stdout) == (0, '["chat","Ada"]\none\ngrüße\n01 ff\n')
        assert done.stderr == f"connected to {url}\nclosed with 1000\n"

        done = connect(url, 'no json\n{"a"\n"yes"\n', "--json")
        assert done.stdout == '[null,null]\n"yes"\n'
        assert done.stderr.count("not sent") == 2

        done = connect(url, "leave\n", "--wait", "30")
        assert "closed with 4001: as asked" in done.stderr

        refused = connect(url, "", "--origin", "https://evil.example")
        assert refused.returncode == 1
        assert refused.stderr.startswith(f"glyph-fast: cannot connect to {url}")


class Terminal:
    """`glyph-fast connect` on a terminal: what is typed, and what is seen."""

    def __init__(self, url: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "glyph_fast", "connect", url, "--wait", "0.3"],
            cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"},
        )  # fmt: skip
        os.close(theirs)
        self._seen = b""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, text: str) -> None:
        """Read until the text has come, and forget what came up to it."""
        deadline = time.monotonic() + 30
        while text.encode() not in self._seen:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._ours], [], [], left)[0], self._seen
            self._seen += os.read(self._ours, 65536)
        self._seen = self._seen.partition(text.encode())[2]

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self._ours)


def test_a_line_that_is_being_typed_survives_a_frame(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with serving("app:server", cwd=tmp_path) as server:
        terminal = Terminal(server.ws("/ws"))
        try:
            terminal.until("connected to")
            terminal.until("[null,null]")
            terminal.type("one\rtw")  # the answer to the first comes while the second is typed
            terminal.until("text 3 B")
            terminal.type("o\r")
            terminal.until("text 3 B")
            terminal.until("two")
            terminal.type("\x1b[A\x1b[A\r")  # up, up: the one before the last
            terminal.until("text 3 B")
            terminal.until("one")
            terminal.type("\x04")
            terminal.until("closed with 1000")
            assert terminal.process.wait(10) == 0
        finally:
            terminal.close()


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("ws://127.0.0.1:1/ws",), 1, "cannot connect"),
        (("http://127.0.0.1:1/ws",), 2, "ws://"),
        (("ws://127.0.0.1:1", "-H", "nonsense"), 2, "Name: value"),
    ],
)
def test_what_cannot_be_is_one_line(arguments: tuple[str, ...], status: int, error: str) -> None:
    done = connect(arguments[0], "", *arguments[1:])
    assert done.returncode == status
    assert error in done.stderr
    assert "Traceback" not in done.stderr
