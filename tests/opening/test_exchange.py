"""HTTP requests and what answers them; no sockets."""

from __future__ import annotations

import asyncio
import logging

import pytest

from glyph_fast.errors import Reject
from glyph_fast.http.body import MAX_LINES
from glyph_fast.http.response import Response
from glyph_fast.opening.exchange import HandleWebSocket
from glyph_fast.wire import MAX_BODY
from tests.engine.desk import Desk, head


@pytest.mark.parametrize(
    ("value", "content_type", "body"),
    [
        ({"a": [1]}, "application/json", b'{"a":[1]}'),
        (["x"], "application/json", b'["x"]'),
        ("grüße", "text/plain; charset=utf-8", "grüße".encode()),
        (b"\0\1", "application/octet-stream", b"\0\1"),
    ],
)
def test_what_a_handler_returns_is_the_answer(value, content_type, body):
    desk = Desk()
    desk.get("/", lambda request: value)
    answer = desk.ask("GET /")
    assert answer.status == 200
    assert answer.headers["content-type"] == content_type
    assert answer.body == body


def test_a_handler_sees_the_request():
    desk = Desk()
    desk.route(
        "PUT",
        "/users/:id",
        lambda request: [
            request.method,
            request.path_params["id"],
            request.query["q"],
            request.headers["x-it"],
            request.remote,
        ],
    )
    answer = desk.ask("PUT /users/7%2F8?q=1", {"X-It": "yes"})
    assert answer.json == ["PUT", "7/8", "1", "yes", "192.0.2.7"]


def test_an_async_handler_that_does_not_wait_costs_no_task():
    async def hello(request):
        return "hello"

    desk = Desk()
    desk.get("/", hello)
    assert desk.ask("GET /").body == b"hello"  # no loop runs here


def test_a_handler_that_waits_holds_its_connection_and_no_other(run):
    async def main():
        gate = asyncio.Event()

        async def slow(request):
            await gate.wait()
            return "slow"

        desk = Desk()
        desk.get("/slow", slow)
        desk.get("/quick", lambda request: "quick")
        one, other = desk.client(), desk.client()
        one.send(head("GET /slow") + head("GET /quick"))
        other.send(head("GET /quick"))
        assert one.answers() == []
        assert [each.body for each in other.answers()] == [b"quick"]
        gate.set()
        await asyncio.sleep(0)
        while not one.pipe.data.endswith(b"quick"):
            await asyncio.sleep(0)
        assert [each.body for each in one.answers()] == [b"slow", b"quick"]
        assert not one.is_ended

    run(main())


def test_a_client_that_left_meanwhile_is_no_error(run):
    async def main():
        gate, done = asyncio.Event(), asyncio.Event()

        async def slow(request):
            await gate.wait()
            done.set()
            return "too late"

        desk = Desk()
        desk.get("/", slow)
        client = desk.client().send(head("GET /"))
        client.conn._lost()
        gate.set()
        await done.wait()
        await desk.opening.exchanges.finish(10)
        assert client.answers() == []
        assert desk.errors.total == 0

    run(main())


def test_pipelined_requests_are_answered_in_order():
    desk = Desk()
    desk.get("/:n", lambda request: request.path_params["n"])
    client = desk.client()
    client.send(b"".join(head(f"GET /{n}") for n in range(30)))
    for _ in range(4):  # eight are answered in a turn
        client.turn.flush()
    assert [each.body for each in client.answers()] == [str(n).encode() for n in range(30)]


def test_a_flood_of_requests_leaves_room_for_others():
    desk = Desk()
    desk.get("/", lambda request: "x" * 1000)
    client = desk.client()
    client.send(head("GET /") * 2000)
    first = len(client.answers())
    assert 0 < first < 2000
    seen = first
    while seen < 2000:
        desk.turn.flush()
        seen += len(client.answers())
    assert seen == 2000


def test_requests_of_a_client_that_reads_no_answers_are_not_handled():
    handled = []
    desk = Desk()
    desk.get("/", lambda request: handled.append(1) or "x" * 1000)
    client = desk.client()
    client.pipe.room = 0
    client.send(head("GET /") * 2000)
    for _ in range(100):
        desk.turn.flush()
    stuck = len(handled)
    assert stuck < 200
    client.pipe.room = None
    client.conn._flush()
    while len(handled) < 2000:
        desk.turn.flush()
    desk.turn.flush()
    assert len(client.answers()) == 2000


def test_a_body_is_there_before_the_handler():
    async def double(request):
        return {"twice": (await request.json())["n"] * 2, "size": len(await request.body())}

    desk = Desk()
    desk.route("POST", "/", double)
    client = desk.client()
    request = head("POST /", body=b'{"n": 21}')
    for index in range(len(request)):
        client.send(request[index : index + 1])
    client.send(b"")
    (answer,) = client.answers()
    assert answer.json == {"twice": 42, "size": 9}
    client.send(head("POST /", {"Transfer-Encoding": "chunked"}))
    client.send(b'5\r\n{"n":\r\n3\r\n 4}\r\n0\r\n\r\n' + head("POST /", body=b'{"n":1}'))
    assert [each.json["twice"] for each in client.answers()] == [8, 2]


def test_a_client_that_expects_100_hears_it_before_it_sends():
    desk = Desk()
    desk.route("POST", "/", lambda request: "got it")
    client = desk.client()
    client.send(head("POST /", {"Expect": "100-continue", "Content-Length": "2"}))
    assert bytes(client.pipe.data) == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hi")
    assert [each.status for each in client.answers()] == [100, 200]


def test_a_body_that_is_too_large_is_refused_before_it_is_sent():
    desk = Desk()
    desk.route("POST", "/", lambda request: "got it")
    client = desk.client()
    client.send(head("POST /", {"Expect": "100-continue", "Content-Length": str(MAX_BODY + 1)}))
    (answer,) = client.answers()
    assert answer.status == 413
    assert not answer.keeps_alive
    assert client.is_ended


def test_chunks_beyond_the_limit_are_refused_when_they_come():
    desk = Desk()
    desk.route("POST", "/", lambda request: "got it")
    client = desk.client()
    client.send(head("POST /", {"Transfer-Encoding": "chunked"}) + b"a00001\r\n")
    (answer,) = client.answers()
    assert (answer.status, answer.keeps_alive) == (413, False)
    assert client.is_ended


def test_a_bad_chunk_is_answered_and_ends_the_connection():
    desk = Desk()
    desk.route("POST", "/", lambda request: "got it")
    client = desk.client()
    client.send(head("POST /", {"Transfer-Encoding": "chunked"}) + b"no size\r\n" + head("POST /"))
    assert [each.status for each in client.answers()] == [400]
    assert client.is_ended


def test_a_body_nobody_reads_ends_the_connection():
    desk = Desk()
    client = desk.client()
    client.send(head("POST /nowhere", body=b"GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n"))
    assert [each.status for each in client.answers()] == [404]
    assert client.is_ended


@pytest.mark.parametrize(
    ("line", "headers", "alive"),
    [
        ("GET /", {}, True),
        ("GET /", {"Connection": "close"}, False),
        ("GET /nowhere", {}, True),
    ],
)
def test_a_connection_lives_as_long_as_both_want(line, headers, alive):
    desk = Desk()
    desk.get("/", lambda request: "hello")
    client = desk.client().send(head(line, headers))
    (answer,) = client.answers()
    assert answer.keeps_alive is alive
    assert client.is_ended is not alive


def test_http_1_0_closes_unless_it_asks_not_to():
    desk = Desk()
    desk.get("/", lambda request: "hello")
    client = desk.client().send(b"GET / HTTP/1.0\r\n\r\n")
    assert not client.answers()[0].keeps_alive
    assert client.is_ended
    client = desk.client().send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert client.answers()[0].keeps_alive


def test_a_handler_may_end_the_connection():
    desk = Desk()
    desk.get("/", lambda request: Response("bye", 200, {"Connection": "close"}))
    client = desk.client().send(head("GET /"))
    assert not client.answers()[0].keeps_alive
    assert client.is_ended


def test_head_gets_the_size_and_no_body():
    desk = Desk()
    desk.get("/", lambda request: "hello")
    client = desk.client().send(head("HEAD /"))
    (answer,) = client.answers(head_only=True)
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "5", b"")
    assert not client.pipe.data.endswith(b"hello")


class TestFailures:
    def test_a_handler_that_raises_is_500_and_the_connection_survives(self, caplog):
        desk = Desk()

        def broken(request):
            raise LookupError("secret")

        async def broken_too(request):
            raise LookupError("secret")

        desk.get("/1", broken)
        desk.get("/2", broken_too)
        client = desk.client().send(head("GET /1") + head("GET /2") + head("GET /healthz"))
        assert [each.status for each in client.answers()] == [500, 500, 200]
        assert b"secret" not in client.pipe.data
        assert desk.errors.total == desk.metrics.handler_errors == 2
        assert "LookupError: secret" in caplog.text

    def test_reject_is_the_answer_and_no_error(self):
        desk = Desk()

        def refuse(request):
            raise Reject(402, {"error": "pay first"}, {"X-Price": "3"})

        desk.get("/", refuse)
        answer = desk.ask("GET /")
        assert (answer.status, answer.json) == (402, {"error": "pay first"})
        assert answer.headers["x-price"] == "3"
        assert desk.errors.total == 0

    @pytest.mark.parametrize("value", [object(), {1: 2}, {"x": float("nan")}])
    def test_a_value_that_is_no_answer_is_500(self, value):
        desk = Desk()
        desk.get("/", lambda request: value)
        assert desk.ask("GET /").status == 500
        assert desk.errors.total == 1

    def test_a_reject_that_cannot_be_sent_is_500(self):
        desk = Desk()

        def refuse(request):
            raise Reject(99, "what")

        desk.get("/", refuse)
        assert desk.ask("GET /").status == 500

    def test_a_defect_of_ours_ends_the_connection_and_not_the_turn(self, monkeypatch, caplog):
        desk = Desk()
        monkeypatch.setattr(desk.opening.exchanges, "begin", lambda *_: 1 / 0)
        client = desk.client().send(head("GET /"))
        assert [each.status for each in client.answers()] == [500]
        assert client.is_ended
        assert "ZeroDivisionError" in caplog.text

    def test_a_defect_in_an_answer_that_took_time_holds_nobody_for_ever(
        self, run, monkeypatch, caplog
    ):
        async def main():
            async def slow(request):
                await asyncio.sleep(0)
                return Response("x")

            desk = Desk()
            desk.get("/", slow)
            monkeypatch.setattr(desk.opening.exchanges, "_answer", lambda *_: 1 / 0)
            client = desk.client().send(head("GET /"))
            await desk.opening.exchanges.finish(10)
            assert client.pipe.is_closed
            assert "ZeroDivisionError" in caplog.text

        run(main())


class TestDraining:
    def test_an_answer_is_the_last_of_its_connection(self):
        desk = Desk()
        desk.get("/", lambda request: "hello")
        desk.opening.drain()
        client = desk.client().send(head("GET /"))
        (answer,) = client.answers()
        assert (answer.status, answer.keeps_alive) == (200, False)
        assert client.is_ended

    def test_a_handler_that_outlives_the_deadline_is_cancelled(self, run):
        async def main():
            async def endless(request):
                await asyncio.Event().wait()

            desk = Desk()
            desk.get("/", endless)
            client = desk.client().send(head("GET /"))
            assert desk.opening.exchanges.is_busy(client.conn)
            await desk.opening.exchanges.finish(0)
            await asyncio.sleep(0)
            assert [each.status for each in client.answers()] == [503]

        run(main())

    def test_a_body_that_is_coming_makes_the_connection_busy(self):
        desk = Desk()
        desk.route("POST", "/", str)
        client = desk.client()
        assert not desk.opening.exchanges.is_busy(client.conn)
        client.send(head("POST /", {"Content-Length": "5"}))
        assert desk.opening.exchanges.is_busy(client.conn)
        client.conn._lost()
        desk.turn.flush()
        assert not desk.opening.exchanges.is_busy(client.conn)


def test_handle_websocket_asks_a_plain_client_for_an_upgrade():
    desk = Desk()
    desk.get("/", HandleWebSocket)
    answer = desk.ask("GET /")
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


def test_one_line_is_logged_for_each_request(caplog):
    caplog.set_level(logging.INFO, "glyph_fast.access")
    desk = Desk()
    desk.get("/a", lambda request: "hello")
    desk.client().send(head("GET /a?x") + head("GET /b") + b"nonsense\r\n\r\n")
    fields = [record.fields for record in caplog.records if record.name == "glyph_fast.access"]
    assert [each["status"] for each in fields] == [200, 404, 400]
    assert fields[0]["target"] == "/a"
    assert fields[0]["remote"] == "192.0.2.7"
    assert fields[0]["bytes"] == 5


def test_a_body_in_tiny_chunks_is_shared_out_and_arrives():
    async def size(request):
        return len(await request.body())

    desk = Desk()
    desk.route("POST", "/", size)
    desk.get("/", lambda request: "other")
    client, other = desk.client(), desk.client()
    start = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    client.turn.in_turn = True
    client.conn._feed(start + b"5\r\nabcde\r\n" * 1000 + b"0\r\n\r\n")
    other.send(head("GET /"))  # in the same turn
    assert [each.body for each in other.answers()] == [b"other"]
    assert client.answers() == []
    turns = 1
    while not (answers := client.answers()):
        client.turn.flush()
        turns += 1
        assert turns < 100
    assert answers[0].body == b"5000"
    assert turns >= 2000 // MAX_LINES


def test_options_of_the_server_itself_are_told():
    desk = Desk()
    desk.get("/", lambda request: "page")
    answer = desk.ask("OPTIONS *")
    assert answer.status == 204
    assert answer.headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert answer.keeps_alive
    assert desk.ask("OPTIONS /").status == 405
    assert desk.ask("GET *").status == 400


def test_a_body_is_read_whose_framing_is_written_oddly():
    async def size(request):
        return len(await request.body())

    desk = Desk()
    desk.route("POST", "/", size)
    for fields, body in [
        (b"Content-Length: 5\t", b"hello"),
        (b"Transfer-Encoding: , chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    ]:
        for version in (b"1.1", b"1.2"):
            start = b"POST / HTTP/" + version + b"\r\nHost: a\r\n" + fields + b"\r\n\r\n"
            assert desk.answer(start + body).body == b"5"
