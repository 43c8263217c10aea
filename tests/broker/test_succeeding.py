"""A process that waits for the order: what has to wait does, and all else goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from glyph_fast import BrokerUnavailable, Position
from glyph_fast.broker.held import Held
from glyph_fast.broker.history import Ask
from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.broker.succeeding import Succeeding
from glyph_fast.dialects.publication import ROOM, json_publication
from glyph_fast.options.config import Config
from glyph_fast.wire import NOBODY, NOWHERE
from tests.wired import Site, settled, spin

NOW = time.time(), time.time()

Run = Callable[[Coroutine[Any, Any, None]], None]


class Waiting:
    """A site whose broker waits for the order."""

    def __init__(self, limit: int = 10**6) -> None:
        rooms = {"kept": {"history_size": 1000, "client_join": True}}
        self.site = Site(Config(rooms=rooms))
        self.hub = self.site.hub
        memory = self.hub._rooms._broker
        assert isinstance(memory, MemoryBroker)
        self.memory = memory
        self.broker = Succeeding(memory, self.hub._rooms._terms, Held(limit))
        self.hub._order_by(self.broker)

    def start(self) -> Waiting:
        self.broker.is_starting = False
        return self

    async def go_on(self) -> None:
        over = asyncio.Event()
        self.broker.go_on(over.set)
        await over.wait()
        self.hub._order_by(self.memory)


def test_what_was_published_meanwhile_follows_what_comes_over_in_order(run: Run) -> None:
    async def main() -> None:
        waiting = Waiting().start()
        hub = waiting.hub
        assert hub.broadcast_json_to_room("kept", 1).pending
        second = asyncio.ensure_future(hub.publish("kept", [2]))
        again = asyncio.ensure_future(hub.publish("kept", [3], idempotency_key="k"))
        same = asyncio.ensure_future(hub.publish("kept", [3], idempotency_key="k"))
        await spin()
        hub.broadcast_json_to_room("kept", 4)
        assert hub._publish_to_rooms(("kept", "other"), "5")[0].pending
        waiting.memory.histories.adopt("kept", Position("e", 7), NOW, [])
        await waiting.go_on()
        assert await second == Position("e", 9)
        assert await again == await same == Position("e", 10)
        hub.broadcast_json_to_room("kept", 6)
        kept = await hub.history("kept")
        assert [each.data for each in kept.messages] == [1, [2], [3], 4, 5, 6]
        assert kept.position == Position("e", 13)

    run(main())


def test_who_joins_waits_and_has_all_in_order(run: Run) -> None:
    async def main() -> None:
        waiting = Waiting().start()
        peer = waiting.site.connect()
        peer.send({"type": "join_room", "room": "kept", "since": {"epoch": "e", "offset": 7}})
        await spin()
        for n in range(3000):  # more than a member whose history is read may miss
            waiting.hub.broadcast_json_to_room("kept", n)
        await spin()
        assert peer.json() == []
        waiting.memory.histories.adopt("kept", Position("e", 7), NOW, [])
        await waiting.go_on()
        await settled(peer)
        answer, *live = peer.json()
        assert answer["data"]["resumed"] is True and answer["data"]["offset"] == 7
        assert [each["data"] for each in live] == list(range(3000))
        assert [each["offset"] for each in live] == list(range(8, 3008))

    run(main())


def test_rooms_that_remember_nothing_do_not_wait(run: Run) -> None:
    async def main() -> None:
        waiting = Waiting().start()
        peer = waiting.site.connect()
        peer.conn.join_room("other")
        assert waiting.hub.broadcast_json_to_room("other", 1).sent == 1
        assert await waiting.hub.publish("other", [2]) == NOWHERE
        assert waiting.hub.broadcast("all").sent == 1
        assert peer.received() == ["1", "[2]", "all"]
        under_id = asyncio.ensure_future(waiting.hub.publish("other", [3], idempotency_key="k"))
        await spin()
        assert not under_id.done()  # it may have been published before
        waiting.memory.ids.adopt("other", "", "program:k", 1e12, NOWHERE)
        await waiting.go_on()
        assert await under_id == NOWHERE

    run(main())


def test_a_hook_at_the_start_waits_for_nothing(run: Run) -> None:
    async def main() -> None:
        waiting = Waiting()
        hub = waiting.hub
        assert await hub.publish("kept", ["begin"]) == NOWHERE
        assert await hub.history("kept") == ([], NOWHERE)
        await hub.remove_history("kept")
        assert (await waiting.broker.history("kept", Ask(since=Position("e", 1)))).is_lost
        waiting.start()
        waiting.memory.histories.adopt("kept", Position("e", 7), NOW, [])
        await waiting.go_on()
        assert await hub.history("kept") == ([], Position("e", 8))

    run(main())


def test_what_is_forgotten_meanwhile_is_forgotten(run: Run) -> None:
    async def main() -> None:
        waiting = Waiting().start()
        waiting.hub.get_room_manager().delete_room("kept")
        removed = asyncio.ensure_future(waiting.hub.remove_history("kept"))
        await spin()
        waiting.memory.histories.adopt("kept", Position("e", 7), NOW, [])
        await waiting.go_on()
        await removed
        assert (await waiting.hub.history("kept")).position.epoch != "e"
        waiting = Waiting().start()
        waiting.hub.get_room_manager().clear()
        waiting.memory.histories.adopt("kept", Position("e", 7), NOW, [])
        await waiting.go_on()
        assert len(waiting.memory.histories) == 0

    run(main())


def test_no_more_waits_than_may(run: Run) -> None:
    async def main() -> None:
        waiting = Waiting(limit=1000).start()
        hub = waiting.hub
        assert hub.broadcast_to_room("kept", "x" * 900).pending
        assert tuple(hub.broadcast_to_room("kept", "y" * 900)) == tuple(NOBODY)
        with pytest.raises(BrokerUnavailable):
            await hub.publish("kept", "y" * 900)
        await waiting.go_on()
        assert [each.data for each in (await hub.history("kept")).messages] == ["x" * 900]

    run(main())


def test_a_caller_who_gave_up_and_one_who_fails_hold_up_nobody(run: Run) -> None:
    async def main() -> None:
        waiting = Waiting().start()
        given_up = asyncio.ensure_future(waiting.hub.publish("kept", [1]))
        failing = json_publication(ROOM, "kept", "2")
        del failing.kind
        other = asyncio.ensure_future(waiting.broker.publish_once(failing, "id"))
        await spin()
        given_up.cancel()
        await waiting.go_on()
        with pytest.raises(AttributeError):
            await other
        assert [each.data for each in (await waiting.hub.history("kept")).messages] == [[1]]
        # Who has this broker still at hand publishes by the one that follows it.
        waiting.broker.publish(json_publication(ROOM, "kept", "3"))
        assert (await waiting.hub.history("kept")).position.offset == 2
        waiting.broker.sweep()
        assert waiting.broker.figures()["history_messages"] == 2

    run(main())
