"""Bodies: whole, byte by byte, and with the next request right behind."""

from __future__ import annotations

import pytest

from glyph_fast.errors import HandshakeError
from glyph_fast.http.body import (
    CONTINUE,
    MAX_CHUNK_LINE,
    MAX_LINES,
    MAX_OVERHEAD,
    MAX_TRAILERS,
    BodyReader,
)
from glyph_fast.http.head import parse_head
from glyph_fast.wire import MAX_BODY

NEXT = b"GET / HTTP/1.1\r\n"


def reader(*fields: bytes, limit: int = MAX_BODY, version: bytes = b"1.1") -> BodyReader:
    lines = [b"POST / HTTP/" + version, b"Host: a", *fields]
    return BodyReader(parse_head(b"\r\n".join(lines) + b"\r\n\r\n"), limit)


def sized(size: int, **options: int) -> BodyReader:
    return reader(b"Content-Length: %d" % size, **options)


def chunked(**options: int) -> BodyReader:
    return reader(b"Transfer-Encoding: chunked", **options)


def feed_all(body: BodyReader, data: bytes) -> int:
    """Feed `data` in as many turns as it takes; how much belonged to the body."""
    position = 0
    while not body.is_complete and (taken := body.feed(data[position:])):
        position += taken
    return position


SOUND = [
    ("one chunk", b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    ("no chunk", b"0\r\n\r\n", b""),
    ("two chunks", b"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", b"hello!"),
    ("hexadecimal", b"A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", b"0123456789abcdefghij"),
    ("leading zeros", b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    ("line ends inside", b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    ("extension", b"1;a\r\nx\r\n0\r\n\r\n", b"x"),
    ("extension with a value", b"1;a=b;c=d\r\nx\r\n0;e=f\r\n\r\n", b"x"),
    ("quoted extension", b'1;a="b;\\"c"\r\nx\r\n0\r\n\r\n', b"x"),
    ("spaces around an extension", b"1 ; a = b\r\nx\r\n0\r\n\r\n", b"x"),
    ("trailer", b"1\r\nx\r\n0\r\nX: y\r\n\r\n", b"x"),
    ("two trailers", b"0\r\nX: y\r\nZ:\r\n\r\n", b""),
]
SOUND_IDS = [row[0] for row in SOUND]


@pytest.mark.parametrize(("name", "data", "body"), SOUND, ids=SOUND_IDS)
def test_a_chunked_body_is_read_up_to_its_end(name: str, data: bytes, body: bytes) -> None:
    whole = chunked()
    assert whole.feed(data + NEXT) == len(data)
    assert whole.is_complete and whole.take() == body


@pytest.mark.parametrize(("name", "data", "body"), SOUND, ids=SOUND_IDS)
def test_a_chunked_body_may_come_byte_by_byte(name: str, data: bytes, body: bytes) -> None:
    slow = chunked()
    for index in range(len(data)):
        assert not slow.is_complete
        assert slow.feed(data[index : index + 1]) == 1
    assert slow.is_complete and slow.take() == body
    assert slow.feed(NEXT) == 0


BAD = [
    ("no size", b"\r\n", 400),
    ("no number", b"x\r\n", 400),
    ("negative size", b"-1\r\n", 400),
    ("signed size", b"+1\r\n", 400),
    ("prefix", b"0x1\r\n", 400),
    ("underscore", b"1_0\r\n", 400),
    ("space before the size", b" 1\r\n", 400),
    ("space after the size", b"1 \r\n", 400),
    ("17 digits", b"00000000000000001\r\n", 400),
    ("bare LF after the size", b"1\nx\r\n", 400),
    ("CR CR LF after the size", b"1\r\r\n", 400),
    ("bare CR in the size", b"1\rx\r\n", 400),
    ("longer than its size", b"1\r\nxy\r\n", 400),
    ("bare LF after the data", b"1\r\nx\n", 400),
    ("extension without name", b"1;\r\n", 400),
    ("extension without value", b"1;a=\r\n", 400),
    ("extension with an open quote", b'1;a="b\r\n', 400),
    ("control character in an extension", b"1;a=\x01\r\n", 400),
    ("NUL in a quoted extension", b'1;a="\0"\r\n', 400),
    ("endless size line", b"1" * (MAX_CHUNK_LINE + 1), 400),
    ("endless extension", b"1;" + b"a" * MAX_CHUNK_LINE, 400),
    ("trailer without colon", b"0\r\nX\r\n", 400),
    ("trailer with space before the colon", b"0\r\nX : y\r\n", 400),
    ("folded trailer", b"0\r\nX: y\r\n z\r\n", 400),
    ("trailer with a control character", b"0\r\nX: \x01\r\n", 400),
    ("bare LF in the trailers", b"0\r\nX: y\n", 400),
    ("bare LF at the end", b"0\r\n\n", 400),
    ("endless trailer", b"0\r\nX: " + b"y" * MAX_TRAILERS, 400),
    ("endless trailers", b"0\r\n" + b"X: y\r\n" * (MAX_TRAILERS // 4 + 1), 400),
    ("nothing but lines", (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * (MAX_OVERHEAD // 1000 + 2), 400),
    ("chunk too large", b"%x\r\n" % (MAX_BODY + 1), 413),
    ("absurd chunk", b"ffffffffffffffff\r\n", 413),
]


@pytest.mark.parametrize(("name", "data", "status"), BAD, ids=[row[0] for row in BAD])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_a_bad_chunk_is_refused(name: str, data: bytes, status: int, step: int) -> None:
    body = chunked()
    with pytest.raises(HandshakeError) as caught:
        for start in range(0, len(data), step):
            feed_all(body, data[start : start + step])
    assert caught.value.status == status


def test_a_sized_body_takes_no_byte_too_many() -> None:
    body = sized(5)
    assert body.feed(b"he") == 2 and not body.is_complete
    assert body.feed(b"llo" + NEXT) == 3 and body.is_complete
    assert body.take() == b"hello"
    assert body.feed(NEXT) == 0


@pytest.mark.parametrize("fields", [(), (b"Content-Length: 0",)])
def test_without_a_body_the_reader_is_complete_at_once(fields: tuple[bytes, ...]) -> None:
    body = reader(*fields)
    assert body.is_complete and body.take() == b"" and body.feed(NEXT) == 0


def test_views_are_taken_as_well_as_bytes() -> None:
    body = sized(5)
    assert body.feed(memoryview(b"hel")) + body.feed(bytearray(b"lo!")) == 5
    assert body.take() == b"hello"


def test_a_body_at_the_limit_is_taken_and_one_above_it_refused() -> None:
    assert sized(5, limit=5).feed(b"hello") == 5
    assert chunked(limit=5).feed(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n") == 20
    with pytest.raises(HandshakeError) as caught:
        sized(6, limit=5)
    assert caught.value.status == 413
    with pytest.raises(HandshakeError) as caught:
        chunked(limit=5).feed(b"3\r\nhel\r\n3\r\n")
    assert caught.value.status == 413


def test_many_small_chunks_are_no_abuse() -> None:
    body = chunked()
    data = b"5\r\nhello\r\n" * 20_000 + b"1\r\n!\r\n" * 10_000 + b"0\r\n\r\n"
    assert feed_all(body, data) == len(data)
    assert body.take() == b"hello" * 20_000 + b"!" * 10_000


def test_endless_tiny_chunks_are_refused() -> None:
    body = chunked()
    with pytest.raises(HandshakeError, match="too little data"):
        feed_all(body, b"1\r\nx\r\n" * MAX_OVERHEAD)


def test_a_client_that_waits_is_to_be_told_to_go_on() -> None:
    body = reader(b"Content-Length: 5", b"Expect: 100-Continue")
    assert body.needs_continue
    body.continue_sent()
    assert not body.needs_continue
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_client_that_does_not_wait_after_all_need_not_be_told() -> None:
    body = reader(b"Transfer-Encoding: chunked", b"Expect: 100-continue")
    assert body.needs_continue
    body.feed(b"5")
    assert not body.needs_continue


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ((b"Content-Length: 0", b"Expect: 100-continue"), b"1.1"),
        ((b"Expect: 100-continue",), b"1.1"),
        ((b"Content-Length: 5", b"Expect: 100-continue"), b"1.0"),
        ((b"Content-Length: 5",), b"1.1"),
        ((b"Content-Length: 5", b"Expect:"), b"1.1"),
    ],
)
def test_nobody_is_told_to_go_on_without_need(fields: tuple[bytes, ...], version: bytes) -> None:
    assert not reader(*fields, version=version).needs_continue


@pytest.mark.parametrize("value", [b"200-ok", b"100-continue, x", b"100-continue=1"])
def test_an_unknown_expectation_fails(value: bytes) -> None:
    with pytest.raises(HandshakeError) as caught:
        reader(b"Content-Length: 5", b"Expect: " + value)
    assert caught.value.status == 417


TINY = [
    ("chunks of three bytes", b"3\r\nabc\r\n" * 1000 + b"0\r\n\r\n", b"abc" * 1000),
    ("chunks of a byte", b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n", b"x" * 1000),
    ("trailers", b"0\r\n" + b"a:\r\n" * 1000 + b"\r\n", b""),
    ("extensions", b"1;a=b;c\r\nx\r\n" * 500 + b"0\r\n\r\n", b"x" * 500),
]


@pytest.mark.parametrize(("name", "data", "body"), TINY, ids=[row[0] for row in TINY])
def test_a_call_reads_a_bounded_number_of_lines(name: str, data: bytes, body: bytes) -> None:
    it, position, calls = chunked(), 0, 0
    while not it.is_complete:
        taken = it.feed(data[position:])
        assert 0 < data[position : position + taken].count(b"\n") <= MAX_LINES
        position, calls = position + taken, calls + 1
    assert position == len(data) and it.take() == body
    assert calls == -(-data.count(b"\n") // MAX_LINES)


def test_chunks_of_a_usual_size_are_read_in_one_call() -> None:
    data = (b"1000\r\n" + bytes(4096) + b"\r\n") * 15 + b"0\r\n\r\n"
    assert chunked().feed(data) == len(data)
