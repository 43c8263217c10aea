"""The closing handshake over real sockets, on every backend: crossing, behind a large message,
unanswered, and with a peer that goes on talking (RFC 6455 §7.1)."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast.core import Limits
from glyph_fast.wire import BINARY, CLOSE, TEXT
from tests.engine.peers import UPGRADE, Recorder, serving

pytestmark = pytest.mark.over_tls
LARGE = bytes(range(256)) * 32 * 1024  # 8 MiB: more than the kernels of both sides take
NORMAL = b"\x03\xe8"


class Commands(Recorder):
    """`large` sends LARGE, `close` closes with 4000, `both` does one and then the other."""

    def on_message(self, conn, payload):
        if payload in ("large", "both"):
            conn.send(LARGE)
        if payload in ("close", "both"):
            conn.close(4000, "done")


def limits(**changes) -> Limits:
    return Limits(queue_bytes=10**9, **{"close_timeout": 30, "write_timeout": 30, **changes})


def test_the_close_of_the_server_comes_behind_a_large_message(backend, run):
    async def main():
        async with serving(backend, Commands(), limits=limits()) as server:
            peer = await server.upgraded()
            peer.send(TEXT, b"both")
            assert await peer.frame() == (BINARY, LARGE)
            assert await peer.frame() == (CLOSE, b"\x0f\xa0done")
            assert server.handler.closes == []  # it waits for the answer
            peer.send(CLOSE, b"\x0f\xa0")
            assert await peer.rest() == b""
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(4000, "done")]

    run(main())


def test_a_close_during_a_large_message_is_answered_behind_it(backend, run):
    async def main():
        async with serving(backend, Commands(), limits=limits()) as server:
            # By hand: uvloop's client forgets what it holds back once TLS has ended.
            peer = await server.adopt(await server.idle(UPGRADE % b"/"))
            await peer.head()
            peer.send(TEXT, b"large")
            await server.handler.until(lambda heard: heard.messages)
            peer.send(CLOSE, NORMAL + b"enough")  # while the server cannot send on
            assert await peer.frame() == (BINARY, LARGE)
            assert await peer.frame() == (CLOSE, NORMAL + b"enough")
            assert await peer.rest() == b""
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1000, "enough")]

    run(main())


def test_closes_that_cross_end_the_connection_without_another(backend, run):
    async def main():
        async with serving(backend, Commands(), limits=limits()) as server:
            peer = await server.upgraded()
            (conn,) = server.handler.conns
            peer.send(CLOSE, NORMAL)
            conn.close(1001)  # before the peer's was read
            assert await peer.frame() == (CLOSE, b"\x03\xe9")
            assert await peer.rest() == b""
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1001, "")]

    run(main())


@pytest.mark.parametrize("command", [b"close", b"both"])
def test_a_close_nobody_answers_ends_in_an_abort(backend, run, command):
    """A peer that is silent, and one that does not even read."""

    async def main():
        short = limits(close_timeout=0.2, write_timeout=0.05)  # which bounds the time it may store
        async with serving(backend, Commands(), limits=short) as server:
            peer = await server.upgraded()
            bystander = await server.upgraded()
            peer.send(TEXT, command)
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(4000, "done")]
            await peer.rest()  # it ends, by a reset perhaps
            assert len(server.turn) == 1
            bystander.send(TEXT, b"large")
            assert await bystander.frame() == (BINARY, LARGE)

    run(main())


def test_a_peer_that_talks_on_after_our_close_is_not_heard_and_gains_no_time(backend, run):
    async def main():
        async with serving(backend, Commands(), limits=limits(close_timeout=0.3)) as server:
            peer = await server.upgraded()
            peer.send(TEXT, b"close")
            assert await peer.frame() == (CLOSE, b"\x0f\xa0done")

            async def talk():
                while True:
                    peer.send(TEXT, b"large")
                    peer.send(BINARY, b"x" * 10_000)
                    await peer.writer.drain()
                    await asyncio.sleep(0.001)

            talking = asyncio.create_task(talk())
            await server.handler.until(lambda heard: heard.closes)
            talking.cancel()
            await asyncio.wait({talking})
            assert server.handler.messages == ["close"]
            assert server.handler.closes == [(4000, "done")]
            await peer.rest()
            await peer.close()

    run(main())


def test_a_message_in_fragments_may_be_closed_in_its_middle(backend, run):
    """A close frame may stand between fragments; the message is then never delivered."""

    async def main():
        async with serving(backend, Commands(), limits=limits()) as server:
            peer = await server.upgraded()
            peer.send(TEXT, b"lar", fin=False)
            peer.send(CLOSE, NORMAL)
            assert await peer.frame() == (CLOSE, NORMAL)
            assert await peer.rest() == b""
            assert server.handler.messages == []

    run(main())
