"""A peer that never reads, on every backend: each policy, the write timeout, and its recovery."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import pytest

from glyph_fast.core import Limits, encode_frame
from glyph_fast.wire import (
    BLOCK,
    CLOSE,
    DISCONNECT,
    DROP_NEWEST,
    DROP_OLDEST,
    DROPPED,
    SENT,
    SLOW_CONSUMER,
    TEXT,
)
from tests.engine.peers import UPGRADE, Recorder, eventually, serving

pytestmark = pytest.mark.over_tls

MESSAGES = 20  # the limit of the queue
SIZE = 100_000  # of one message: the kernel takes a few dozen


def limits(policy, **changes) -> Limits:
    settings = {"queue_messages": MESSAGES, "queue_bytes": 10**9, **changes}
    return Limits(queue_policy=policy, **settings)


def number(n: int) -> bytes:
    return b"%08d" % n * (SIZE // 8)


def fill(conn) -> int:
    """Send numbered messages until the queue is full and the kernel takes no more."""
    sent = 0
    while not conn._is_full:
        conn.send(number(sent))
        sent += 1
        if conn._is_full:
            conn._flush()
    return sent


async def stuck(server):
    """A connection whose queue is full, its client's socket, and how many messages it was sent."""
    before = len(server.handler.conns)
    sock = await server.idle(UPGRADE % b"/", receive_buffer=4096)
    await server.handler.until(lambda heard: len(heard.conns) > before)
    conn = server.handler.conns[-1]
    return conn, sock, fill(conn)


async def numbers(peer, *, until) -> list[int]:
    """The numbers of the messages that arrive, up to the one `until`; each must be whole."""
    found = []
    while not found or found[-1] != until:
        _, payload = await peer.frame()
        found.append(int(payload[:8]))
        assert payload == number(found[-1])
    return found


def test_drop_oldest_displaces_the_oldest_and_tears_none(backend, run):
    async def main():
        async with serving(backend, Recorder(), limits=limits(DROP_OLDEST)) as server:
            conn, sock, sent = await stuck(server)
            for n in range(sent, sent + 5):
                assert not conn.send(number(n)).dropped
            assert conn.messages_dropped == server.turn.counters.dropped_oldest == 5
            assert conn.queued_messages <= MESSAGES + 1
            peer = await server.adopt(sock)
            await peer.head()
            found = await numbers(peer, until=sent + 4)
            missing = sorted(set(range(sent + 5)) - set(found))
            assert len(missing) == 5
            assert missing == list(range(missing[0], missing[0] + 5))
            assert found == sorted(found)

    run(main())


def test_drop_newest_refuses_the_newest(backend, run):
    async def main():
        async with serving(backend, Recorder(), limits=limits(DROP_NEWEST)) as server:
            conn, sock, sent = await stuck(server)
            for n in range(sent, sent + 5):
                assert conn.send(number(n)) == DROPPED
            assert server.turn.counters.dropped_newest == 5
            peer = await server.adopt(sock)
            await peer.head()
            assert await numbers(peer, until=sent - 1) == list(range(sent))
            await server.handler.until(lambda heard: heard.drains)
            assert conn.send(b"room again") == SENT
            assert await peer.frame() == (2, b"room again")

    run(main())


def test_disconnect_keeps_the_frame_begun_and_closes_with_4008(backend, run):
    async def main():
        async with serving(backend, Recorder(), limits=limits(DISCONNECT)) as server:
            conn, sock, sent = await stuck(server)
            assert conn.send(number(sent)) == DROPPED
            assert not conn.is_open
            peer = await server.adopt(sock)
            await peer.head()
            found = []
            while True:
                opcode, payload = await peer.frame()
                if opcode == CLOSE:
                    break
                found.append(int(payload[:8]))
                assert payload == number(found[-1])
            assert found == list(range(len(found)))
            assert len(found) < sent
            assert payload == SLOW_CONSUMER.to_bytes(2, "big") + b"slow consumer"
            peer.send(CLOSE, payload[:2])
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(SLOW_CONSUMER, "slow consumer")]

    run(main())


def test_block_accepts_twice_as_much_and_says_so(backend, run):
    async def main():
        async with serving(backend, Recorder(), limits=limits(BLOCK)) as server:
            conn, sock, sent = await stuck(server)
            extra = 0
            while not conn.send(number(sent + extra)).dropped:
                extra += 1
            assert abs(conn.queued_messages - 2 * MESSAGES) <= 1
            assert set(server.handler.fulls) == {conn}
            peer = await server.adopt(sock)
            await peer.head()
            assert await numbers(peer, until=sent + extra - 1) == list(range(sent + extra))
            await server.handler.until(lambda heard: heard.drains)
            assert server.handler.drains == [conn]

    run(main())


@pytest.mark.parametrize("policy", [DROP_OLDEST, DROP_NEWEST, BLOCK])
def test_a_peer_that_takes_no_byte_for_the_write_timeout_is_closed(backend, run, policy):
    async def main():
        quick = limits(policy, write_timeout=0.05, close_timeout=0.05)
        async with serving(backend, Recorder(), limits=quick) as server:
            other = await server.upgraded()
            await stuck(server)
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(SLOW_CONSUMER, "slow consumer")]
            other.send(TEXT, b"still served")
            assert await other.frame() == (TEXT, b"still served")

    run(main())


def test_a_peer_that_takes_a_little_now_and_then_is_not_closed(backend, run):
    """Progress counts, not speed. Time stands still but for what the test adds."""

    async def main():
        now = [0.0]
        slow = limits(DROP_NEWEST, write_timeout=10.0, queue_messages=200)  # more than the kernel
        async with serving(backend, Recorder(), limits=slow, clock=lambda: now[0]) as server:
            conn, sock, _ = await stuck(server)
            sock.setblocking(False)

            def left() -> int:
                return conn.queued_bytes + (conn._sink.unsent() if conn._sink else 0)

            def takes_some(before: int) -> bool:
                with suppress(BlockingIOError):
                    sock.recv(100_000)
                return left() < before

            server.turn.sweep(now[0])
            for _ in range(3):
                now[0] += 9.0
                server.turn.sweep(now[0])
                await eventually(partial(takes_some, left()))
                server.turn.sweep(now[0])
            assert conn.is_open
            for _ in range(12):
                now[0] += 11.0
                server.turn.sweep(now[0])
            assert not conn.is_open  # it is the progress that kept it

    run(main())


def sip(sock, size: int) -> bytes:
    """At most `size` bytes, as they are there."""
    data = b""
    with suppress(BlockingIOError):
        while len(data) < size and (chunk := sock.recv(size - len(data))):
            data += chunk
    return data


@pytest.mark.parametrize("is_unix", [True, False], ids=["unix", "tcp"])
def test_a_peer_that_sips_from_a_full_send_buffer_is_not_closed(backend, run, tmp_path, is_unix):
    """The kernel takes no more from us for long, and frees its buffer in one step."""

    async def main():
        now = [0.0]
        path = str(tmp_path / "s") if is_unix else None
        slow = Limits(write_timeout=10.0, ping_interval=5.0)
        async with serving(
            backend, Recorder(), path=path, limits=slow, clock=lambda: now[0]
        ) as server:
            sock = await server.idle(UPGRADE % b"/", receive_buffer=4096)
            await server.handler.until(lambda heard: heard.conns)
            (conn,) = server.handler.conns
            conn.send(b"l" * 20_000_000)
            conn._flush()
            sock.setblocking(False)
            server.turn.sweep(now[0])
            written, standing = conn.bytes_sent, 0.0
            while standing < (12 if is_unix else 30):  # seconds without a byte more in the kernel
                left = 50_000
                while left:
                    left -= len(sip(sock, left))
                    await asyncio.sleep(0)
                now[0] += 6.0
                standing = standing + 6.0 if conn.bytes_sent == written else 0.0
                written = conn.bytes_sent
                server.turn.sweep(now[0])
                assert conn.is_open
            while conn.is_open and now[0] < 10_000:
                now[0] += 6.0
                server.turn.sweep(now[0])
            assert not conn.is_open  # once it sips no more

    run(main())


def test_an_answer_that_ends_its_connection_is_read_to_its_end(backend, run):
    """However long that takes: the close timeout is for a client that takes nothing."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6000000\r\n\r\n" + bytes(6_000_000)

    class Page(Recorder):
        def request(self, conn, head):
            self.conns.append(conn)
            conn._write(answer)
            conn._finish()
            self._heard()

    async def main():
        now = [0.0]
        quick = Limits(write_timeout=5.0, close_timeout=5.0)
        async with serving(backend, Page(), limits=quick, clock=lambda: now[0]) as server:
            sock = await server.idle(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", receive_buffer=4096)
            await server.handler.until(lambda heard: heard.conns)
            sock.setblocking(False)
            got = b""
            while len(got) < len(answer):
                chunk = sip(sock, 200_000)
                got += chunk
                now[0] += 4.0 if chunk else 0.0
                server.turn.sweep(now[0])
                await asyncio.sleep(0)
            assert got == answer
            assert server.handler.errors == []

    run(main())


def test_five_hundred_sends_in_one_turn_reach_a_peer_that_reads(backend, run):
    """The policy judges what the kernel refuses, not what one turn produces."""

    class Burst(Recorder):
        def on_message(self, conn, payload):
            for n in range(500):
                assert conn.send(f"message {n}") == SENT

    async def main():
        async with serving(backend, Burst(), limits=limits(DISCONNECT)) as server:
            peer = await server.upgraded()
            peer.send(TEXT, b"go")
            for n in range(500):
                assert await peer.frame() == (TEXT, b"message %d" % n)

    run(main())


@pytest.mark.parametrize("policy", [DROP_OLDEST, DROP_NEWEST, BLOCK, DISCONNECT])
@pytest.mark.parametrize("is_unix", [True, False], ids=["unix", "tcp"])
def test_short_messages_behind_a_large_one_reach_a_peer_that_reads(
    backend, run, tmp_path, policy, is_unix
):
    """Nor is the large one lost, where another was begun before it."""

    class Mixed(Recorder):
        def on_message(self, conn, payload):
            for size in (3_000_000, 2_000_000):
                conn.send(b"l" * size)
                for n in range(20):
                    assert not conn.send(f"behind {n}").dropped

    async def main():
        path = str(tmp_path / "s") if is_unix else None
        async with serving(backend, Mixed(), path=path, limits=Limits(queue_policy=policy)) as site:
            peer = await site.upgraded()
            peer.send(TEXT, b"go")
            for size in (3_000_000, 2_000_000):
                assert await peer.frame() == (2, b"l" * size)
                for n in range(20):
                    assert await peer.frame() == (TEXT, b"behind %d" % n)
            assert site.handler.errors == []
            assert site.handler.conns[0].messages_dropped == 0

    run(main())


def test_reading_goes_on_while_the_send_queue_is_full(backend, run):
    async def main():
        async with serving(backend, Recorder(echoes=False), limits=limits(DROP_OLDEST)) as server:
            _, sock, _ = await stuck(server)
            sock.sendall(encode_frame(TEXT, b"heard?", key=b"\1\2\3\4"))
            await server.handler.until(lambda heard: heard.messages)
            assert server.handler.messages == ["heard?"]

    run(main())


def test_a_client_that_asks_and_never_reads_is_given_up(backend, run):
    """Answers pile up, then no more of its requests are read, then it is cut."""

    class Pages(Recorder):
        def request(self, conn, head):
            self.heads.append(head)
            conn._write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"p" * 100_000)
            conn._flush()

    async def main():
        quick = limits(DROP_OLDEST, write_timeout=0.1)
        async with serving(backend, Pages(), limits=quick) as server:
            sock = await server.idle(receive_buffer=4096)
            sock.setblocking(False)
            asks = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
            if backend.tls:
                sock, asks = sock.sock, sock.encrypted(asks)
            await asyncio.get_running_loop().sock_sendall(sock, asks)
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1006, "")]
            assert len(server.handler.heads) < 500

    run(main())
