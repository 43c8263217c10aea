"""The client for tests without a loop."""

from __future__ import annotations

import threading
from contextlib import suppress

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


class Blocked:
    """A server whose handler of `block` holds the loop until the test lets it go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.server = Server()
        self.server.on_message()(self.block)

    def block(self, ctx):
        ctx.conn.send("now")
        if ctx.message.raw == "block":
            self.go_on.wait(20)

    def end(self) -> None:
        """Let it go, and wait until nothing of it is left."""
        self.go_on.set()
        for thread in threading.enumerate():
            if thread.name == "glyph-fast test server":
                thread.join(20)
        assert threading.active_count() == 1


@pytest.fixture
def blocked():
    blocked = Blocked()
    yield blocked
    blocked.end()


def test_a_handler_that_blocks_the_loop_is_shown_and_the_test_ends(blocked):
    with pytest.raises(TimeoutError, match="has not turned for 0.2 s") as caught:
        with SyncTestClient(blocked.server, timeout=0.2) as client:
            ws = client.connect()
            ws.send("block")
            ws.receive(timeout=30)
    assert "self.go_on.wait(20)" in str(caught.value)
    assert "run_forever" not in str(caught.value)


def test_a_handler_that_blocks_the_end_is_shown_too(blocked):
    with pytest.raises(TimeoutError, match="a handler does not give it back"):
        with SyncTestClient(blocked.server, timeout=0.2) as client:
            client.connect().send("block")


def test_a_test_that_failed_while_the_loop_is_blocked_keeps_its_own_error(blocked):
    with pytest.raises(KeyError, match="mine") as caught:
        with SyncTestClient(blocked.server, timeout=0.2) as client:
            with suppress(TimeoutError):  # the handler may run before `send` has returned
                client.connect().send("block")
            raise KeyError("mine")
    assert any("has not turned" in note for note in caught.value.__notes__)


def test_a_loop_that_turns_again_is_waited_for_as_before(blocked):
    with SyncTestClient(blocked.server, timeout=0.2) as client:
        ws = client.connect()
        with pytest.raises(TimeoutError, match="has not turned"):
            ws.send("block")
            while True:
                ws.receive(timeout=30)
        blocked.go_on.set()
        client.settle()
        other = client.connect()
        other.send("more")
        assert other.receive(timeout=30) == "now"


def test_a_wait_that_is_long_is_no_blocked_loop(server):
    with SyncTestClient(server, timeout=0.05) as client:
        ws = client.connect()
        later = threading.Timer(0.5, client.hub.broadcast, ["late"])
        later.start()
        assert ws.receive(timeout=30) == "late"
        later.join()


def test_a_client_outside_of_its_with_says_so(server):
    client = SyncTestClient(server)
    with pytest.raises(RuntimeError, match=r"use `with SyncTestClient\(server\)`"):
        client.get("/")
    with client:
        assert client.get("/").text == "GET"
    with pytest.raises(RuntimeError, match=r"use `with SyncTestClient\(server\)`"):
        client.connect()


@pytest.mark.parametrize("value", [Server, "app:server", None])
def test_what_is_no_server_is_shown(value):
    with pytest.raises(TypeError, match="a test client takes a Server, and .* is none"):
        SyncTestClient(value)


def test_what_the_start_raises_is_raised(server):
    @server.on_startup
    def fail():
        raise OSError("no database")

    with pytest.raises(OSError, match="no database"), SyncTestClient(server):
        pytest.fail("it has started")
    assert threading.active_count() == 1
