"""What is particular to the asyncio engine; what it shares with the other is in test_sockets."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from glyph_fast.core import NAME, Limits, encode_frame
from glyph_fast.engine.asyncio import AsyncioEngine
from glyph_fast.engine.base import new_turn
from glyph_fast.engine.newcomers import MOST
from glyph_fast.engine.stream import NO_LINGER, WRITE_SIZE
from glyph_fast.engine.tls import server_context
from glyph_fast.wire import TEXT
from tests.backend import backends
from tests.engine.peers import MASK, UPGRADE, Recorder, Served, eventually, listening_socket

pytestmark = pytest.mark.both_cores
(ASYNCIO,) = [each for each in backends(NAME) if each.engine == "asyncio"]


@pytest.fixture
def loop_factory():
    """The loop of the one backend there is."""
    return ASYNCIO.new_event_loop


@asynccontextmanager
async def serving_with(handler, limits=None, **options) -> AsyncIterator[Served]:
    loop = asyncio.get_running_loop()
    turn = new_turn(loop, limits or Limits(), handler)
    engine = AsyncioEngine(turn, loop, **options)
    sock = listening_socket()
    address = sock.getsockname()
    await engine.listen(sock)
    served = Served(engine, turn, handler, address)
    try:
        yield served
    finally:
        await served.end()


def test_a_loop_that_does_not_tell_readiness_is_served_too(run):
    """As on Windows: asyncio accepts, and every stream has data of its own."""

    async def main():
        async with serving_with(Recorder(), tells_readiness=False) as server:
            peers = [await server.upgraded() for _ in range(3)]
            for peer in peers:
                peer.send(TEXT, b"hello")
            for peer in peers:
                assert await peer.frame() == (TEXT, b"hello")
            server.engine.stop_listening()
            with pytest.raises(ConnectionError):
                await server.connect()

    run(main())


class LastWords(Recorder):
    """Answers every request with more than the kernel takes, and goes at once."""

    def request(self, conn, head):
        self.conns.append(conn)
        conn._write(b"x" * 20_000_000)
        conn._flush()
        conn._lost()


def test_a_connection_that_closes_is_not_kept_by_a_peer_that_never_reads(run):
    """asyncio's transports wait for ever to send what they have; the sweep ends that."""

    async def main():
        async with serving_with(LastWords(), Limits(close_timeout=0.05)) as server:
            sock = server.socket(UPGRADE % b"/", receive_buffer=4096)
            await server.handler.until(lambda heard: heard.closes)
            assert len(server.turn) == 0
            await eventually(lambda: not server.engine._count)
            with pytest.raises(ConnectionResetError):
                while sock.recv(1_000_000):
                    pass

    run(main())


def test_the_transport_holds_little(run):
    """What the kernel refuses stays in the connection's queue, but for one piece."""

    async def main():
        async with serving_with(
            Recorder(), Limits(queue_messages=10_000, queue_bytes=2**40)
        ) as server:
            sock = server.socket(UPGRADE % b"/", receive_buffer=4096)
            await server.handler.until(lambda heard: heard.conns)
            (conn,) = server.handler.conns
            while not conn.send(b"y" * 100_000).queued:
                conn._flush()
            assert 0 < conn._sink.transport.get_write_buffer_size() <= WRITE_SIZE
            before = conn.queued_bytes
            for _ in range(10):
                conn.send(b"y" * 100_000)
            assert conn.queued_bytes > before + 900_000
            assert conn._sink.transport.get_write_buffer_size() <= WRITE_SIZE
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    run(main())


class Nesting(Recorder):
    """Its first message runs the loop inside the loop, as nest_asyncio does, until another came."""

    def on_message(self, conn, payload):
        if len(self.messages) == 1:
            loop = asyncio.get_running_loop()
            while len(self.messages) == 1:
                loop._run_once()
            for _ in range(100):  # the loop around this one counts on what it saw in its queue
                loop.call_soon(len, "")


@pytest.mark.parametrize("with_tls", [False, True])
def test_what_a_nested_loop_reads_leaves_what_is_being_read(certificate, monkeypatch, with_tls):
    """All streams read into one buffer, which another must not write over meanwhile."""
    # A handle that is running must run once more inside itself; nest_asyncio does this too.
    monkeypatch.setattr(asyncio.Handle, "_run", lambda self: self._callback(*self._args))
    tls = server_context(*certificate) if with_tls else None
    trust = ssl.create_default_context(cafile=certificate.cert) if with_tls else None
    options = {"ssl": trust, "server_hostname": "localhost"} if with_tls else {}

    async def main():
        async with serving_with(Nesting(), tls=tls) as server:
            peers = [await server.connect(**options) for _ in range(2)]
            for peer in peers:
                await peer.upgrade()
            for number, peer in enumerate(peers):
                texts = [b"first %d" % number, *(b"%d-%d" % (number, n) for n in range(50))]
                peer.write(b"".join(encode_frame(TEXT, each, key=MASK) for each in texts))
            await server.handler.until(lambda heard: len(heard.messages) == 102 or heard.errors)
            for number in range(2):
                mine = [text for text in server.handler.messages if text.startswith(f"{number}-")]
                assert mine == [f"{number}-{n}" for n in range(50)]
            assert not server.handler.errors

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # uvloop cannot be nested
        runner.run(main())


async def crowd(server: Served, size: int) -> list[socket.socket]:
    """So many that have connected and said nothing."""
    found = [socket.create_connection(server.address) for _ in range(size)]
    await eventually(lambda: len(server.turn) == size)
    return found


def test_a_round_has_time_for_a_few_newcomers_and_for_whoever_is_there(run):
    """Hundreds of heads that come at once are tens of milliseconds of work."""

    async def main():
        handler, rounds = Recorder(), []
        async with serving_with(handler) as server:
            loop = asyncio.get_running_loop()
            comers = await crowd(server, 100)
            for comer in comers:
                comer.sendall(UPGRADE % b"/")

            def look():
                rounds.append(len(handler.conns))
                if rounds[-1] < 100:
                    loop.call_soon(look)

            look()
            await eventually(lambda: len(handler.conns) == 100)
            assert max(after - before for before, after in pairwise(rounds)) <= MOST
            for comer in comers:  # who is let in has no more to wait
                comer.sendall(encode_frame(TEXT, b"hello", key=MASK))
            await eventually(lambda: handler.messages == ["hello"] * 100)
            for comer in comers:
                comer.close()

    run(main())


def test_newcomers_who_end_their_side_or_leave_while_they_wait(run):
    async def main():
        handler = Recorder()
        async with serving_with(handler) as server:
            comers = await crowd(server, 120)
            for number, comer in enumerate(comers):
                comer.sendall(UPGRADE % b"/")
                if number % 3 == 1:
                    comer.shutdown(socket.SHUT_WR)
                elif number % 3 == 2:
                    comer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                    comer.close()
            await eventually(lambda: len(server.turn) <= 40)
            for number, comer in enumerate(comers):
                if number % 3 < 2:
                    assert comer.recv(12) == b"HTTP/1.1 101"
                    comer.close()
            await eventually(lambda: not len(server.turn))
            assert not handler.errors

    run(main())
