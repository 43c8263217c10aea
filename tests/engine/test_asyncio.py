"""What is particular to the asyncio engine; what it shares with the other is in test_sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from conftest import backends
from engine.peers import UPGRADE, Recorder, Served, eventually, listening_socket

from glyph_fast.core import NAME, Limits
from glyph_fast.engine.asyncio import AsyncioEngine
from glyph_fast.engine.base import new_turn
from glyph_fast.engine.stream import WRITE_SIZE
from glyph_fast.wire import TEXT

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
        conn.write(b"x" * 20_000_000)
        conn.flush()
        conn.lost()


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
                conn.flush()
            assert 0 < conn.sink.unsent() <= WRITE_SIZE
            before = conn.queued_bytes
            for _ in range(10):
                conn.send(b"y" * 100_000)
            assert conn.queued_bytes > before + 900_000
            assert conn.sink.unsent() <= WRITE_SIZE
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    run(main())
