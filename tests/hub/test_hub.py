"""The hub: who is there, and sending to many."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.dialects.message import Message
from glyph_fast.errors import ConnectionNotFound
from glyph_fast.hub.hub import Hub
from glyph_fast.options.config import Config
from glyph_fast.wire import NOBODY, SendResult
from tests.wired import Site

pytestmark = pytest.mark.both_cores


@pytest.fixture
def site() -> Site:
    return Site()


def test_who_is_there(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    assert site.hub.get_connections() == [ada.conn, bob.conn]
    assert site.hub.get_connection_count() == len(site.hub) == 2
    assert site.hub.get_connection(ada.id) is ada.conn
    assert site.hub.get_connection("nobody") is None
    ada.vanish()
    assert site.hub.get_connections() == [bob.conn]
    assert site.hub.get_connection(ada.id) is None


def test_a_connection_is_found_by_one_look_up(site: Site) -> None:
    ada = site.connect()
    (group,) = site.hub._everyone.groups
    assert isinstance(group.members, dict)
    assert group.members[ada.id] is site.hub.get_connection(ada.id) is ada.conn


def test_broadcasts_reach_everyone_not_excluded(site: Site) -> None:
    ada, bob, eve = (site.connect() for _ in range(3))
    hub = site.hub
    assert hub.broadcast("all") == SendResult(3, 0, 0)
    assert hub.broadcast(b"not ada", exclude=ada.conn) == SendResult(2, 0, 0)
    assert hub.broadcast("not bob", exclude=bob.id) == SendResult(2, 0, 0)
    assert hub.broadcast("only eve", exclude={ada.conn, bob.conn}) == SendResult(1, 0, 0)
    assert hub.broadcast_json({"n": 1}, exclude=[ada.id, bob.id]) == SendResult(1, 0, 0)
    assert ada.received() == ["all", "not bob"]
    assert bob.received() == ["all", b"not ada"]
    assert eve.received() == ["all", b"not ada", "not bob", "only eve", '{"n":1}']


def test_a_message_is_sent_as_its_json(site: Site) -> None:
    ada = site.connect()
    site.hub.broadcast(Message("text", "x", timestamp="T"))
    assert ada.received() == ['{"type":"text","data":"x","timestamp":"T"}']


def test_broadcasting_to_a_room(site: Site) -> None:
    ada, bob, eve = (site.connect() for _ in range(3))
    ada.conn.join_room("blue")
    bob.conn.join_room("blue")
    hub = site.hub
    assert hub.broadcast_to_room("blue", "x") == SendResult(2, 0, 0)
    assert hub.broadcast_json_to_room("blue", [1], exclude=ada.conn) == SendResult(1, 0, 0)
    assert ada.received() == ["x"]
    assert bob.received() == ["x", "[1]"]
    assert eve.received() == []


def test_an_unknown_room_gives_zeros(site: Site) -> None:
    site.connect()
    assert site.hub.broadcast_to_room("blue", "x") == SendResult(0, 0, 0)
    assert site.hub.broadcast_json_to_room("blue", 1) == NOBODY
    assert site.hub.broadcast_event("e", 1, room="blue") == NOBODY
    assert site.hub.get_room_manager().count() == 0


def test_events_are_envelopes(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    site.hub.broadcast_event("tick", 1)
    site.hub.broadcast_event("tock", {"n": 2}, room="blue")
    site.hub.broadcast_event("rest", exclude=ada.conn)
    assert ada.answers() == [
        {"type": "json", "event": "tick", "data": 1},
        {"type": "json", "event": "tock", "data": {"n": 2}, "room": "blue"},
    ]
    assert bob.answers() == [
        {"type": "json", "event": "tick", "data": 1},
        {"type": "json", "event": "rest"},
    ]


def test_send_to(site: Site) -> None:
    ada = site.connect()
    assert site.hub.send_to(ada.id, "x") == SendResult(1, 0, 0)
    assert ada.received() == ["x"]
    with pytest.raises(ConnectionNotFound, match="'nobody'"):
        site.hub.send_to("nobody", "x")
    ada.conn.close(1000)
    with pytest.raises(ConnectionNotFound):
        site.hub.send_to(ada.id, "x")


def test_closed_members_are_skipped_and_not_counted(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    bob.conn.join_room("blue")
    ada.conn.close(1000)
    assert site.hub.broadcast("x") == SendResult(1, 0, 0)
    assert site.hub.broadcast_to_room("blue", "x") == SendResult(1, 0, 0)
    assert ada.received() == []


def test_a_hub_without_connections_broadcasts_to_nobody() -> None:
    hub = Hub()
    assert hub.broadcast("x") == NOBODY
    assert hub.broadcast_event("e") == NOBODY
    assert hub.broadcast_to_room("blue", "x") == NOBODY
    assert hub.get_connections() == []


@pytest.mark.parametrize("message", [5, None, object()])
def test_what_is_no_message_is_refused_even_with_nobody_there(message: Any) -> None:
    with pytest.raises(TypeError, match="a message is str, bytes or Message"):
        Hub().broadcast(message)


def test_sends_and_broadcasts_keep_their_order(site: Site) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    for n in range(5):
        ada.conn.send(f"direct {n}")
        site.hub.broadcast(f"all {n}")
        site.hub.broadcast_to_room("blue", f"room {n}")
        site.hub.send_to(ada.id, f"to {n}")
    expected = [f"{kind} {n}" for n in range(5) for kind in ("direct", "all", "room", "to")]
    assert ada.received() == expected


def test_limits_come_from_the_configuration() -> None:
    rooms = Hub(
        Config(max_room_members=2, max_rooms_per_connection=3, max_room_name=4)
    ).get_room_manager()
    assert (rooms._max_members, rooms._max_rooms, rooms._max_name) == (2, 3, 4)


def test_metrics_count_connections_and_their_ends(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    ada.close(4000)
    bob.vanish()
    assert site.hub.metrics.connections_total == 2
    assert site.hub.metrics.disconnects == {4000: 1, 1006: 1}
    assert site.hub.metrics.core is site.turn.counters


def test_calls_from_another_thread_are_pending_and_keep_their_order(site: Site) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    results: list[Any] = []

    def work() -> None:
        hub = site.hub
        results.append(hub.broadcast("one"))
        results.append(hub.broadcast_json(2))
        results.append(hub.broadcast_to_room("blue", "three"))
        results.append(hub.send_to(ada.id, "four"))
        results.append(hub.broadcast_event("five"))
        results.append(hub.get_connection_count())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert results.pop() == 1
    assert [(result, result.pending) for result in results] == [(NOBODY, True)] * 5
    received = ada.received()
    assert received[:4] == ["one", "2", "three", "four"]
    assert '"event":"five"' in str(received[4])


def test_closing_everybody_goes_in_batches(run: Callable[..., Any]) -> None:
    async def main() -> None:
        site = Site().on_loop()
        peers = [site.connect() for _ in range(5)]
        await site.hub._close_all(1012, batch=2)
        for peer in peers:
            assert peer.received() == []
            assert (peer.close_code, peer.close_reason) == (1012, "server is restarting")

    run(main())


def test_a_hub_can_be_configured_until_it_serves() -> None:
    hub = Hub()
    rooms = hub.get_room_manager()
    kept, own = rooms.get_or_create_room("kept"), rooms.get_or_create_room("own")
    own.max_connections = 7
    hub._configure(Config(max_room_members=2, max_rooms_per_connection=3, max_room_name=4))
    assert (rooms._max_members, rooms._max_rooms, rooms._max_name) == (2, 3, 4)
    assert (kept.max_connections, own.max_connections) == (2, 7)
