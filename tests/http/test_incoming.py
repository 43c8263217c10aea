"""Bodies that are taken as they come."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.errors import ConnectionClosed, Reject
from glyph_fast.http.body import BodyReader
from glyph_fast.http.head import parse_head
from glyph_fast.http.incoming import BODY_WINDOW, IncomingBody


class Source:
    def __init__(self) -> None:
        self.told: list[object] = []

    def ask(self) -> None:
        self.told.append("ask")

    def go_on(self) -> None:
        self.told.append("go on")

    def refuse(self, status: int) -> None:
        self.told.append(status)


class Incoming:
    """A body, and the hand that feeds it."""

    def __init__(self, *fields: bytes, limit: int | None = None) -> None:
        head = b"\r\n".join([b"POST / HTTP/1.1", b"Host: a", *fields]) + b"\r\n\r\n"
        self.reader = BodyReader(parse_head(head), None)
        self.source = Source()
        self.body = IncomingBody(self.reader, self.source, limit)

    def feed(self, data: bytes) -> None:
        assert self.reader.feed(data) == len(data)
        self.body.came()


def sized(size: int, *fields: bytes, limit: int | None = None) -> Incoming:
    return Incoming(b"Content-Length: %d" % size, *fields, limit=limit)


def test_pieces_come_as_they_came(run):
    async def main():
        it = sized(9)
        reading = asyncio.ensure_future(it.body.read())
        await asyncio.sleep(0)
        it.feed(b"one")
        assert await reading == b"one"
        it.feed(b"two")
        it.feed(b"end")
        assert [await it.body.read(), await it.body.read()] == [b"twoend", b""]

    run(main())


def test_the_whole_body_may_be_asked_for_again(run):
    async def main():
        it = Incoming(b"Transfer-Encoding: chunked")
        reading = asyncio.ensure_future(it.body.whole())
        await asyncio.sleep(0)
        it.feed(b"3\r\none\r\n")
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        it.feed(b"3\r\ntwo\r\n0\r\n\r\n")
        assert await it.body.whole() == await it.body.whole() == b"onetwo"

    run(main())


def test_what_was_streamed_is_not_kept(run):
    async def main():
        it = sized(3)
        it.feed(b"abc")
        assert await it.body.read() == b"abc"
        with pytest.raises(RuntimeError, match="not kept"):
            await it.body.whole()

    run(main())


def test_one_that_is_announced_too_large_is_refused_before_it_is_asked_for(run):
    async def main():
        it = sized(6, b"Expect: 100-continue", limit=5)
        for _ in range(2):
            with pytest.raises(Reject) as caught:
                await it.body.whole()
            assert caught.value.status == 413
        assert it.source.told == [413]

    run(main())


def test_one_that_becomes_too_large_is_refused_and_forgotten(run):
    async def main():
        it = Incoming(b"Transfer-Encoding: chunked", limit=5)
        it.feed(b"3\r\none\r\n3\r\ntwo\r\n")
        with pytest.raises(Reject) as caught:
            await it.body.whole()
        assert caught.value.status == 413
        assert it.source.told == ["go on", 413]
        it = Incoming(b"Transfer-Encoding: chunked", limit=6)
        it.feed(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
        assert await it.body.whole() == b"onetwo"

    run(main())


def test_a_client_that_waits_is_asked_at_the_first_read(run):
    async def main():
        it = sized(3, b"Expect: 100-continue")
        assert it.source.told == []
        reading = asyncio.ensure_future(it.body.read())
        await asyncio.sleep(0)
        assert it.source.told == ["ask"]
        it.feed(b"abc")
        assert await reading == b"abc"
        assert it.source.told == ["ask", "go on"]

    run(main())


def test_it_is_full_until_it_is_taken(run):
    async def main():
        it = sized(10 * BODY_WINDOW)
        it.feed(b"x" * (BODY_WINDOW - 1))
        assert not it.body.is_full
        it.feed(b"x")
        assert it.body.is_full
        await it.body.read()
        assert not it.body.is_full
        assert it.source.told == ["go on"]

    run(main())


def test_who_reads_hears_why_there_is_no_more(run):
    async def main():
        it = sized(9)
        reading = asyncio.ensure_future(it.body.read())
        await asyncio.sleep(0)
        it.body.cut_off()
        it.body.refuse(400, "too late")
        with pytest.raises(ConnectionClosed, match="1006: the client sent no whole body") as cut:
            await reading
        assert it.body.tells_of_cut(cut.value)
        assert not it.body.tells_of_cut(ConnectionClosed(1006, "of another connection"))
        it = sized(9)
        it.feed(b"one")
        it.body.refuse(400, "malformed")
        it.body.cut_off()
        assert await it.body.read() == b"one"
        for _ in range(2):
            with pytest.raises(Reject) as refused:
                await it.body.read()
            assert refused.value.body == {"error": "malformed"}
        assert not it.body.tells_of_cut(cut.value)

    run(main())


def test_two_tasks_cannot_read_one_body(run):
    async def main():
        it = sized(3)
        reading = asyncio.ensure_future(it.body.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="another task"):
            await it.body.read()
        it.feed(b"abc")
        assert await reading == b"abc"

    run(main())
