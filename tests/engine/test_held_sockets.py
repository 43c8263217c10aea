"""A connection ends for its client although another process holds the server's socket.

A child forked from a handler (a process pool) inherits every socket. What it holds is a copy of the
descriptor, which is what these tests make.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from typing import Any

import pytest

from glyph_fast import Server
from glyph_fast.core import encode_frame
from glyph_fast.engine.tls import server_context
from glyph_fast.wire import CLOSE
from tests.engine.peers import UPGRADE, Peer, Recorder, listening_socket, new_engine, serving
from tests.running import Run

pytestmark = pytest.mark.both_cores


class Copies:
    """Copies of the descriptors of this process's sockets that lead to clients of its own."""

    def __init__(self) -> None:
        self._held: list[int] = []

    def hold(self, client: socket.socket) -> None:
        address = client.getsockname()
        before = len(self._held)
        for name in os.listdir("/proc/self/fd"):
            try:
                fd = os.dup(int(name))
            except OSError:  # the one that lists them
                continue
            try:
                sock = socket.socket(fileno=fd)
            except OSError:  # no socket
                os.close(fd)
                continue
            try:
                is_ours = sock.family in (socket.AF_INET, socket.AF_INET6)
                if is_ours and sock.getpeername() == address:
                    self._held.append(os.dup(sock.fileno()))
            except OSError:  # it listens
                pass
            finally:
                sock.close()
        assert len(self._held) == before + 1

    def close(self) -> None:
        while self._held:
            os.close(self._held.pop())


@pytest.fixture
def copies() -> Iterator[Copies]:
    with closing(Copies()) as copies:
        yield copies


@pytest.fixture
def run(run: Callable[..., None], copies: Copies) -> Callable[..., None]:
    """As everywhere, and then without the copies."""

    async def whole(coro: Coroutine[Any, Any, None]) -> None:
        try:
            await coro
        finally:
            copies.close()

    return lambda coro: run(whole(coro))


def held(copies: Copies, peer: Peer) -> Peer:
    copies.hold(peer.writer.get_extra_info("socket"))
    return peer


def test_the_closing_handshake_a_client_began_ends_tcp(backend, run, copies):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = held(copies, await server.upgraded())
            peer.send(CLOSE, b"\x03\xe8")
            assert await peer.rest() == encode_frame(CLOSE, b"\x03\xe8")
            await server.handler.until(lambda heard: heard.closes == [(1000, "")])

    run(main())


def test_the_closing_handshake_the_server_began_ends_tcp(backend, run, copies):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = held(copies, await server.upgraded())
            server.handler.conns[0].close(4000, "over")
            assert await peer.close_code() == 4000
            assert await peer.rest() == b""

    run(main())


def test_a_client_that_breaks_the_protocol_sees_the_end(backend, run, copies):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = held(copies, await server.upgraded())
            peer.write(b"\xff")
            assert await peer.close_code() == 1002
            assert await peer.rest() == b""

    run(main())


def test_an_abort_is_a_reset(backend, run, copies):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = held(copies, await server.upgraded())
            server.handler.conns[0].abort()
            with pytest.raises(ConnectionResetError):
                await peer.reader.readexactly(1)

    run(main())


def test_an_abort_of_one_with_bytes_waiting_is_a_reset(backend, run, copies):
    async def main():
        async with serving(backend, Recorder()) as server:
            peer = held(copies, await server.upgraded())
            conn = server.handler.conns[0]
            while not conn.queued_bytes:
                conn.send(bytes(500_000))
                conn._flush()
            conn.abort()
            with pytest.raises(ConnectionResetError):
                while await peer.reader.read(1 << 20):
                    pass

    run(main())


def test_the_end_of_the_engine_ends_tcp(backend, run, copies):
    async def main():
        engine, _ = new_engine(backend, Recorder())
        sock = listening_socket()
        address = sock.getsockname()
        await engine.listen(sock)
        peer = held(copies, await Peer.connect(address))
        peer.write(UPGRADE % b"/")
        await peer.head()
        await engine.close()
        assert await peer.rest() == b""
        await peer.close()

    run(main())


BAD = [
    b"GET / HTTP/9\r\n\r\n",
    b"GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
]


@pytest.mark.parametrize("request_", BAD, ids=["refused", "close"])
@pytest.mark.parametrize("port", [0, 1], ids=["public", "operators'"])
def test_the_last_answer_of_http_ends_tcp(backend, run, copies, request_, port):
    async def main():
        server = Server()
        running = Run(server, backend, {"admin": "127.0.0.1:0"})
        await running.url()
        address = ("127.0.0.1", int(running.lines[port].rpartition(":")[2]))
        peer = held(copies, await Peer.connect(address))
        peer.write(request_)
        status, _, _ = await peer.answer()
        assert status >= 400
        assert await peer.rest() == b""
        await peer.close()
        await server.shutdown()
        await running.task

    run(main())


def test_the_end_of_tls_ends_tcp(backend, run, copies, certificate):
    client_context = ssl.create_default_context(cafile=certificate.cert)

    async def main():
        tls = server_context(*certificate)
        async with serving(backend, Recorder(), tls=tls) as server:
            peer = await server.connect(ssl=client_context, server_hostname="localhost")
            await peer.upgrade()
            copies.hold(peer.writer.get_extra_info("socket"))
            peer.send(CLOSE, b"\x03\xe8")
            assert await peer.rest() == encode_frame(CLOSE, b"\x03\xe8")

            peer = await server.connect(ssl=client_context, server_hostname="localhost")
            await peer.upgrade()
            copies.hold(peer.writer.get_extra_info("socket"))
            server.handler.conns[1].abort()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await peer.reader.readexactly(1)

    run(main())
