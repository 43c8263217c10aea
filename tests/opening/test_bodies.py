"""Bodies of requests on their way to handlers: which are waited for, which are taken as they come,
and what bounds them. Without sockets."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.http.incoming import BODY_WINDOW
from glyph_fast.options.config import Config
from glyph_fast.server.server import Server
from glyph_fast.testing import TestClient
from tests.engine.desk import Client, Desk, head
from tests.engine.peers import eventually

LARGE = 2 * BODY_WINDOW
CHUNKED = {"Transfer-Encoding": "chunked"}


async def size_of(request):
    return {"size": len(await request.body())}


async def sizes_of(request):
    return [len(piece) async for piece in request.stream()]


def posting(call, *, may_wait: bool = True, config: Config | None = None, **options) -> Desk:
    desk = Desk(config)
    desk.route("POST", "/", call, may_wait=may_wait, **options)
    desk.get("/next", lambda request: "next")
    return desk


def begun(desk: Desk, size: int = LARGE, **fields: str) -> Client:
    """A client that has sent the head of a request with a body."""
    return desk.client().send(head("POST /", {"Content-Length": str(size), **fields}))


@pytest.mark.parametrize("may_wait", [True, False])
def test_a_small_body_is_there_before_the_handler_which_costs_no_task(may_wait):
    desk = posting(size_of, may_wait=may_wait)
    client = begun(desk, 5)
    assert client.answers() == []
    client.send(b"he").send(b"llo" + head("GET /next"))
    assert [each.body for each in client.answers()] == [b'{"size":5}', b"next"]


@pytest.mark.parametrize("may_wait", [True, False])
def test_chunks_that_come_with_their_head_cost_no_task(may_wait):
    desk = posting(size_of, may_wait=may_wait)
    client = desk.client()
    client.send(head("POST /", CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n" + head("GET /next"))
    assert [each.body for each in client.answers()] == [b'{"size":5}', b"next"]


def test_a_large_body_is_taken_by_a_handler_that_runs_already(run):
    async def main():
        seen = []

        async def handler(request):
            seen.append("begun")
            return {"size": len(await request.body())}

        desk = posting(handler)
        client = begun(desk)
        assert seen == ["begun"]
        for _ in range(LARGE // 1024):
            client.send(b"x" * 1024)
            await asyncio.sleep(0)
        client.send(head("GET /next"))
        await eventually(lambda: client.pipe.data.endswith(b"next"))
        assert [each.body for each in client.answers()] == [b'{"size":%d}' % LARGE, b"next"]

    run(main())


def test_a_handler_that_cannot_wait_gets_a_large_body_whole():
    desk = posting(size_of, may_wait=False)
    client = begun(desk)
    for _ in range(LARGE // 1024):
        assert client.answers() == []
        client.send(b"x" * 1024)
    assert client.answers()[0].json == {"size": LARGE}


def test_pieces_reach_a_handler_as_they_come(run):
    async def main():
        seen = []

        async def handler(request):
            async for piece in request.stream():
                seen.append(piece)
            return len(seen)

        desk = posting(handler)
        client = desk.client().send(head("POST /", CHUNKED))
        for piece in (b"one", b"two", b"three"):
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await eventually(lambda piece=piece: seen and seen[-1] == piece)
        client.send(b"0\r\n\r\n")
        await eventually(lambda: client.pipe.data.endswith(b"3"))

    run(main())


def test_what_nobody_takes_is_not_read(run):
    async def main():
        gate = asyncio.Event()

        async def handler(request):
            await gate.wait()
            return sum([len(piece) async for piece in request.stream()])

        desk = posting(handler)
        size = 20 * BODY_WINDOW
        client = begun(desk, size)
        client.send(b"x" * (BODY_WINDOW - 1))
        assert not client.pipe.is_paused
        client.send(b"x")
        assert client.pipe.is_paused
        for _ in range(20):
            await asyncio.sleep(0)
        assert client.pipe.is_paused
        gate.set()
        left = size - BODY_WINDOW
        while left:
            await eventually(lambda: not client.pipe.is_paused)
            client.send(b"x" * BODY_WINDOW)
            left -= BODY_WINDOW
        await eventually(lambda: client.pipe.data.endswith(str(size).encode()))
        assert client.answers()[0].keeps_alive

    run(main())


def test_an_answer_before_the_end_of_the_body_ends_the_connection(run):
    async def main():
        async def handler(request):
            async for piece in request.stream():
                return f"had {len(piece)}"

        desk = posting(handler)
        client = begun(desk).send(b"x" * 10)
        await eventually(lambda: client.is_ended)
        client.send(b"GET / HTTP/1.1\r\nHost: smuggled\r\n\r\n" * 10)
        (answer,) = client.answers()
        assert (answer.body, answer.keeps_alive) == (b"had 10", False)

    run(main())


def test_an_answer_in_pieces_may_begin_while_the_body_comes(run):
    async def main():
        async def echo(request):
            async for piece in request.stream():
                yield piece.upper()

        desk = posting(echo)
        client = desk.client().send(head("POST /", CHUNKED))
        client.send(b"3\r\none\r\n")
        await eventually(lambda: client.pipe.data.endswith(b"3\r\nONE\r\n"))
        client.send(b"3\r\ntwo\r\n0\r\n\r\n")
        await eventually(lambda: client.pipe.data.endswith(b"3\r\nTWO\r\n0\r\n\r\n"))
        assert client.is_ended  # its head had to say so before the body had ended

    run(main())


class TestContinue:
    def test_a_client_that_waits_is_asked_when_the_handler_reads(self, run):
        async def main():
            gate = asyncio.Event()

            async def handler(request):
                await gate.wait()
                return await size_of(request)

            desk = posting(handler)
            client = begun(desk, 5, Expect="100-continue")
            assert not client.pipe.data
            gate.set()
            await eventually(lambda: client.pipe.data == b"HTTP/1.1 100 Continue\r\n\r\n")
            client.send(b"hello")
            await eventually(lambda: client.pipe.data.endswith(b'{"size":5}'))

        run(main())

    def test_one_whose_body_nobody_reads_is_not_asked(self):
        async def handler(request):
            return "no, thank you"

        client = begun(posting(handler), Expect="100-continue")
        (answer,) = client.answers()
        assert (answer.status, answer.keeps_alive) == (200, False)

    def test_one_whose_body_would_be_too_large_is_not_asked(self):
        config = Config(max_body_size=1000)
        client = begun(posting(size_of, config=config), 1001, Expect="100-continue")
        assert [each.status for each in client.answers()] == [413]
        assert client.is_ended


class TestLimits:
    @pytest.mark.parametrize("may_wait", [True, False])
    @pytest.mark.parametrize(
        ("own", "size", "status"),
        [
            ({}, 200_000, 200),
            ({}, 200_001, 413),
            ({"max_body": 100_000}, 100_000, 200),
            ({"max_body": 100_000}, 100_001, 413),
            ({"max_body": 300_000}, 300_000, 200),
            ({"max_body": None}, 900_000, 200),
        ],
    )
    @pytest.mark.parametrize("is_chunked", [True, False])
    def test_a_body_is_bounded_by_the_option_or_its_route(
        self, run, may_wait, own, size, status, is_chunked
    ):
        async def main():
            desk = posting(size_of, may_wait=may_wait, config=Config(max_body_size=200_000), **own)
            if is_chunked:
                client = desk.client().send(head("POST /", CHUNKED))
                data = b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)
            else:
                client, data = begun(desk, size), b"x" * size
            for start in range(0, len(data), 50_000):
                client.send(data[start : start + 50_000])
                await asyncio.sleep(0)
            await eventually(lambda: client.pipe.data)
            (answer,) = client.answers()
            assert answer.status == status
            assert answer.keeps_alive or status == 413
            assert desk.metrics.requests_refused[413] == (status == 413)
            assert desk.errors.total == 0

        run(main())

    def test_what_is_streamed_is_bounded_by_its_route_alone(self, run):
        async def main():
            for own, status in (({}, 200), ({"max_body": 100_000}, 413)):
                desk = posting(sizes_of, config=Config(max_body_size=1000), **own)
                client = desk.client().send(head("POST /", CHUNKED))
                for _ in range(11):
                    client.send(b"2710\r\n%b\r\n" % (b"x" * 10_000))
                    await asyncio.sleep(0)
                client.send(b"0\r\n\r\n")
                await eventually(lambda client=client: client.pipe.data)
                assert client.answers()[0].status == status

        run(main())

    def test_programs_set_it_at_the_route(self, run):
        async def main():
            server = Server(Config(max_body_size=10))
            server.post("/default")(size_of)
            server.post("/larger", max_body="1KiB")(size_of)
            server.put("/any", max_body=None)(size_of)
            async with TestClient(server) as client:
                assert (await client.post("/default", body=b"x" * 11)).status == 413
                assert (await client.post("/larger", body=b"x" * 1024)).json() == {"size": 1024}
                assert (await client.post("/larger", body=b"x" * 1025)).status == 413
                big = b"x" * 20_000_000
                assert (await client.put("/any", body=big)).json() == {"size": len(big)}
            with pytest.raises(ValueError, match="max_body: expected a size"):
                server.post("/bad", max_body="a lot")

        run(main())


class TestAddresses:
    """An address may have as many bodies under way as it may have connections."""

    def test_one_body_more_than_connections_is_refused(self):
        desk = posting(size_of, config=Config(max_connections_per_ip=2))
        first, second = begun(desk, 5), begun(desk, 5)
        third = begun(desk, 5)
        (answer,) = third.answers()
        assert (answer.status, answer.keeps_alive) == (429, False)
        assert desk.metrics.requests_refused[429] == 1
        first.send(b"hello")
        assert first.answers()[0].status == 200
        begun(desk, 5).send(b"hello").answers()
        second.conn._lost()
        desk.turn.flush()
        for client in (begun(desk, 5), begun(desk, 5)):
            assert client.answers() == []

    def test_requests_without_a_body_do_not_count(self):
        desk = posting(size_of, config=Config(max_connections_per_ip=1))
        begun(desk, 5)
        assert desk.ask("GET /next").status == 200

    def test_a_handler_holds_its_body_until_it_has_answered(self, run):
        async def main():
            gate = asyncio.Event()

            async def slow(request):
                await request.body()
                await gate.wait()
                return "done"

            desk = posting(slow, config=Config(max_connections_per_ip=1))
            client = begun(desk, 5).send(b"hello")
            assert begun(desk, 5).answers()[0].status == 429
            gate.set()
            await eventually(lambda: client.pipe.data.endswith(b"done"))
            assert begun(desk, 5).answers() == []

        run(main())

    def test_in_all_there_are_no_more_than_connections(self):
        desk = posting(size_of, config=Config(max_connections=2))
        begun(desk, 5), begun(desk, 5)
        assert begun(desk, 5).answers()[0].status == 503


class TestEnds:
    def test_a_client_that_goes_amid_its_body_is_heard_by_who_reads_it(self, run):
        async def main():
            seen = []

            async def handler(request):
                try:
                    await request.body()
                except BaseException as exc:
                    seen.append(type(exc).__name__)
                    raise

            desk = posting(handler)
            client = begun(desk).send(b"x" * 10)
            client.conn._lost()
            await eventually(lambda: seen)
            await desk.opening.exchanges.finish(10)
            assert seen == ["ConnectionClosed"]
            assert desk.errors.total == 0

        run(main())

    def test_a_bad_chunk_is_the_answer_of_who_reads_it(self, run):
        async def main():
            desk = posting(size_of)
            client = desk.client().send(head("POST /", CHUNKED))
            client.send(b"3\r\none\r\n")
            client.send(b"nonsense\r\n" + head("GET /next"))
            await eventually(lambda: client.is_ended)
            assert [each.status for each in client.answers()] == [400]
            assert desk.metrics.requests_refused[400] == 1
            assert desk.errors.total == 0

        run(main())

    def test_one_that_trickles_is_408_and_its_handler_hears(self, run):
        async def main():
            seen = []

            async def handler(request):
                try:
                    await request.body()
                except Exception as exc:
                    seen.append(str(exc))
                    raise

            desk = posting(handler)
            client = begun(desk).send(b"x")
            now = desk.turn.clock()
            for second in range(1, 13):
                desk.turn.sweep(now + second)
            desk.turn.flush()
            await eventually(lambda: seen)
            assert [each.status for each in client.answers()] == [408]
            assert "no whole body" in seen[0]

        run(main())
