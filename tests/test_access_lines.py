"""What a server's log says of each connection, and what it never says."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from glyph_fast import Config, MessageContext, Reject, Server
from glyph_fast.http.request import Request
from glyph_fast.logs import LINES_PER_INTERVAL, SERVER, configure_logging
from tests.admin.operated import operated
from tests.engine.peers import Peer
from tests.running import running


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the log writes as JSON lines; the settings are as before afterwards."""
    stream, before = io.StringIO(), (SERVER.handlers[:], SERVER.level, SERVER.propagate)
    configure_logging("info", "json", stream)
    yield stream
    SERVER.handlers[:], level, SERVER.propagate = before
    SERVER.setLevel(level)


def application() -> Server:
    server = Server()

    @server.authenticate
    def authenticate(request: Request) -> str:
        if request.query.get("token") == "wrong-secret":
            raise Reject(403, {"error": "no"})
        return "ada"

    @server.on_message
    def echo(ctx: MessageContext) -> None:
        ctx.conn.send(ctx.message.raw)

    server.websocket("/ws")
    return server


def lines(written: io.StringIO, event: str) -> list[dict[str, object]]:
    return [each for line in written.getvalue().splitlines()
            if (each := json.loads(line))["event"] == event]  # fmt: skip


def test_a_connection_leaves_one_line_when_it_ends(backend, run, written):
    async def main():
        async with running(application(), backend) as url:
            target = url.ws("/ws?token=right-secret")
            async with connect(target, proxy=None, compression=None) as ada:
                for text in ("one words", "two words"):
                    await ada.send(text)
                    assert await ada.recv() == text
                await ada.close(4001, "bye")

    run(main())
    (line,) = lines(written, "connection closed")
    assert line["logger"] == "glyph_fast.access"
    assert {name: line[name] for name in ("route", "code", "reason", "remote", "messages_received",
                                          "messages_sent", "messages_dropped")} == {
        "route": "/ws", "code": 4001, "reason": "bye", "remote": "127.0.0.1",
        "messages_received": 2, "messages_sent": 2, "messages_dropped": 0,
    }  # fmt: skip
    assert line["bytes_received"] > 2 * len("one words") + 100
    assert line["bytes_sent"] > 2 * len("one words") + 100
    assert 0 <= line["seconds"] < 60
    assert "words" not in written.getvalue()
    assert "secret" not in written.getvalue()


def test_refused_handshakes_leave_so_many_lines_and_no_secrets(backend, run, written):
    async def main():
        async with running(application(), backend) as url:
            for _ in range(LINES_PER_INTERVAL + 5):
                with pytest.raises(InvalidStatus):
                    await connect(url.ws("/ws?token=wrong-secret"), proxy=None)

    run(main())
    refused = lines(written, "upgrade refused")
    assert len(refused) == LINES_PER_INTERVAL
    assert refused[0]["target"] == "/ws"
    assert refused[0]["status"] == 403
    assert refused[0]["remote"] == "127.0.0.1"
    assert "secret" not in written.getvalue()


@pytest.mark.parametrize(
    ("allowed", "compared"),
    [([], "host"), (["https://app.example", "https://*.example.org"], "allowed")],
)
def test_a_refused_page_is_told_with_what_was_compared(backend, run, written, allowed, compared):
    """A browser shows its user no reason, so the operator needs it."""
    server = Server(Config(allowed_origins=allowed))
    server.websocket("/ws")
    origin = "https://evil.example"
    port = 0

    async def main():
        nonlocal port
        async with running(server, backend) as url:
            port = url.address[1]
            for sent in (origin, "https://" + "a" * 9000):
                with pytest.raises(InvalidStatus):
                    await connect(url.ws("/ws"), origin=sent, proxy=None)

    run(main())
    first, long = lines(written, "upgrade refused")
    assert first["reason"] == "origin not allowed"
    assert first["origin"] == origin
    expected = {
        "host": f"127.0.0.1:{port}",
        "allowed": "https://app.example, https://*.example.org",
    }
    assert first[compared] == expected[compared]
    assert len({"host", "allowed"} & first.keys()) == 1
    assert len(long["origin"]) == 200


def test_every_refused_upgrade_is_told_with_its_reason(backend, run, written):
    server = Server(Config(max_connections_per_ip=1))
    server.websocket("/ws")

    @server.authenticate
    def authenticate(request):
        if "no" in request.query:
            raise Reject(401, {"error": "who are you?"})
        if "word" in request.query:
            raise Reject(403)

    async def main():
        async with running(server, backend) as url:
            for path in ("/nowhere", "/ws?no=1", "/ws?word=1"):
                with pytest.raises(InvalidStatus):
                    await connect(url.ws(path), proxy=None)
            async with connect(url.ws("/ws"), proxy=None):
                with pytest.raises(InvalidStatus):
                    await connect(url.ws("/ws"), proxy=None)

    run(main())
    assert [line["reason"] for line in lines(written, "upgrade refused")] == [
        "route: Route not found",
        "authentication: who are you?",
        "authentication",
        "too many connections from this address",
    ]


def test_without_the_level_nothing_is_written(backend, run, written):
    logging.getLogger("glyph_fast.access").setLevel(logging.WARNING)

    async def main():
        async with running(application(), backend) as url:
            async with connect(url.ws("/ws"), proxy=None):
                pass

    try:
        run(main())
    finally:
        logging.getLogger("glyph_fast.access").setLevel(logging.NOTSET)
    assert lines(written, "connection closed") == []


def test_bad_requests_leave_so_many_lines_and_each_is_counted(backend, run, written):
    server = application()

    async def main():
        async with running(server, backend) as url:
            for _ in range(LINES_PER_INTERVAL + 5):
                peer = await url.peer()
                peer.write(b"nonsense\r\n\r\n")
                assert (await peer.answer())[0] == 400
                await peer.close()

    run(main())
    refused = lines(written, "bad request")
    assert len(refused) == LINES_PER_INTERVAL
    assert (refused[0]["status"], refused[0]["remote"]) == (400, "127.0.0.1")
    assert server.hub.metrics.requests_refused[400] == LINES_PER_INTERVAL + 5


def test_each_line_of_the_operators_port_says_so(backend, run, written):
    async def main():
        async with operated(backend) as site:
            bad = await Peer.connect((site.http.base_url.host, site.http.base_url.port))
            bad.write(b"nonsense\r\n\r\n")
            assert (await bad.answer())[0] == 400
            await bad.close()
            assert (await site.http.get("/healthz")).status_code == 200
            await (await site.connect()).socket.close()

    run(main())
    assert {line["port"] for line in lines(written, "request")} == {"admin"}
    assert {line["port"] for line in lines(written, "bad request")} == {"admin"}
    (public,) = lines(written, "connection closed")
    assert "port" not in public
