"""`glyph-fast connect`, driven from a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
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
