"""Joining rooms that remember, also where the broker takes its time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from glyph_fast.broker.history import Ask
from glyph_fast.dialects.stream import enveloped
from glyph_fast.errors import BrokerUnavailable, ConnectionClosed, GlyphFastError, RoomFull
from glyph_fast.hub.joining import join
from glyph_fast.hub.remembering import MAX_HELD
from glyph_fast.options.config import Config
from glyph_fast.wire import NOWHERE, Position
from tests.hub.slow import Slow
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores

ROOMS = {"chat": {"history_size": 100, "max_members": 5}}


@pytest.fixture
def site() -> Site:
    return Site(Config(rooms=ROOMS))


def offsets(peer: Peer) -> list[int]:
    return [each["offset"] for each in peer.json()]


def publish(site: Site, *texts: str, exclude: Any = None) -> None:
    for text in texts:
        site.hub.broadcast_to_room("chat", text, exclude)


async def join_as(site: Site, peer: Peer, **ask: Any) -> Any:
    return await peer.conn.join("chat", **ask)


def joined(run: Any, site: Site, peer: Peer, **ask: Any) -> Any:
    return run(join_as(site, peer, **ask))


def test_a_program_joins_and_gets_the_latest(site: Site, run: Any) -> None:
    publish(site, "1", "2", "3")
    ada = site.connect()
    found = joined(run, site, ada, history=2)
    assert [(each.data, each.offset) for each in found.messages] == [("2", 2), ("3", 3)]
    assert (found.resumed, found.position.offset) == (False, 3)
    publish(site, "4")
    assert ada.received() == ["4"]  # as it was sent


def test_a_program_resumes_with_envelopes(site: Site, run: Any) -> None:
    ada, bob = site.connect(), site.connect()
    position = joined(run, site, bob).position
    publish(site, "1", "2", exclude=None)
    publish(site, "3", exclude=ada.id)
    found = joined(run, site, ada, since=position, envelopes=True)
    assert [each.offset for each in found.messages] == [1, 2]
    assert (found.resumed, found.position) == (True, (position.epoch, 3))
    publish(site, "4")
    assert offsets(ada) == [4]
    assert joined(run, site, ada, since=tuple(found.position)).messages[0].data == "4"
    publish(site, "5")
    assert offsets(ada) == [5]  # once enveloped, always


@pytest.mark.parametrize("since", [("other", 0), ("", 0), ("own", 9)])
def test_what_is_not_covered_is_not_resumed(site: Site, run: Any, since: Any) -> None:
    publish(site, "1")
    ada = site.connect()
    position = joined(run, site, ada).position
    since = Position(position.epoch if since[0] == "own" else since[0], since[1])
    assert joined(run, site, ada, since=since) == (position, False, [])


def test_more_than_an_answer_may_hold_is_not_resumed(run: Any) -> None:
    site = Site(Config(rooms=ROOMS, history_answer=3))
    ada = site.connect()
    position = joined(run, site, ada).position
    publish(site, "1", "2", "3")
    assert len(joined(run, site, ada, since=position).messages) == 3
    publish(site, "4")
    found = joined(run, site, ada, since=position)
    assert (found.resumed, found.messages, found.position.offset) == (False, [], 4)
    assert [each.data for each in joined(run, site, ada, history=9).messages] == ["2", "3", "4"]


def test_a_room_that_does_not_remember_is_joined_as_ever(site: Site, run: Any) -> None:
    ada = site.connect()
    assert run(ada.conn.join("other", history=5, envelopes=True)) == (NOWHERE, False, [])
    site.hub.broadcast_to_room("other", "hi")
    assert ada.received() == ["hi"]


def test_what_join_room_raises_is_raised(site: Site, run: Any) -> None:
    full = [site.connect() for _ in range(6)]
    for peer in full[:5]:
        joined(run, site, peer)
    with pytest.raises(RoomFull):
        joined(run, site, full[5])
    assert full[5].conn.get_rooms() == []
    full[5].vanish()
    with pytest.raises(ConnectionClosed):
        joined(run, site, full[5])


# With a broker that takes its time.


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("envelopes", [False, True])
def test_what_comes_while_it_is_read_comes_once(run: Any, is_late: bool, envelopes: bool) -> None:
    async def main() -> None:
        broker = Slow()
        broker.is_late = is_late
        site = Site(Config(rooms=ROOMS), broker=broker).on_loop()
        ada = site.connect()
        publish(site, "1", "2")
        since = Position(broker.histories.stream("chat").epoch, 1)
        joining = asyncio.ensure_future(ada.conn.join("chat", since, 0, envelopes))
        await asyncio.sleep(0)
        publish(site, "3", "4")
        publish(site, "5", exclude=ada.conn)
        assert ada.received() == []
        broker.gate.set()
        found = await joining
        publish(site, "6")
        read = [each.offset for each in found.messages]
        assert read == ([2] if is_late else [2, 3, 4])
        assert found.position.offset == (2 if is_late else 5)
        if envelopes:
            assert [*read, *offsets(ada)] == ([2, 3, 4, 5, 6] if is_late else [2, 3, 4, 6])
        else:
            assert ada.received() == (["3", "4", "6"] if is_late else ["6"])

    run(main())


def test_a_broker_that_is_away_leaves_no_trace(run: Any) -> None:
    async def main() -> None:
        broker = Slow()
        broker.is_away = True
        broker.gate.set()
        site = Site(Config(rooms=ROOMS), broker=broker).on_loop()
        ada, bob = site.connect(), site.connect()
        bob.conn.join_room("chat")
        for peer in (ada, bob):
            with pytest.raises(BrokerUnavailable):
                await peer.conn.join("chat", envelopes=True)
        assert (ada.conn.get_rooms(), bob.conn.get_rooms()) == ([], ["chat"])
        publish(site, "1")
        assert (ada.received(), bob.received()) == ([], ["1"])

    run(main())


def test_a_member_that_stays_misses_nothing_of_a_read_that_fails(run: Any) -> None:
    async def main() -> None:
        broker = Slow()
        broker.is_away = True
        site = Site(Config(rooms=ROOMS), broker=broker).on_loop()
        bob = site.connect()
        bob.conn.join_room("chat")
        joining = asyncio.ensure_future(bob.conn.join("chat", envelopes=True))
        await asyncio.sleep(0)
        publish(site, "1", "2")
        broker.gate.set()
        with pytest.raises(BrokerUnavailable):
            await joining
        publish(site, "3")
        assert bob.received() == ["1", "2", "3"]

    run(main())


@pytest.mark.parametrize("how", ["leaves", "is removed", "is gone", "gets too much"])
def test_who_is_no_member_any_more_gets_an_error(run: Any, how: str) -> None:
    async def main() -> None:
        broker = Slow()
        site = Site(Config(rooms=ROOMS), broker=broker).on_loop()
        ada, answers = site.connect(), []
        joining = asyncio.ensure_future(
            join(ada.conn, "chat", Ask(limit=1), enveloped, answers.append)
        )
        await asyncio.sleep(0)
        with pytest.raises(GlyphFastError, match="being joined"):
            await ada.conn.join("chat")
        if how == "leaves":
            ada.conn.leave_room("chat")
        elif how == "is removed":
            site.hub.get_room_manager().delete_room("chat")
        elif how == "is gone":
            ada.vanish()
        else:
            publish(site, *["x"] * (MAX_HELD + 1))
        broker.gate.set()
        with pytest.raises(GlyphFastError, match="try again" if "much" in how else "removed"):
            await joining
        assert answers == []
        assert site.hub.get_room_manager().get_room("chat") is None
        if how != "is gone":
            assert ada.conn.get_rooms() == []

    run(main())
