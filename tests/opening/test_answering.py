"""Answers in pieces: framing, pace, ends and failures. Without sockets."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import weakref

import pytest

from glyph_fast.errors import Reject
from glyph_fast.http.pieces import PIECE
from glyph_fast.http.response import Response
from glyph_fast.http.static import StaticFiles
from glyph_fast.options.config import Config
from glyph_fast.server.server import Server
from glyph_fast.testing import TestClient
from glyph_fast.wire import ANSWER_WINDOW
from tests.engine.desk import Desk, head
from tests.engine.peers import eventually

HTTP_1_0 = b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"


def desk_of(make, **options) -> Desk:
    """GET / answers by an iterator of `make()`, GET /next by text."""
    desk = Desk(**options)
    desk.get("/", lambda request: Response(make()))
    desk.get("/next", lambda request: "next")
    return desk


def split(data: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of one answer, and everything behind its head."""
    first, _, rest = data.partition(b"\r\n\r\n")
    _, *lines = first.decode().split("\r\n")
    return {k.lower(): v for k, v in (line.split(": ", 1) for line in lines)}, rest


async def three():
    for piece in ("one", b"two", "drei"):
        yield piece


CHUNKS = b"3\r\none\r\n3\r\ntwo\r\n4\r\ndrei\r\n0\r\n\r\n"


def test_a_handler_may_be_a_generator(run):
    async def main():
        server = Server()

        @server.get("/count/:n")
        async def count(request):
            for n in range(int(request.path_params["n"])):
                await asyncio.sleep(0)
                yield f"{n}\n"

        @server.get("/words")
        def words():
            yield from ("one ", b"two")

        async with TestClient(server) as client:
            assert (await client.get("/count/3")).text == "0\n1\n2\n"
            assert (await client.get("/words")).text == "one two"

    run(main())


@pytest.mark.parametrize("make", [three, lambda: iter(["one", b"two", "", "drei"])])
def test_what_does_not_wait_leaves_in_chunks_within_the_turn(make):
    client = desk_of(make).client().send(head("GET /"))
    fields, rest = split(bytes(client.pipe.data))
    assert fields["transfer-encoding"] == "chunked"
    assert "content-length" not in fields
    assert rest == CHUNKS
    assert not client.is_ended


def test_a_request_behind_a_stream_is_answered_after_it():
    client = desk_of(three).client().send(head("GET /") + head("GET /next") + head("GET /"))
    _, rest = split(bytes(client.pipe.data))
    assert rest.startswith(CHUNKS + b"HTTP/1.1 200 OK\r\n")
    assert rest.endswith(CHUNKS)
    assert rest.count(b"next") == 1


def test_to_http_1_0_the_end_of_the_connection_is_that_of_the_answer():
    client = desk_of(three).client().send(HTTP_1_0)
    fields, rest = split(bytes(client.pipe.data))
    assert "transfer-encoding" not in fields and "content-length" not in fields
    assert fields["connection"] == "close"
    assert rest == b"onetwodrei"
    assert client.is_ended


def test_an_announced_length_is_kept_to():
    def make(size):
        return lambda request: Response(iter(["one", "two"]), headers={"Content-Length": size})

    desk = Desk()
    desk.get("/", make("6"))
    client = desk.client().send(HTTP_1_0)
    fields, rest = split(bytes(client.pipe.data))
    assert (fields["content-length"], rest) == ("6", b"onetwo")
    assert not client.is_ended
    for size in ("5", "7"):
        desk.get(f"/{size}", make(size))
        client = desk.client().send(head(f"GET /{size}"))
        assert client.is_ended
        assert len(split(bytes(client.pipe.data))[1]) <= int(size)
    assert desk.errors.total == 2
    desk.get("/none", make("many"))
    assert desk.ask("GET /none").status == 500


def test_head_has_the_head_alone_and_the_generator_is_closed(run):
    made = []

    def make():
        made.append(three())
        return made[-1]

    async def main():
        client = desk_of(make).client().send(head("HEAD /") + head("GET /next"))
        _, rest = split(bytes(client.pipe.data))
        assert rest.startswith(b"HTTP/1.1 200 OK\r\n") and rest.endswith(b"next")
        with pytest.raises(StopAsyncIteration):
            await anext(made[0])

    run(main())


def test_an_answer_without_a_body_has_none():
    desk = Desk()
    desk.get("/", lambda request: Response(iter(["x"]), 204))
    client = desk.client().send(head("GET /") + head("GET /"))
    assert [each.status for each in client.answers()] == [204, 204]


def test_the_head_leaves_before_a_first_piece_that_takes_time(run):
    async def main():
        gate = asyncio.Event()

        async def slow():
            await gate.wait()
            yield "late"

        client = desk_of(slow).client().send(head("GET /"))
        assert client.pipe.data.endswith(b"\r\n\r\n")
        gate.set()
        await eventually(lambda: client.pipe.data.endswith(b"4\r\nlate\r\n0\r\n\r\n"))

    run(main())


@pytest.mark.parametrize(("error", "status"), [(LookupError("secret"), 500), (Reject(402), 402)])
def test_what_fails_before_the_first_piece_is_an_error_as_any_other(error, status):
    async def broken():
        raise error
        yield "never"

    desk = desk_of(broken)
    client = desk.client().send(head("GET /") + head("GET /next"))
    assert [each.status for each in client.answers()] == [status, 200]
    assert desk.errors.total == (1 if status == 500 else 0)


@pytest.mark.parametrize("value", [1, None, {"a": 1}])
def test_a_piece_that_is_none_is_an_error(value):
    desk = desk_of(lambda: iter([value]))
    assert desk.ask("GET /").status == 500
    assert desk.errors.total == 1


@pytest.mark.parametrize("is_framed", [True, False])
def test_what_fails_later_cannot_pass_for_a_whole_answer(is_framed):
    def broken():
        yield "begun"
        raise LookupError("secret")

    desk = desk_of(broken)
    client = desk.client().send(head("GET /") + head("GET /next") if is_framed else HTTP_1_0)
    assert client.is_ended
    assert b"next" not in client.pipe.data and b"secret" not in client.pipe.data
    if is_framed:
        assert client.pipe.data.endswith(b"5\r\nbegun\r\n")
    else:
        assert client.pipe.is_closed  # by a reset: the end alone would say that all is well
    assert desk.errors.total == 1


def test_a_client_that_does_not_read_is_given_no_more(run):
    made = []

    async def endless():
        try:
            while True:
                made.append(1)
                yield b"x" * 10_000
        finally:
            made.append("closed")

    async def main():
        client = desk_of(endless).client()
        client.pipe.room = 100_000
        client.send(head("GET /"))
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(made) * 10_000 < 100_000 + ANSWER_WINDOW + 20_000
        before = len(made)
        client.pipe.room = 200_000
        client.conn._flush()
        await eventually(lambda: len(made) > before)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(made) * 10_000 < 300_000 + ANSWER_WINDOW + 20_000
        client.conn._lost()
        await eventually(lambda: made[-1] == "closed")

    run(main())


def test_an_answer_that_never_waits_leaves_room_for_others(run):
    async def main():
        desk = desk_of(lambda: (b"x" for _ in range(100_000)))
        one, other = desk.client(), desk.client()
        one.send(head("GET /"))
        other.send(head("GET /next"))
        assert [each.body for each in other.answers()] == [b"next"]
        assert not one.pipe.data.endswith(b"0\r\n\r\n")
        await eventually(lambda: one.pipe.data.endswith(b"0\r\n\r\n"))

    run(main())


def test_who_has_ended_its_side_gets_what_comes_soon_and_is_not_waited_for_ever(run):
    ended = []

    async def endless():
        try:
            yield "at once"
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    async def main():
        desk = desk_of(endless, config=Config(handler_grace=0.05))
        client = desk.client().send(head("GET /"))
        client.conn._feed_eof()
        assert client.pipe.data.endswith(b"7\r\nat once\r\n")
        await eventually(lambda: client.pipe.is_closed)
        await eventually(lambda: ended)

    run(main())


def test_nothing_holds_the_connection_of_a_client_that_went_in_two_steps(run):
    async def main():
        goes_on = asyncio.Event()

        async def patient():
            yield "at once"
            await goes_on.wait()

        desk = desk_of(patient, config=Config(handler_grace=3600))
        client = desk.client().send(head("GET /"))
        client.conn._feed_eof()
        client.conn._lost()
        pipe = weakref.ref(client.pipe)
        del client
        goes_on.set()
        await eventually(lambda: gc.collect() >= 0 and pipe() is None)

    run(main())


def test_a_handler_whose_client_is_gone_has_a_moment_to_finish(run):
    seen = []

    async def main():
        async def slow(request):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        desk = Desk(Config(handler_grace=0.05))
        desk.get("/", slow)
        client = desk.client().send(head("GET /"))
        client.conn._feed_eof()
        await asyncio.sleep(0.1)  # it may still read: the handler goes on
        assert not seen
        client.conn._lost()
        await eventually(lambda: seen)
        assert desk.errors.total == 0

    run(main())


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_a_client_asked_to_change_is_changed_though_it_is_gone(run, method):
    seen = []

    async def main():
        go_on = asyncio.Event()

        async def change(request):
            seen.append("began")
            await go_on.wait()
            seen.append("changed")

        desk = Desk(Config(handler_grace=0.0))
        desk.route(method, "/", change)
        client = desk.client().send(head(f"{method} /", {"Content-Length": "0"}))
        await eventually(lambda: seen)
        client.conn._lost()
        await asyncio.sleep(0.05)
        go_on.set()
        await eventually(lambda: len(seen) == 2)
        assert (seen, desk.errors.total) == (["began", "changed"], 0)

    run(main())


def test_pieces_for_a_client_that_is_gone_are_ended_whatever_it_asked(run):
    seen = []

    async def main():
        async def endless():
            try:
                yield "begun"
                await asyncio.Event().wait()
            finally:
                seen.append("ended")

        desk = Desk(Config(handler_grace=0.0))
        desk.route("POST", "/", lambda request: Response(endless()))
        client = desk.client().send(head("POST /", {"Content-Length": "0"}))
        await asyncio.sleep(0.01)
        client.conn._lost()
        await eventually(lambda: seen)

    run(main())


def test_a_stream_is_ended_when_the_server_is(run):
    async def main():
        async def endless():
            yield "begun"
            await asyncio.Event().wait()

        desk = desk_of(endless)
        client = desk.client().send(head("GET /"))
        assert desk.opening.exchanges.is_busy(client.conn)
        await desk.opening.exchanges.finish(0)
        await eventually(lambda: client.is_ended)
        assert not client.pipe.data.endswith(b"0\r\n\r\n")

    run(main())


def test_an_error_of_a_generators_end_is_the_programs(run):
    def stubborn():
        try:
            while True:
                yield "x" * ANSWER_WINDOW
        finally:
            raise LookupError("at the end")

    async def main():
        desk = desk_of(stubborn)
        client = desk.client()
        client.pipe.room = 0
        client.send(head("GET /"))
        client.conn._lost()
        await eventually(lambda: desk.errors.total == 1)

    run(main())


def test_the_access_line_counts_what_was_sent(caplog):
    caplog.set_level(logging.INFO, "glyph_fast.access")
    desk_of(three).client().send(head("GET /"))
    (record,) = [each for each in caplog.records if each.name == "glyph_fast.access"]
    assert (record.fields["status"], record.fields["bytes"]) == (200, 10)


class TestFiles:
    @pytest.fixture
    def big(self, tmp_path):
        data = os.urandom(8 * PIECE + 1)
        (tmp_path / "big.bin").write_bytes(data)
        return Desk(statics=(StaticFiles("/files", tmp_path),)), data, tmp_path / "big.bin"

    def test_a_large_file_is_sent_with_its_length(self, run, big):
        desk, data, _ = big

        async def main():
            client = desk.client().send(head("GET /files/big.bin") + head("GET /healthz"))
            await eventually(lambda: client.pipe.data.endswith(b'{"status":"ok"}'))
            answers = client.answers()
            assert [each.body for each in answers] == [data, b'{"status":"ok"}']
            assert answers[0].keeps_alive

        run(main())

    def test_head_of_a_large_file_has_its_length(self, run, big):
        desk, data, _ = big

        async def main():
            client = desk.client().send(head("HEAD /files/big.bin"))
            await eventually(lambda: client.pipe.data)
            (answer,) = client.answers(head_only=True)
            assert answer.headers["content-length"] == str(len(data))

        run(main())

    def test_a_slow_reader_holds_a_window_of_it(self, run, big):
        desk, data, _ = big

        async def main():
            client = desk.client()
            client.pipe.room = 1
            client.send(head("GET /files/big.bin"))
            await eventually(lambda: client.conn.queued_bytes >= ANSWER_WINDOW)
            for _ in range(20):
                await asyncio.sleep(0)
            assert client.conn.queued_bytes <= ANSWER_WINDOW + PIECE
            client.pipe.room = None
            client.conn._flush()
            await eventually(lambda: client.pipe.data.endswith(data))

        run(main())

    def test_a_file_that_shrinks_cannot_pass_for_whole(self, run, big, caplog):
        desk, data, path = big

        async def main():
            client = desk.client()
            client.pipe.room = 1
            client.send(head("GET /files/big.bin"))
            await eventually(lambda: client.conn.queued_bytes >= ANSWER_WINDOW)
            os.truncate(path, 10)
            client.pipe.room = None
            client.conn._flush()
            await eventually(lambda: client.is_ended)
            assert len(client.pipe.data) < len(data)
            assert "a file was not sent whole" in caplog.text

        run(main())
