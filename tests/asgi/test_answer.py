"""What of an answer leaves at once, and what is left to those that may wait."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from glyph_fast.asgi.answer import BEGUN, WAITED_FOR, WHOLE, Answer, as_bytes
from glyph_fast.asgi.errors import ClientDisconnected
from glyph_fast.asgi.scope import Scopes
from glyph_fast.http.head import parse_head
from glyph_fast.opening.pending import Exchange
from glyph_fast.wire import ENDING, OPENING

HEAD = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Desk:
    """As much of a mount and a connection as an answer needs."""

    def __init__(self, **answers):
        plain = {"cors": None, "keeps_alive": True, "access": SimpleNamespace(is_on=False)}
        self.answers = SimpleNamespace(**{**plain, **answers})
        self.scopes = Scopes("", "", {})
        self.kept = []
        self.written = []
        self.conn = SimpleNamespace(
            _phase=OPENING, peername=None, remote=None, _write=self.written.append
        )
        self.instead = lambda request, status: None

    def answered(self, conn, exchange, keeps_alive):
        self.kept.append(keeps_alive)

    def answer(self):
        return Answer(self, self.conn, Exchange(parse_head(HEAD), 0.0))


def start(status=200, **more):
    return {"type": "http.response.start", "status": status, **more}


def body(data=b"", **more):
    return {"type": "http.response.body", "body": data, **more}


def test_a_whole_answer_is_one_write():
    desk = Desk()
    answer = desk.answer()
    assert answer.takes(start()) and not desk.written and answer._state == BEGUN
    assert answer.takes(body(bytearray(b"hello")))
    (data,) = desk.written
    assert data.startswith(b"HTTP/1.1 200 OK\r\n") and data.endswith(b"\r\n\r\nhello")
    assert b"content-length: 5\r\n" in data
    assert desk.kept == [True] and answer._state == WHOLE


@pytest.mark.parametrize(
    "message", [body(b"x", more_body=True), {"type": "http.response.trailers"}]
)
def test_what_may_wait_is_left(message):
    answer = Desk().answer()
    answer.takes(start())
    assert not answer.takes(message) and answer._state == BEGUN


def test_what_comes_too_early_is_left():
    answer = Desk().answer()
    assert not answer.takes(body()) and answer._state == WAITED_FOR


def test_an_answer_with_trailers_is_left():
    answer = Desk().answer()
    answer.takes(start(trailers=True))
    assert not answer.takes(body())


def test_a_client_that_has_left_is_told_of():
    desk = Desk()
    answer = desk.answer()
    desk.conn._phase = ENDING
    with pytest.raises(ClientDisconnected):
        answer.takes(start())


def test_a_large_body_is_not_copied():
    desk, data = Desk(), bytes(2**20)
    answer = desk.answer()
    answer.takes(start())
    answer.takes(body(data))
    assert desk.written[1] is data


def test_the_length_is_what_was_announced():
    answer = Desk().answer()
    answer.takes(start(headers=[(b"content-length", b"3")]))
    with pytest.raises(RuntimeError, match="2 bytes"):
        answer.takes(body(b"ab"))


def test_a_body_is_bytes():
    assert as_bytes(memoryview(b"ab")) == b"ab"
    with pytest.raises(TypeError, match="not str"):
        as_bytes("ab")
