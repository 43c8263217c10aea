"""Answers by HTTP of applications that do not take a WebSocket."""

from __future__ import annotations

import pytest

from tests.asgi.apps import exchange, only, parts, serving, upgrade


def begin(status=403, headers=()):
    return {"type": "websocket.http.response.start", "status": status, "headers": headers}


def piece(content=b"", more=False):
    return {"type": "websocket.http.response.body", "body": content, "more_body": more}


def answer_of(backend, run, *messages, raises=None):
    """What comes of an application that sends these, and then raises that."""

    async def app(scope, receive, send):
        await receive()
        for message in messages:
            await send(message)
        if raises is not None:
            raise raises

    async def main():
        async with serving(only("websocket", app), backend) as url:
            return await exchange(url, upgrade())

    return parts(run(main()))


def test_one_piece_has_a_length_whatever_the_application_says(backend, run):
    line, fields, rest = answer_of(
        backend, run, begin(headers=[(b"content-length", b"99"), (b"a", b"b")]), piece(b"denied")
    )
    assert line == b"HTTP/1.1 403 Forbidden"
    assert fields == [b"a: b", b"content-length: 6", b"connection: close"] and rest == b"denied"


def test_pieces_leave_in_chunks(backend, run):
    messages = [piece(b"de", True), piece(b"", True), piece(b"nied", True), piece()]
    _, fields, rest = answer_of(backend, run, begin(), *messages)
    assert fields == [b"transfer-encoding: chunked", b"connection: close"]
    assert rest == b"2\r\nde\r\n4\r\nnied\r\n0\r\n\r\n"


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("pieces", [[piece(b"x")], [piece(b"x", True), piece(b"y")]], ids=len)
def test_a_status_without_a_body_has_none(backend, run, status, pieces):
    line, fields, rest = answer_of(backend, run, begin(status), *pieces)
    assert line.startswith(b"HTTP/1.1 %d" % status)
    assert fields == [b"connection: close"] and rest == b""


@pytest.mark.parametrize("raises", [None, ArithmeticError("mine")])
def test_what_ends_early_is_seen_not_to_be_whole(backend, run, caplog, raises):
    line, _, rest = answer_of(backend, run, begin(), piece(b"de", True), raises=raises)
    assert line == b"HTTP/1.1 403 Forbidden" and rest == b"2\r\nde\r\n"
    assert "handler failed" in caplog.text


@pytest.mark.parametrize("content", ["text", None])
def test_a_piece_that_is_no_bytes_is_500(backend, run, caplog, content):
    line, _, _ = answer_of(backend, run, begin(), piece(content))
    assert line == b"HTTP/1.1 500 Internal Server Error"
    assert "TypeError" in caplog.text
