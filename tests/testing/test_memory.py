"""The engine of pipes, where `TestClient` does not reach."""

from __future__ import annotations

import asyncio
import socket

import pytest

from glyph_fast.engine.base import new_turn
from glyph_fast.engine.making import limits_of
from glyph_fast.options.config import Config
from glyph_fast.testing.memory import Clock, MemoryEngine

pytestmark = pytest.mark.both_cores


class Heard:
    """The peer of a pipe, and the handler of the server's side."""

    def __init__(self) -> None:
        self.data = b""
        self.is_over = False
        self.heads: list[bytes] = []
        self.closes: list[int] = []

    def received(self, data):
        self.data += data

    def ended(self):
        self.is_over = True

    def request(self, conn, head):
        self.heads.append(head)
        conn._write(b"HTTP/1.1 200 OK\r\n\r\n")
        conn._finish()

    def close(self, conn, code, reason):
        self.closes.append(code)

    def refuse(self, conn, status):
        conn._write(b"HTTP/1.1 %d no\r\n\r\n" % status)


def new_engine(heard: Heard) -> MemoryEngine:
    loop = asyncio.get_running_loop()
    clock = Clock()
    turn = new_turn(loop, limits_of(Config(head_timeout=4)), heard, clock=clock)
    return MemoryEngine(turn, loop, clock)


def test_bytes_reach_the_other_side_later_never_within_the_write(run):
    async def main():
        heard = Heard()
        engine = new_engine(heard)
        pipe = engine.connect(heard, None)
        pipe.write(b"GET / HTTP/1.1\r\n")
        pipe.write(b"Host: a\r\n\r\n")
        assert heard.heads == []
        await engine.settle()
        assert heard.heads == [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"]
        assert heard.data == b"HTTP/1.1 200 OK\r\n\r\n" and heard.is_over
        pipe.end()
        await engine.settle()
        assert heard.closes == [1006] and len(engine.turn) == 0

    run(main())


def test_time_passes_in_steps(run):
    async def main():
        heard = Heard()
        engine = new_engine(heard)
        engine.connect(heard, None).write(b"GET / HT")
        await engine.advance(3.9)
        assert heard.data == b""
        await engine.advance(2)
        assert heard.data.startswith(b"HTTP/1.1 408")

    run(main())


def test_a_peer_that_ends_its_side_still_hears_the_answer(run):
    async def main():
        heard = Heard()
        engine = new_engine(heard)
        pipe = engine.connect(heard, None)
        pipe.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        pipe.end()
        pipe.write(b"not sent any more")
        await engine.settle()
        assert heard.data.startswith(b"HTTP/1.1 200") and heard.closes == [1006]

    run(main())


def test_an_engine_that_stopped_refuses(run):
    async def main():
        heard = Heard()
        engine = new_engine(heard)
        engine.connect(heard, None)
        engine.stop_listening()
        with pytest.raises(ConnectionRefusedError, match="stopped listening"):
            engine.connect(heard, None)
        await engine.close()
        await engine.settle()
        assert heard.closes == [1006] and heard.is_over
        with pytest.raises(NotImplementedError), socket.socket() as sock:
            await engine.listen(sock)

    run(main())
