"""Bytes that two readers could divide into requests in two ways: none of them gets its second
request handled. Each row goes through a whole opening, whole and byte by byte (RFC 9112 §6, §11.2).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from glyph_fast.core import encode_frame
from glyph_fast.wire import OPEN, TEXT
from tests.engine.desk import HANDSHAKE, Desk, head, upgrade

pytestmark = pytest.mark.both_cores

CHUNKED = "Transfer-Encoding: chunked"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: example.com\r\n\r\n"


def post(*fields: str, body: bytes = b"", path: str = "/form") -> bytes:
    """A POST with just these fields, and what follows its head."""
    lines = [f"POST {path} HTTP/1.1", "Host: example.com", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


class Row(NamedTuple):
    """What is sent, and the status of the only answer to it."""

    name: str
    data: bytes
    answer: int


ROWS = [
    # Both framings at once, in either order and in disguise.
    Row("CL.TE", post("Content-Length: 6", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), 400),
    Row("TE.CL", post(CHUNKED, "Content-Length: 4", body=b"0\r\n\r\n"), 400),
    Row("CL.0 with TE", post("Content-Length: 0", CHUNKED), 400),
    Row("TE in other case", post("TRANSFER-ENCODING: CHUNKED", "Content-Length: 4"), 400),
    Row("TE.TE", post(CHUNKED, "Transfer-Encoding: identity"), 501),
    Row("TE with a space before the colon", post("Transfer-Encoding : chunked"), 400),
    Row("TE behind a bare CR", post("X: a\rTransfer-Encoding: chunked"), 400),
    Row("TE behind a bare LF", post("X: a\nTransfer-Encoding: chunked"), 400),
    Row("TE in a folded line", post("X: a", " Transfer-Encoding: chunked"), 400),
    Row("TE with a trailing comma", post("Transfer-Encoding: chunked,"), 400),
    Row("TE with a vertical tab", post("Transfer-Encoding:\x0bchunked"), 400),
    Row("TE in HTTP/1.0", b"POST /form HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    Row("TE with a NUL", post("Transfer-Encoding: chunked\0"), 400),
    # Lengths that can be read in two ways.
    Row("two lengths", post("Content-Length: 0", "Content-Length: 44"), 400),
    Row("list of lengths", post("Content-Length: 0, 44"), 400),
    Row("signed length", post("Content-Length: +0"), 400),
    Row("octal-looking length", post("Content-Length: 0o0"), 400),
    Row("length with a space inside", post("Content-Length: 4 4"), 400),
    Row("length in other digits", post("Content-Length: \xb2"), 400),
    Row("length with a space before the colon", post("Content-Length : 44"), 400),
    # Chunks that can be read in two ways.
    Row("chunk size with a sign", post(CHUNKED, body=b"+0\r\n\r\n"), 400),
    Row("chunk size in 0x", post(CHUNKED, body=b"0x0\r\n\r\n"), 400),
    Row("chunk size, bare LF", post(CHUNKED, body=b"0\n\n"), 400),
    Row("chunk size, space", post(CHUNKED, body=b" 0\r\n\r\n"), 400),
    Row("chunk without its end", post(CHUNKED, body=b"1\r\nab0\r\n\r\n"), 400),
    Row("extension with a bare LF", post(CHUNKED, body=b"0;a\nb\r\n\r\n"), 400),
    Row("chunk size that overflows", post(CHUNKED, body=b"f" * 17 + b"\r\n"), 400),
    # An upgrade with something behind its head: that is frames, and never a request.
    Row("refused upgrade", upgrade("/nowhere"), 404),
    Row("upgrade of another version", upgrade(Sec_WebSocket_Version="7"), 426),
    Row("upgrade with a body", upgrade(Content_Length="44"), 400),
    Row("upgrade with chunks", upgrade(Transfer_Encoding="chunked"), 400),
    Row("upgrade by POST", head("POST /ws", HANDSHAKE), 405),
    # Heads whose end can be seen in two places.
    Row("bare LF as the end", b"GET /open HTTP/1.1\r\nHost: example.com\r\n\n", 400),
    Row("bare LF everywhere", b"GET /open HTTP/1.1\nHost: example.com\n\n", 400),
    Row("two hosts", b"GET /open HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    Row("space after the version", b"GET /open HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    Row("a request in the target", b"GET /open HTTP/1.1\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
]  # fmt: skip


@pytest.fixture
def seen() -> list[str]:
    """The paths whose handlers ran."""
    return []


@pytest.fixture
def desk(seen: list[str]) -> Desk:
    desk = Desk()
    for path in ("/open", "/hidden"):
        desk.get(path, lambda request: seen.append(request.path))
    desk.route("POST", "/form", lambda request: seen.append(request.path))
    desk.websockets.add(None, "/ws", False)
    return desk


@pytest.mark.parametrize("step", [1, 1 << 20], ids=["bytes", "whole"])
@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_what_can_be_read_in_two_ways_hides_no_request(
    desk: Desk, seen: list[str], row: Row, step: int
) -> None:
    client = desk.client()
    data = row.data + HIDDEN
    for start in range(0, len(data), step):
        client.send(data[start : start + step])
    (answer,) = client.answers()
    assert answer.status == row.answer
    assert not answer.keeps_alive
    assert client.is_ended
    assert seen == []


def test_the_hidden_request_is_handled_where_it_is_not_hidden(desk: Desk, seen: list[str]) -> None:
    client = desk.client().send(post("Content-Length: 2", body=b"hi") + HIDDEN)
    assert len(client.answers()) == 2
    assert seen == ["/form", "/hidden"]


def test_a_body_is_no_request(desk: Desk, seen: list[str]) -> None:
    for request in (
        post(f"Content-Length: {len(HIDDEN)}", body=HIDDEN),
        post(CHUNKED, body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)),
    ):
        assert len(desk.client().send(request).answers()) == 1
    assert seen == ["/form", "/form"]


def test_what_follows_an_accepted_upgrade_is_frames(desk: Desk, seen: list[str]) -> None:
    messages: list[Any] = []
    desk.turn.handler.message = lambda conn, opcode, payload: messages.append(payload)  # type: ignore[attr-defined]
    client = desk.client().send(upgrade() + encode_frame(TEXT, HIDDEN, key=b"abcd"))
    assert client.conn._phase == OPEN
    assert messages == [HIDDEN.decode()]
    other = desk.client().send(upgrade() + HIDDEN)
    assert other.conn.close_code == 1002
    assert seen == []
