"""The fixture that pytest finds by itself."""

from __future__ import annotations

import pytest

from glyph_fast import Server

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
