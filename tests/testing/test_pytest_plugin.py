"""The fixture that pytest finds by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from glyph_fast import Server

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.both_cores


def test_a_server_runs_until_the_test_has_ended(glyph_client):
    servers = Server(), Server()
    for server in servers:
        server.on_message()(lambda ctx: ctx.conn.send(ctx.message.raw))
    one, two = (glyph_client(server, max_message_size=100) for server in servers)
    for client in (one, two):
        ws = client.connect()
        ws.send("hello")
        assert ws.receive() == "hello"
    assert [len(server.hub) for server in servers] == [1, 1]


PROGRAM = """
import pytest
from glyph_fast import Server

server = Server()


@server.websocket("/ws")
async def echo(conn):
    async for message in conn:
        if message == "fail":
            raise LookupError("of a handler")
        return


def test_no_such_route(glyph_client):
    glyph_client(server).connect("/nowhere")


def test_closed(glyph_client):
    ws = glyph_client(server).connect()
    ws.send("end")
    ws.receive()


def test_handler(glyph_client):
    ws = glyph_client(server).connect()
    ws.send("fail")
    ws.expect_close()
"""


def test_a_failure_shows_the_test_and_the_handler_and_none_of_our_frames(tmp_path):
    (tmp_path / "test_program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--show-capture=no"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    places = re.findall(r"^(\S+):\d+: ", done.stdout, re.MULTILINE)
    assert {"test_program.py"} <= set(places), done.stdout
    shown = [place for place in places if "testing/" in place or "concurrent/" in place]
    assert shown == [], done.stdout
    for line in (
        '>       glyph_client(server).connect("/nowhere")',
        ">       ws.receive()",
        'raise LookupError("of a handler")',
    ):
        assert line in done.stdout
