"""Upgrades: who gets a WebSocket, and what the others hear; no sockets."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.errors import Reject
from glyph_fast.logs import TextFormatter
from glyph_fast.opening.exchange import HandleWebSocket
from glyph_fast.options.config import Config
from glyph_fast.server.server import Server
from glyph_fast.websocket.handshake import Accept
from glyph_fast.wire import OPEN
from tests.engine.desk import HANDSHAKE, Desk, desk_with_route, head, upgrade
from tests.engine.peers import eventually


def test_an_upgrade_is_accepted_within_the_turn():
    desk = desk_with_route(path="/chat/:room")
    client = desk.client().send(upgrade("/chat/a%20b?x=1"))
    (answer,) = client.answers()
    assert answer.status == 101
    assert answer.headers["sec-websocket-accept"] == "ICX+Yqv66kxgM0FcWaLWlFLwTAI="
    (conn,) = desk.opened
    assert conn is client.conn
    assert conn._phase == OPEN
    assert conn.path_params == {"room": "a b"}
    assert conn.route_pattern == "/chat/:room"
    assert conn.identity is None
    assert conn.subprotocol is None
    assert conn.request.query["x"] == "1"
    assert conn.request.remote == conn.remote == "192.0.2.7"


def test_frames_sent_behind_the_request_are_not_lost():
    messages = []
    desk = desk_with_route()
    desk.turn.handler.message = lambda conn, opcode, payload: messages.append(payload)
    desk.client().send(upgrade() + b"\x81\x82\0\0\0\0hi")
    assert messages == ["hi"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (upgrade("/nowhere"), 404),
        (upgrade(Sec_WebSocket_Version="8"), 426),
        (upgrade(Sec_WebSocket_Key="short"), 400),
        (upgrade(Connection="keep-alive"), 400),
        (head("POST /ws", HANDSHAKE), 405),
        (upgrade(Origin="https://evil.example"), 403),
        (upgrade(Sec_WebSocket_Protocol="a,,b, a"), 400),
    ],
)
def test_a_refused_upgrade_is_answered_in_json_and_closed(request_, status):
    desk = desk_with_route()
    client = desk.client().send(request_)
    (answer,) = client.answers()
    assert answer.status == status
    assert "error" in answer.json
    assert not answer.keeps_alive
    assert client.is_ended
    assert desk.opened == []
    assert sum(desk.metrics.connections_rejected.values()) == 1


class TestOrigins:
    def test_without_a_list_the_servers_own_pages_may_connect(self):
        desk = desk_with_route()
        assert desk.answer(upgrade(Origin="http://example.com")).status == 101
        assert desk.answer(upgrade(Origin="http://example.com:80")).status == 101
        assert desk.answer(upgrade(Origin="http://example.com:81")).status == 403
        assert desk.metrics.connections_rejected == {"origin": 1}

    def test_a_list_replaces_that_rule(self):
        desk = desk_with_route(Config(allowed_origins=["https://*.example.org"]))
        assert desk.answer(upgrade(Origin="https://a.example.org")).status == 101
        assert desk.answer(upgrade(Origin="http://example.com")).status == 403
        assert desk.answer(upgrade()).status == 101


class TestCapacity:
    def test_beyond_max_connections_it_is_503_before_the_upgrade(self):
        desk = desk_with_route(Config(max_connections=2))
        desk.count = 1
        assert desk.answer(upgrade()).status == 101
        desk.count = 2
        answer = desk.answer(upgrade())
        assert (answer.status, answer.json) == (503, {"error": "too many connections"})
        assert desk.metrics.connections_rejected == {"full": 1}

    def test_those_who_come_while_one_is_authenticated_count(self, run):
        async def main():
            gate = asyncio.Event()
            desk = desk_with_route(Config(max_connections=2), authenticate=lambda _: gate.wait())
            client = desk.client().send(upgrade())
            desk.count = 2
            gate.set()
            await desk.opening.exchanges.finish(10)
            await asyncio.sleep(0)
            assert [each.status for each in client.answers()] == [503]

        run(main())

    def test_a_draining_server_takes_no_more(self):
        desk = desk_with_route()
        desk.opening.drain()
        answer = desk.answer(upgrade())
        assert (answer.status, answer.json) == (503, {"error": "server is shutting down"})
        assert desk.metrics.connections_rejected == {"draining": 1}


class TestSubprotocols:
    def test_the_servers_preference_counts(self):
        desk = desk_with_route(Config(subprotocols=["v2", "v1"]))
        answer = desk.answer(upgrade(Sec_WebSocket_Protocol="v0, v1, v2"))
        assert answer.headers["sec-websocket-protocol"] == "v2"
        assert desk.opened[0].subprotocol == "v2"

    def test_none_in_common_is_none(self):
        desk = desk_with_route(Config(subprotocols=["v2"]))
        answer = desk.answer(upgrade(Sec_WebSocket_Protocol="v0"))
        assert answer.status == 101
        assert "sec-websocket-protocol" not in answer.headers


class TestAuthentication:
    def test_what_it_returns_is_the_identity(self):
        desk = desk_with_route(authenticate=lambda request: request.query["user"])
        assert desk.answer(upgrade("/ws?user=ada")).status == 101
        assert desk.opened[0].identity == "ada"

    def test_it_may_be_async_and_not_wait(self):
        async def who(request):
            return request.path_params["user"]

        desk = desk_with_route(path="/:user", authenticate=who)
        assert desk.answer(upgrade("/ada")).status == 101  # no loop runs here
        assert desk.opened[0].identity == "ada"

    def test_one_that_waits_holds_the_connection(self, run):
        async def main():
            gate = asyncio.Event()

            async def who(request):
                await gate.wait()
                return "ada"

            messages = []
            desk = desk_with_route(authenticate=who)
            desk.turn.handler.message = lambda conn, opcode, payload: messages.append(payload)
            client = desk.client().send(upgrade() + b"\x81\x82\0\0\0\0hi")
            assert client.answers() == []
            gate.set()
            await desk.opening.exchanges.finish(10)
            while not messages:
                await asyncio.sleep(0)
            assert [each.status for each in client.answers()] == [101]
            assert desk.opened[0].identity == "ada"

        run(main())

    def test_reject_is_the_answer(self):
        def refuse(request):
            raise Reject(401, {"error": "who are you"}, {"WWW-Authenticate": "Bearer"})

        desk = desk_with_route(authenticate=refuse)
        client = desk.client().send(upgrade())
        (answer,) = client.answers()
        assert (answer.status, answer.json) == (401, {"error": "who are you"})
        assert answer.headers["www-authenticate"] == "Bearer"
        assert client.is_ended
        assert desk.metrics.connections_rejected == {"authentication": 1}

    def test_an_error_is_500_and_recorded(self, run, caplog):
        async def main():
            async def broken(request):
                await asyncio.sleep(0)
                raise LookupError("secret")

            desk = desk_with_route(authenticate=broken)
            client = desk.client().send(upgrade())
            await desk.opening.exchanges.finish(10)
            await asyncio.sleep(0)
            (answer,) = client.answers()
            assert answer.status == 500
            assert b"secret" not in answer.body
            assert desk.errors.total == desk.metrics.handler_errors == 1

        run(main())

    def test_a_reject_that_cannot_be_sent_is_500(self, caplog):
        def refuse(request):
            raise Reject(401, "no", {"Bad Name": "x"})

        desk = desk_with_route(authenticate=refuse)
        assert desk.answer(upgrade()).status == 500

    def test_it_is_not_asked_about_a_foreign_page(self):
        asked = []
        desk = desk_with_route(authenticate=asked.append)
        desk.answer(upgrade(Origin="https://evil.example"))
        assert asked == []

    def test_a_client_that_left_meanwhile_is_not_opened(self, run):
        async def main():
            gate = asyncio.Event()
            desk = desk_with_route(authenticate=lambda request: gate.wait())
            client = desk.client().send(upgrade())
            client.conn._lost()
            gate.set()
            await desk.opening.exchanges.finish(10)
            assert desk.opened == []

        run(main())

    def test_one_that_waits_at_the_end_of_the_server_is_answered(self, run):
        async def main():
            desk = desk_with_route(authenticate=lambda request: asyncio.Event().wait())
            client = desk.client().send(upgrade())
            desk.opening.drain()
            await desk.opening.exchanges.finish(0)
            await asyncio.sleep(0)
            assert [each.status for each in client.answers()] == [503]

        run(main())


class TestUsers:
    def desk(self, **options) -> Desk:
        desk = desk_with_route(authenticate=lambda r: r.query.get("user"), **options)

        def opened(conn, expires_at):
            conn.id = str(len(desk.opened))
            desk.opened.append(conn)
            desk.users.add(conn, conn.identity)

        desk.opening._handshakes._opened = opened
        return desk

    def test_beyond_the_limit_of_a_user_it_is_429_before_the_upgrade(self):
        desk = self.desk(config=Config(max_connections_per_user=2))
        statuses = [desk.answer(upgrade("/ws?user=ada")).status for _ in range(2)]
        answer = desk.answer(upgrade("/ws?user=ada"))
        assert statuses == [101, 101]
        assert (answer.status, answer.json) == (429, {"error": "too many connections of this user"})
        assert desk.metrics.connections_rejected == {"user": 1}
        assert desk.answer(upgrade("/ws?user=bob")).status == 101

    def test_a_connection_that_ends_makes_room(self):
        desk = self.desk(config=Config(max_connections_per_user=1))
        assert desk.answer(upgrade("/ws?user=ada")).status == 101
        desk.users.discard(desk.opened[0])
        assert desk.answer(upgrade("/ws?user=ada")).status == 101

    def test_those_who_are_nobody_are_not_limited(self):
        desk = self.desk(config=Config(max_connections_per_user=1))
        assert [desk.answer(upgrade()).status for _ in range(3)] == [101] * 3
        assert desk.metrics.connections_rejected == {}

    def test_of_those_authenticated_at_the_same_time_no_more_are_let_in(self, run):
        async def main():
            gate = asyncio.Event()

            async def who(request):
                await gate.wait()
                return "ada"

            desk = self.desk(config=Config(max_connections_per_user=2))
            desk.opening._handshakes._authenticate = who
            clients = [desk.client().send(upgrade()) for _ in range(5)]
            gate.set()
            await desk.opening.exchanges.finish(10)
            await asyncio.sleep(0)
            statuses = [answer.status for client in clients for answer in client.answers()]
            assert sorted(statuses) == [101, 101, 429, 429, 429]

        run(main())

    @pytest.mark.parametrize("is_limited", [False, True])
    def test_an_identity_that_fails_is_500_before_the_upgrade(self, is_limited, caplog):
        class Broken:
            def __hash__(self):
                raise LookupError("secret")

        desk = desk_with_route(
            Config(max_connections_per_user=1 if is_limited else "off"),
            authenticate=lambda request: Broken(),
        )
        assert desk.answer(upgrade()).status == 500
        assert desk.opened == []
        assert desk.errors.total == desk.metrics.handler_errors == 1


def test_no_log_line_tells_the_query(caplog):
    caplog.set_level("DEBUG")
    desk = desk_with_route(authenticate=lambda request: 1 / 0)
    desk.get("/page", lambda request: 1 / 0)
    assert desk.answer(upgrade("/ws?token=hush")).status == 500
    assert desk.answer(upgrade("/nowhere?token=hush")).status == 404
    assert desk.answer(head("GET /page?token=hush")).status == 500
    desk.opening._handshakes.open = None  # a defect of ours
    assert desk.answer(upgrade("/ws?token=hush")).status == 500
    written = "\n".join(TextFormatter().format(record) for record in caplog.records)
    assert written.count("target=/ws") == 3
    assert "target=/page" in written
    assert "hush" not in written


def test_an_http_handler_may_open_a_websocket():
    desk = Desk()
    desk.get("/join/:room", HandleWebSocket)
    answer = desk.answer(upgrade("/join/blue"))
    assert answer.status == 101
    assert desk.opened[0].route_pattern == "/join/:room"
    assert desk.opened[0].path_params == {"room": "blue"}


def test_an_http_handler_may_decline_a_websocket():
    desk = Desk()
    desk.get("/page", lambda request: "just a page")
    answer = desk.answer(upgrade("/page"))
    assert (answer.status, answer.body) == (200, b"just a page")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello TLS\n\n", 400),
        (b"GET /" + b"a" * 9000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000, 431),
    ],
)
def test_what_is_no_request_is_answered_and_closed(request_, status):
    desk = Desk()
    client = desk.client().send(request_)
    (answer,) = client.answers()
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert not answer.keeps_alive
    assert client.is_ended


def test_a_head_that_does_not_end_in_time_is_408():
    desk = Desk(Config(head_timeout=10))
    client = desk.client().send(b"GET / HTTP/1.1\r\nHo")
    for now in (0.0, 11.0):
        desk.turn.sweep(now)
    desk.turn.flush()
    assert [each.status for each in client.answers()] == [408]
    assert client.is_ended


def test_a_body_that_does_not_come_is_408():
    desk = Desk(Config(head_timeout=10))
    desk.route("POST", "/", str)
    client = desk.client().send(head("POST /", {"Content-Length": "5"}) + b"hi")
    for now in (0.0, 11.0):
        desk.turn.sweep(now)
    desk.turn.flush()
    assert [each.status for each in client.answers()] == [408]
    assert not desk.opening.exchanges.is_busy(client.conn)


@pytest.mark.parametrize("waits", [False, True])
def test_an_authenticator_may_put_fields_on_the_answer(run, waits):
    answer = Accept("ada", [("Set-Cookie", "session=1; HttpOnly"), ("Set-Cookie", "b=2")])

    async def later(request):
        await asyncio.sleep(0)
        return answer

    async def main():
        desk = desk_with_route(authenticate=later if waits else lambda request: answer)
        client = desk.client().send(upgrade())
        await eventually(lambda: desk.opened)
        client.turn.flush()
        start = bytes(client.pipe.data)
        assert start.startswith(b"HTTP/1.1 101 ") and start.endswith(b"\r\n\r\n")
        assert b"\r\nSet-Cookie: session=1; HttpOnly\r\nSet-Cookie: b=2\r\n" in start
        assert client.conn.identity == "ada"

    run(main())


def test_fields_alone_leave_a_client_nobody():
    desk = desk_with_route(authenticate=lambda request: Accept(headers={"X-Served-By": "one"}))
    client = desk.client().send(upgrade())
    assert b"\r\nX-Served-By: one\r\n" in bytes(client.pipe.data)
    assert client.conn.identity is None


def test_a_handler_that_opens_a_websocket_may_put_fields_on_the_answer():
    desk = Desk(authenticate=lambda request: Accept("ada", {"Set-Cookie": "b=2"}))
    fields = {"Set-Cookie": "a=1"}
    desk.get("/ws", lambda request: Server().handle_websocket(request, headers=fields))
    client = desk.client().send(upgrade())
    start = bytes(client.pipe.data)
    assert start.startswith(b"HTTP/1.1 101 ")
    assert b"\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n" in start
    assert client.conn.identity == "ada"


@pytest.mark.parametrize("name", ["Connection", "Sec-WebSocket-Accept", "a b"])
def test_fields_that_the_handshake_decides_are_no_handlers(name):
    with pytest.raises(ValueError):
        Server().handle_websocket(None, headers={name: "x"})
