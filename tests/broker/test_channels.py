"""Channels and groups in one process, by a clock of the test's."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from glyph_fast.broker.channels import Channels, Sent


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def done(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def test_expiry_multi() -> None:
    clock = Clock()
    channels = Channels(clock)
    for n in range(3):
        channels.send("a", b"%d" % n, 9, 10)
        clock.now += 4
    clock.now = 11
    assert done(channels.receive("a", 10)) == b"1"
    channels.send("a", b"3", 9, 10)
    clock.now = 20
    assert done(channels.receive("a", 10)) == b"3"
    assert len(channels) == 0


def test_message_expiry__one_channel_of_a_group_has_older_ones() -> None:
    clock = Clock()
    channels = Channels(clock)
    channels.group_add("g", "a", 9, 100)
    channels.group_add("g", "b", 9, 100)
    channels.send("a", b"zero", 9, 3)
    for n in range(3):
        clock.now += 1
        channels.group_send("g", b"%d" % n, 3)
    for channel in "ab":
        assert [done(channels.receive(channel, 3)) for _ in range(3)] == [b"0", b"1", b"2"]
    assert len(channels) == 0


def test_expiry_unread() -> None:
    clock = Clock()
    channels = Channels(clock)
    channels.send("a", b"1", 9, 10)
    channels.group_add("g", "a", 9, 10)
    assert len(channels) == 1
    clock.now = 11
    channels.send("b", b"2", 9, 10)
    assert len(channels) == 1
    assert channels.group_send("g", b"3", 10) == Sent(0, 0)


def test_a_full_channel_has_room_when_messages_are_too_old() -> None:
    clock = Clock()
    channels = Channels(clock)
    assert channels.send("a", b"1", 1, 10)
    assert not channels.send("a", b"2", 1, 10)
    clock.now = 10
    assert channels.send("a", b"3", 1, 10)


def test_membership_counts_from_when_it_was_made_last() -> None:
    clock = Clock()
    channels = Channels(clock)
    channels.group_add("g", "a", 9, 10)
    clock.now = 5
    channels.group_add("g", "a", 9, 10)
    clock.now = 14
    assert channels.group_send("g", b"1", 10) == Sent(0, 1)
    clock.now = 15
    assert channels.group_send("g", b"2", 10) == Sent(0, 0)


def test_a_wait_that_is_cancelled_with_its_message_gives_it_back() -> None:
    async def main() -> None:
        channels = Channels()
        first = asyncio.ensure_future(channels.receive("a", 10))
        second = asyncio.ensure_future(channels.receive("a", 10))
        await asyncio.sleep(0)
        channels.send("a", b"1", 9, 10)
        first.cancel()
        assert await second == b"1"
        third = asyncio.ensure_future(channels.receive("a", 10))
        await asyncio.sleep(0)
        channels.send("a", b"2", 9, 10)
        channels.send("a", b"3", 9, 10)
        third.cancel()
        await asyncio.gather(first, third, return_exceptions=True)
        assert [await channels.receive("a", 10) for _ in range(2)] == [b"2", b"3"]
        fourth = asyncio.ensure_future(channels.receive("a", 10))
        await asyncio.sleep(0)
        fourth.cancel()
        await asyncio.gather(fourth, return_exceptions=True)
        assert not channels._waiters

    asyncio.run(main())
