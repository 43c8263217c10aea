"""The stream between two processes: gathered, bounded, and its end told once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glyph_fast.broker.frames import Kind, frame
from glyph_fast.broker.link import Link

Run = Callable[[Coroutine[Any, Any, None]], None]


class End:
    """One end of a link, and what it has heard."""

    def __init__(self, sock: socket.socket, **options: Any) -> None:
        self.frames: list[bytes] = []
        self.batches = 0
        self.lost = 0
        self.link = Link(sock, self._heard, self._lost, **options)

    def _heard(self, frames: list[bytes]) -> None:
        self.frames += frames
        self.batches += 1

    def _lost(self) -> None:
        self.lost += 1


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.001)


def test_what_is_sent_in_one_turn_arrives_in_order_and_together(run: Run) -> None:
    async def main() -> None:
        one, other = map(End, socket.socketpair())
        sent = [frame(Kind.PUBLISH, b"%d" % n) for n in range(1000)]
        for each in sent:
            one.link.send(each)
        await until(lambda: len(other.frames) == 1000)
        assert other.frames == sent
        assert other.batches < 20
        one.link.close()
        await until(lambda: other.lost == 1)
        assert (one.lost, one.link.is_open, other.link.is_open) == (1, False, False)

    run(main())


def test_an_end_that_does_not_read_holds_up_nobody_and_costs_no_more_than_the_limit(
    run: Run,
) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        one = End(here, limit=1_000_000)
        large = frame(Kind.PUBLISH, bytes(100_000))
        accepted = sum(one.link.send(large) for _ in range(50))
        assert one.link.waiting_bytes <= 1_000_000
        assert one.link.is_behind and one.link.dropped == 50 - accepted
        one.link.send_always(frame(Kind.DRAIN))  # what must not be lost is not
        other = End(there)
        await until(lambda: len(other.frames) == accepted + 1)
        assert other.frames == [large] * accepted + [frame(Kind.DRAIN)]
        assert one.link.waiting_bytes == 0
        one.link.close()
        await until(lambda: other.lost == 1)

    run(main())


@pytest.mark.parametrize("word", ["send", "send_always"])
def test_a_crowd_is_told_by_each_send_that_adds_to_it_and_once_when_it_has_left(
    run: Run, word: str
) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        one = End(here, crowd=1_000_000)
        told: list[str] = []
        one.link.crowded = lambda: told.append("crowded")
        one.link.emptied = lambda: told.append("emptied")
        send = getattr(one.link, word)
        large = frame(Kind.PUBLISH, bytes(400_000))
        for _ in range(2):
            send(large)
        assert told == []
        send(large)
        send(large)
        assert told == ["crowded"] * 2
        other = End(there)
        await until(lambda: len(other.frames) == 4)
        assert told == ["crowded"] * 2 + ["emptied"]
        send(large)
        await until(lambda: len(other.frames) == 5)
        assert len(told) == 3
        for _ in range(3):
            send(large)
        one.link.close()  # nobody will read it: whoever waits need not any more
        assert told[3:] == ["crowded", "emptied"]
        other.link.close()

    run(main())


def test_what_is_no_frame_ends_the_link(run: Run) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        one = End(here)
        there.send(b"\0\0\0\0\0\0")
        await until(lambda: one.lost == 1)
        assert not one.link.send(frame(Kind.BEAT)) or one.link.waiting_bytes == 0
        there.close()

    run(main())


def test_a_run_that_is_dropped_counts_as_the_frames_that_it_holds(run: Run) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        one = End(here, limit=100)
        assert not one.link.send(frame(Kind.PUBLISH, bytes(40)) * 3)
        assert (one.link.dropped, one.link.waiting_bytes) == (3, 0)
        one.link.close()
        there.close()

    run(main())


def test_what_is_queued_leaves_when_it_is_flushed_and_not_before_what_waits(run: Run) -> None:
    async def main() -> None:
        here, there = socket.socketpair()
        one = End(here)
        with there:
            there.setblocking(False)
            one.link.queue(b"a")
            one.link.flush_queued()
            assert there.recv(10) == b"a"
            one.link.send(b"b")  # leaves at the end of the turn, and the next with it
            one.link.queue(b"c")
            one.link.flush_queued()
            await asyncio.sleep(0)
            assert there.recv(10) == b"bc"
            one.link.close()
        assert one.link.queue(b"d") and not one.link.waiting_bytes  # the other end is gone

    run(main())
