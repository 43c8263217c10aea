"""The client for tests without a loop."""

from __future__ import annotations

import threading

import pytest

from glyph_fast import ConnectionClosed, Server
from glyph_fast.testing import SyncTestClient

pytestmark = pytest.mark.both_cores


@pytest.fixture
def server() -> Server:
    server = Server()

    @server.on_message()
    def echo(ctx):
        if ctx.message.raw == "fail":
            raise ValueError("as asked")
        ctx.conn.send(ctx.message.raw)

    @server.get("/")
    def root(request):
        return request.method

    for method in (server.post, server.put, server.patch, server.delete):
        method("/")(root)
    return server


def test_everything_waits_by_itself(server):
    with SyncTestClient(server, ping_interval="30s") as client:
        with client.connect("/ws", subprotocols=["a"]) as ws:
            assert ws.subprotocol is None and ws.headers["upgrade"] == "websocket"
            ws.send("text")
            assert ws.receive_text() == "text"
            ws.send(b"bytes")
            assert ws.receive_bytes() == b"bytes"
            ws.send_json([1])
            assert ws.receive_json() == [1]
            ws.send_event("unknown", 1)
            assert ws.receive_json() == {"event": "unknown", "data": 1}
            ws.expect_nothing()
            client.advance(31)
            assert ws.connection.missed_pongs == 0 and client.hub.metrics.core.pings_sent == 1
            ws.stall()
            client.hub.broadcast("from this thread")
            client.settle()
            ws.expect_nothing()
            ws.trickle(1)
            ws.resume()
            assert ws.receive() == "from this thread"
            assert ws.is_open and not ws.is_paused
        assert ws.expect_close(1000) == (1000, "")
        for method in ("get", "post", "put", "patch", "delete"):
            assert getattr(client, method)("/").text == method.upper()
        other = client.connect()
        other.send("x")
        other.close(4000)
        assert list(other) == ["x"]
        with pytest.raises(ConnectionClosed):
            other.receive()
        third = client.connect()
        third.drop()
        third.expect_close(1006)
    assert threading.active_count() == 1


def test_errors_are_raised_at_the_end_and_the_thread_is_gone(server):
    with pytest.raises(ValueError, match="as asked"), SyncTestClient(server) as client:
        ws = client.connect()
        ws.send("fail")
        with pytest.raises(TimeoutError, match="no message came to /ws"):
            ws.receive(timeout=0.02)
    assert threading.active_count() == 1


def test_what_the_start_raises_is_raised(server):
    @server.on_startup
    def fail():
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"), SyncTestClient(server):
        pytest.fail("it has started")
    assert threading.active_count() == 1
