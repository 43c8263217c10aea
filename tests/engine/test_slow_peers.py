"""A peer that never reads, on every backend: each policy, the write timeout, and its recovery."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from engine.peers import UPGRADE, Recorder, eventually, serving

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
    while not conn.is_full:
        conn.send(number(sent))
        sent += 1
        if conn.is_full:
            conn.flush()
    return sent


async def stuck(server):
    """A connection whose queue is full, its client's socket, and how many messages it was sent."""
    before = len(server.handler.conns)
    sock = server.socket(UPGRADE % b"/", receive_buffer=4096)
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
                return conn.queued_bytes + (conn.sink.unsent() if conn.sink else 0)

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
            now[0] += 11.0
            server.turn.sweep(now[0])
            assert not conn.is_open  # it is the progress that kept it

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
            conn.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"p" * 100_000)
            conn.flush()

    async def main():
        quick = limits(DROP_OLDEST, write_timeout=0.1)
        async with serving(backend, Pages(), limits=quick) as server:
            sock = server.socket(receive_buffer=4096)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(
                sock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2000
            )
            await server.handler.until(lambda heard: heard.closes)
            assert server.handler.closes == [(1006, "")]
            assert len(server.handler.heads) < 500

    run(main())
