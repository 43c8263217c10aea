"""Answers of ours as heads and pieces, whole and cut at every place."""

from __future__ import annotations

from typing import Any

import pytest

from glyph_fast.asgi.hosted.answers import AnswerReader, Head

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\nX-A: 1\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\nx-trailer: 1\r\n\r\n"
)
UNTIL_END = b"HTTP/1.1 200 OK\r\nDate: x\r\n\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
HINTED = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + LENGTH
UPGRADED = b"HTTP/1.1 101 x\r\nSec-WebSocket-Protocol: p\r\nX-B: 2\r\n\r\n\x81\x01a"


def read(data: bytes, size: int, **more: Any) -> tuple[AnswerReader, list[Any]]:
    reader = AnswerReader(**more)
    found: list[Any] = []
    for at in range(0, len(data), size):
        found += reader.feed(data[at : at + size])
    return reader, found


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    ("data", "body", "is_whole"),
    [
        (LENGTH, b"hello", True), (CHUNKED, b"hello", True), (UNTIL_END, b"hello", False),
        (EMPTY, b"", True), (HINTED, b"hello", True),
    ],
)  # fmt: skip
def test_heads_and_pieces(size: int, data: bytes, body: bytes, is_whole: bool) -> None:
    reader, (head, *pieces) = read(data, size)
    assert isinstance(head, Head) and b"".join(pieces) == body
    assert reader.is_whole is is_whole
    assert reader.ends_with_the_connection is not is_whole


def test_fields_are_without_what_is_between_two_servers() -> None:
    _, (head, _) = read(LENGTH, 1000)
    assert (head.status, head.fields) == (200, [(b"content-length", b"5"), (b"x-a", b"1")])


def test_the_answer_to_head_has_no_body() -> None:
    reader, found = read(LENGTH.removesuffix(b"hello"), 3, is_head=True)
    assert reader.is_whole and len(found) == 1


@pytest.mark.parametrize("size", [1, 1000])
def test_what_comes_behind_a_101_is_kept(size: int) -> None:
    reader = AnswerReader()
    end = UPGRADED.index(b"\x81")
    (head,) = [found for at in range(end) for found in reader.feed(UPGRADED[at : at + 1])]
    assert (head.status, head.subprotocol, head.fields) == (101, "p", [(b"x-b", b"2")])
    whole, _ = read(UPGRADED, 1000)
    assert whole.upgraded == b"\x81\x01a"
