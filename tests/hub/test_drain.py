"""A publisher that awaits `drain` after each send loses nothing, whatever its client does."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast import Connection, ConnectionClosed, Server
from glyph_fast.options.config import Config
from glyph_fast.wire import BINARY, POLICIES
from tests.engine.peers import eventually
from tests.running import running
from tests.wired import Site

# Bytes of a message, and how many of them: more than the kernel and the queue hold together.
LOADS = [(40, 6_000), (1_000, 6_000), (8_192, 1_500), (300_000, 40), (600_000, 20), (2_000_000, 8)]


def numbered(number: int, size: int) -> bytes:
    return b"%08d" % number + bytes(size - 8)


async def expect_all(peer, size: int, numbers: list[int]) -> None:
    for number in numbers:
        opcode, payload = await peer.frame()
        assert (opcode, payload[:8], len(payload)) == (BINARY, b"%08d" % number, size)


@pytest.mark.parametrize(("size", "count"), LOADS, ids=[str(size) for size, _ in LOADS])
@pytest.mark.parametrize("policy", POLICIES)
def test_who_drains_loses_nothing_under_any_policy_at_any_size(backend, run, policy, size, count):
    server = Server()
    conns: list[Connection] = []
    lost: list[int] = []

    @server.websocket("/ws")
    async def publish(conn: Connection) -> None:
        conns.append(conn)
        for number in range(count):
            result = conn.send(numbered(number, size))
            lost.append(result.dropped + result.displaced)
            await conn.drain()
        async for _ in conn:
            pass

    async def main() -> None:
        async with running(server, backend, queue_policy=policy) as url:
            peer = await url.peer()
            await peer.upgrade(b"/ws")
            # The client pauses until nothing more gets through, as far as so much is sent.
            await eventually(lambda: conns and (conns[0]._waiters or len(lost) == count))
            await expect_all(peer, size, list(range(count)))
            await peer.close()
        assert sum(lost) == conns[0].messages_dropped == 0

    run(main(), deadline=60)


@pytest.mark.parametrize("policy", POLICIES)
def test_many_who_drain_share_one_queue_and_lose_nothing(backend, run, policy):
    """Each wakes up to what the others have sent meanwhile, and waits again."""
    server = Server()
    conns: list[Connection] = []
    tasks, each, size = 40, 40, 4_096

    async def publish(conn: Connection, number: int) -> None:
        for place in range(each):
            assert not sum(conn.send(numbered(number * each + place, size))[2:])
            await conn.drain()

    @server.websocket("/ws")
    async def serve(conn: Connection) -> None:
        conns.append(conn)
        await asyncio.gather(*(publish(conn, number) for number in range(tasks)))
        async for _ in conn:
            pass

    async def main() -> None:
        async with running(server, backend, queue_policy=policy) as url:
            peer = await url.peer()
            await peer.upgrade(b"/ws")
            await eventually(lambda: conns and conns[0]._waiters)
            heard: list[list[int]] = [[] for _ in range(tasks)]
            for _ in range(tasks * each):
                number = int((await peer.frame())[1][:8])
                heard[number // each].append(number % each)
            assert heard == [list(range(each))] * tasks
            assert conns[0].messages_dropped == 0
            await peer.close()

    run(main(), deadline=60)


def test_a_publisher_waits_above_half_a_limit_and_goes_on_at_a_quarter(run):
    async def main() -> None:
        ada = Site(Config(queue_messages=16)).on_loop().connect()
        ada.pipe.room = 0
        frame = len(b"\x81\x01x")
        for _ in range(8):
            ada.conn.send("x")
            await asyncio.wait_for(ada.conn.drain(), 10)
        ada.conn.send("x")
        waiting = asyncio.create_task(ada.conn.drain())
        for left in range(8, 4, -1):
            await asyncio.sleep(0)
            ada.pipe.room = frame
            ada.conn._flush()
            assert ada.conn.queued_messages == left
        await asyncio.sleep(0)
        assert not waiting.done()
        ada.pipe.room = frame
        ada.conn._flush()
        assert ada.conn.queued_messages == 4
        await asyncio.wait_for(waiting, 10)

    run(main())


def test_a_drain_ends_with_its_connection(run):
    async def main() -> None:
        ada = Site(Config(queue_messages=4)).on_loop().connect()
        ada.pipe.room = 0
        for _ in range(4):
            ada.conn.send("x")
        waiting = [asyncio.create_task(ada.conn.drain()) for _ in range(3)]
        await asyncio.sleep(0)
        ada.conn.abort()
        for task in waiting:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(task, 10)

    run(main())
