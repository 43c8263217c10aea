"""Policy `block`: who is paused because a receiver is full, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.options.config import Config
from tests.wired import Site, settled

pytestmark = pytest.mark.both_cores

Run = Callable[..., Any]


def blocking(**options: Any) -> Site:
    return Site(Config(queue_policy="block", queue_messages=4, **options))


def test_whoever_feeds_a_full_receiver_is_paused_until_it_drains() -> None:
    site = blocking()

    @site.dispatcher.on_message("text")
    def relay(ctx: Any) -> None:
        site.hub.broadcast_to_room("blue", ctx.message.data)

    ada, bob, eve = (site.connect() for _ in range(3))
    bob.conn.join_room("blue")
    bob.pipe.room = 0
    ada.send(*map(str, range(20)))
    assert ada.pipe.is_paused
    assert not eve.pipe.is_paused and not bob.pipe.is_paused
    assert bob.conn.queued_messages == 5  # one more than the limit: the one that found it full
    bob.pipe.room = None
    while bob.conn.queued_messages or ada.pipe.is_paused:
        bob.conn._flush()
        site.flush()
    assert bob.received() == [str(n) for n in range(20)]
    assert bob.conn.messages_dropped == 0


def test_an_async_handler_is_paused_in_every_step(run: Run) -> None:
    async def main() -> None:
        site = blocking().on_loop()

        @site.dispatcher.on_message("text")
        async def relay(ctx: Any) -> None:
            await asyncio.sleep(0)
            for _ in range(5):
                site.hub.broadcast("x", exclude=ctx.conn)

        ada, bob = site.connect(), site.connect()
        bob.pipe.room = 0
        ada.send("go")
        await settled(ada)
        assert ada.pipe.is_paused
        bob.pipe.room = None
        bob.conn._flush()
        site.flush()
        assert not ada.pipe.is_paused

    run(main())


def test_a_task_that_a_handler_started_pauses_nobody(run: Run) -> None:
    async def main() -> None:
        site = blocking().on_loop()
        tasks: list[asyncio.Task[None]] = []

        async def work() -> None:
            for _ in range(20):
                site.hub.broadcast("x")

        @site.dispatcher.on_message("text")
        async def handler(ctx: Any) -> None:
            tasks.append(asyncio.create_task(work()))
            await asyncio.sleep(0)

        ada, bob = site.connect(), site.connect()
        bob.pipe.room = 0
        ada.send("go")
        await settled(ada)
        await asyncio.gather(*tasks)
        assert not ada.pipe.is_paused
        assert bob.conn.messages_dropped == 12  # twice the limit was taken

    run(main())


def test_a_feeder_goes_on_only_when_all_it_feeds_have_room() -> None:
    site = blocking()
    site.dispatcher.on_message(lambda ctx: site.hub.broadcast("x", exclude=ctx.conn))
    ada, bob, eve = (site.connect() for _ in range(3))
    bob.pipe.room = eve.pipe.room = 0
    ada.send(*"0123456789")
    assert ada.pipe.is_paused
    bob.pipe.room = None
    bob.conn._flush()
    site.flush()
    assert ada.pipe.is_paused
    eve.vanish()  # one that is gone holds up nobody
    assert not ada.pipe.is_paused


def test_a_feeder_that_leaves_is_forgotten() -> None:
    site = blocking()
    site.dispatcher.on_message(lambda ctx: site.hub.broadcast("x", exclude=ctx.conn))
    ada, bob = site.connect(), site.connect()
    bob.pipe.room = 0
    ada.send(*"0123456789")
    ada.vanish()
    bob.pipe.room = None
    bob.conn._flush()
    site.flush()
    assert len(site.dispatcher._blocking) == 0


def test_one_that_feeds_itself_is_paused_too() -> None:
    site = blocking()
    site.dispatcher.on_message("text")(lambda ctx: ctx.reply("text", "x"))
    ada = site.connect()
    ada.pipe.room = 0
    ada.send(*"0123456789")
    assert ada.pipe.is_paused
    ada.pipe.room = None
    while ada.pipe.is_paused:
        ada.conn._flush()
        site.flush()
    assert ada.received() == ["x"] * 10


def test_whoever_adds_to_what_waits_for_another_process_is_paused_under_any_policy() -> None:
    site = Site()

    @site.dispatcher.on_message("text")
    def relay(ctx: Any) -> None:
        site.dispatcher.crowded()  # as the link of a worker does when it is sent to

    ada, bob, eve = (site.connect() for _ in range(3))
    ada.send("1", "2")
    bob.send("1")
    assert ada.pipe.is_paused and bob.pipe.is_paused and not eve.pipe.is_paused
    assert ada.conn.messages_received == 1
    site.dispatcher.crowded()  # by nobody in particular: a task of the program
    bob.conn.abort()
    site.flush()
    for _ in range(2):
        site.dispatcher.emptied()
        site.flush()
    assert ada.conn.messages_received == 2 and not ada.pipe.is_paused
    assert len(site.dispatcher._blocking) == 0
