"""Rooms: membership, limits, metadata, and when a room exists."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from glyph_fast import core
from glyph_fast.dialects.message import Message
from glyph_fast.errors import ConnectionClosed, GlyphFastError, RoomFull, RoomNotFound
from glyph_fast.hub.room import Room
from glyph_fast.hub.rooms import RoomManager
from glyph_fast.options.config import Config
from glyph_fast.options.rooms import declaration_of_program
from glyph_fast.wire import NOBODY, SendResult
from tests.wired import Site

pytestmark = pytest.mark.both_cores


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def rooms(site: Site) -> RoomManager:
    return site.hub.get_room_manager()


def elsewhere(function: Callable[[], Any]) -> Any:
    """What `function` returns in another thread."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join(10)
    return results[0]


def room_of(rooms: RoomManager, name: str) -> Room:
    room = rooms.get_room(name)
    assert room is not None
    return room


# Membership.


def test_joining_makes_the_room(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    room = room_of(rooms, "blue")
    assert (room.name, room.size(), len(room), list(room)) == ("blue", 1, 1, [ada.conn])
    assert room.has(ada.conn) and ada.conn in room


def test_joining_twice_changes_nothing(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    ada.conn.join_room("blue")
    room_of(rooms, "blue").add(ada.conn)
    assert ada.conn.get_rooms() == ["blue"]
    assert rooms.get_room_size("blue") == 1


def test_leaving_a_room_one_is_not_in_changes_nothing(site: Site, rooms: RoomManager) -> None:
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    bob.conn.leave_room("blue")
    bob.conn.leave_room("no such room")
    room_of(rooms, "blue").remove(bob.conn)
    assert rooms.get_room_size("blue") == 1


def test_a_room_can_be_joined_and_left_by_its_own_methods(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    room = rooms.get_or_create_room("blue")
    room.add(ada.conn)
    assert ada.conn.get_rooms() == ["blue"] and ada.conn.is_in_room("blue")
    room.remove(ada.conn)
    assert ada.conn.get_rooms() == [] and not ada.conn.is_in_room("blue")


def test_the_core_cannot_be_used_to_leave_behind_the_connections_back(
    site: Site, rooms: RoomManager
) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    assert not isinstance(room_of(rooms, "blue"), core.Room)
    assert not hasattr(room_of(rooms, "blue"), "discard")


def test_iteration_is_over_the_members_as_they_were(site: Site, rooms: RoomManager) -> None:
    peers = [site.connect() for _ in range(3)]
    for peer in peers:
        peer.conn.join_room("blue")
    for conn in room_of(rooms, "blue"):
        conn.leave_room("blue")
    assert rooms.get_room("blue") is None


def test_closed_connections_cannot_join(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    room = rooms.get_or_create_room("kept")
    ada.conn.close(1000)
    for join in (lambda: ada.conn.join_room("blue"), lambda: room.add(ada.conn)):
        with pytest.raises(ConnectionClosed):
            join()
    assert rooms.get_room_names() == ["kept"] and len(room) == 0


def test_a_closed_connection_is_in_no_room_but_lists_its_former_ones(
    site: Site, rooms: RoomManager
) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    ada.conn.join_room("red")
    ada.vanish()
    assert ada.conn.get_rooms() == ["blue", "red"]
    assert not ada.conn.is_in_room("blue")
    assert rooms.count() == 0


# Limits.


def test_a_full_room_refuses(rooms: RoomManager) -> None:
    site = Site(Config(max_room_members=1))
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    with pytest.raises(RoomFull, match="room is full") as caught:
        bob.conn.join_room("blue")
    assert (caught.value.name, caught.value.limit) == ("blue", 1)
    assert bob.conn.get_rooms() == []


def declare(site: Site, pattern: str, **given: Any) -> None:
    site.hub._declare(declaration_of_program(pattern, given))


@pytest.mark.parametrize("make", ["join_room", "join", "get_or_create_room"])
def test_a_declaration_bounds_the_rooms_it_matches_however_they_are_made(
    make: str, site: Site, rooms: RoomManager
) -> None:
    declare(site, "small:*", max_members=2)
    declare(site, "open:*", client_join=True)
    ada = site.connect()
    for name, limit in (("small:1", 2), ("open:1", 1000), ("other", 1000)):
        if make == "get_or_create_room":
            rooms.get_or_create_room(name)
        else:
            ada.conn.join_room(name) if make == "join_room" else rooms._join(ada.conn, name)
        assert room_of(rooms, name).max_connections == limit
    for peer in (site.connect(), site.connect()):
        room_of(rooms, "other").add(peer.conn)
    bob, eve = site.connect(), site.connect()
    rooms.get_or_create_room("small:2")
    for peer in (ada, bob):
        peer.conn.join_room("small:2")
    with pytest.raises(RoomFull):
        eve.conn.join_room("small:2")
    with pytest.raises(RoomFull):
        room_of(rooms, "small:2").add(eve.conn)


def test_a_later_declaration_reaches_rooms_without_a_limit_of_their_own(
    site: Site, rooms: RoomManager
) -> None:
    follower, own = rooms.get_or_create_room("small:1"), rooms.get_or_create_room("small:2")
    other = rooms.get_or_create_room("other")
    own.max_connections = 7
    declare(site, "small:*", max_members=2)
    assert [each.max_connections for each in (follower, own, other)] == [2, 7, 1000]
    site.hub._configure(Config(max_room_members=5, rooms={"small:*": {"max_members": 3}}))
    assert [each.max_connections for each in (follower, own, other)] == [3, 7, 5]
    site.hub._configure(Config())  # the program's own counts again
    assert [each.max_connections for each in (follower, own, other)] == [2, 7, 1000]


def test_max_connections_of_one_room_can_be_set(site: Site, rooms: RoomManager) -> None:
    room = rooms.get_or_create_room("blue")
    assert room.max_connections == 1000
    room.max_connections = 1
    room.add(site.connect().conn)
    with pytest.raises(RoomFull):
        room.add(site.connect().conn)
    room.max_connections = 0
    room.add(site.connect().conn)
    with pytest.raises(ValueError, match="-1"):
        room.max_connections = -1


def test_a_connection_may_be_in_so_many_rooms() -> None:
    site = Site(Config(max_rooms_per_connection=2))
    ada = site.connect()
    ada.conn.join_room("a")
    ada.conn.join_room("b")
    with pytest.raises(GlyphFastError, match="2 rooms"):
        ada.conn.join_room("c")
    assert site.hub.get_room_manager().get_room_names() == ["a", "b"]
    ada.conn.join_room("a")  # already in it
    ada.conn.leave_room("b")
    ada.conn.join_room("c")
    assert ada.conn.get_rooms() == ["a", "c"]


@pytest.mark.parametrize(
    "name", ["", "a\nb", "\x00", "\x7f", "\x9f", "x" * 129, "\u00e9" * 65, None, 5, b"x"]
)
def test_bad_names_are_refused_without_a_trace(site: Site, rooms: RoomManager, name: Any) -> None:
    ada = site.connect()
    for make in (ada.conn.join_room, rooms.get_or_create_room):
        with pytest.raises(ValueError, match="room name"):
            make(name)
    assert rooms.count() == 0 and ada.conn.get_rooms() == []


@pytest.mark.parametrize("name", [" ", "x" * 128, "\u00e9" * 64, "a/b?c*[d]", "Küche", "🏠"])
def test_any_other_name_is_fine(site: Site, rooms: RoomManager, name: str) -> None:
    site.connect().conn.join_room(name)
    assert name in rooms


# When a room exists.


def test_a_room_vanishes_with_its_last_member(site: Site, rooms: RoomManager) -> None:
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    bob.conn.join_room("blue")
    ada.conn.leave_room("blue")
    assert rooms.get_room_names() == ["blue"]
    bob.vanish()
    assert rooms.get_room_names() == []


def test_a_room_with_metadata_stays(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    room_of(rooms, "blue").set_metadata("topic", "sky")
    ada.conn.leave_room("blue")
    assert room_of(rooms, "blue").get_metadata("topic") == "sky"


def test_a_room_that_was_asked_for_stays(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    room = rooms.get_or_create_room("blue")
    ada.conn.leave_room("blue")
    assert rooms.get_room("blue") is room
    assert rooms.get_or_create_room("blue") is room


def test_deleting_removes_members_and_all(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    rooms.get_or_create_room("blue").set_metadata("topic", "sky")
    ada.conn.join_room("blue")
    ada.conn.join_room("red")
    assert rooms.delete_room("blue") is True
    assert rooms.get_room("blue") is None
    assert ada.conn.get_rooms() == ["red"]
    assert rooms.delete_room("blue") is False


def test_clear_deletes_all_rooms(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    rooms.get_or_create_room("red")
    rooms.clear()
    assert (rooms.count(), len(rooms), list(rooms)) == (0, 0, [])
    assert ada.conn.get_rooms() == []


def test_a_room_that_is_gone_comes_back_when_someone_is_added(
    site: Site, rooms: RoomManager
) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    room = room_of(rooms, "blue")
    ada.conn.leave_room("blue")
    room.add(ada.conn)
    assert rooms.get_room("blue") is room


def test_a_room_that_is_gone_does_not_take_its_successors_place(
    site: Site, rooms: RoomManager
) -> None:
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    former = room_of(rooms, "blue")
    ada.conn.leave_room("blue")
    bob.conn.join_room("blue")
    with pytest.raises(RoomNotFound, match="'blue'"):
        former.add(ada.conn)
    assert ada.conn.get_rooms() == [] and len(former) == 0
    assert rooms.get_room_size("blue") == 1


# The rest.


def test_look_ups_of_what_is_not_there(rooms: RoomManager) -> None:
    assert rooms.get_room("blue") is None
    assert rooms.get_room_size("blue") == 0
    assert "blue" not in rooms


def test_metadata(rooms: RoomManager) -> None:
    room = rooms.get_or_create_room("blue")
    assert room.get_metadata("topic") is None
    assert room.get_metadata("topic", "none") == "none"
    assert room.get_all_metadata() == {}
    room.set_metadata("topic", "sky")
    everything = room.get_all_metadata()
    everything["topic"] = "changed"
    assert room.get_all_metadata() == {"topic": "sky"}


def test_a_room_knows_when_it_was_made(rooms: RoomManager) -> None:
    before = datetime.now(UTC)
    room = rooms.get_or_create_room("blue")
    assert before.timestamp() - 0.001 <= room.created_at.timestamp()
    assert room.created_at <= datetime.now(UTC)
    assert room.created_at.tzinfo is UTC


def test_broadcasts_reach_the_members(site: Site, rooms: RoomManager) -> None:
    ada, bob, eve = site.connect(), site.connect(), site.connect()
    for peer in (ada, bob):
        peer.conn.join_room("blue")
    room = room_of(rooms, "blue")
    assert room.broadcast("all") == SendResult(2, 0, 0)
    assert room.broadcast(b"not ada", exclude=ada.conn) == SendResult(1, 0, 0)
    room.broadcast(Message("json", 1, timestamp="T"), exclude=[bob.id])
    assert ada.received() == ["all", '{"type":"json","data":1,"timestamp":"T"}']
    assert bob.received() == ["all", b"not ada"]
    assert eve.received() == []


def test_calls_from_another_thread_are_handed_over_in_order(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    room = rooms.get_or_create_room("blue")

    def work() -> list[Any]:
        return [
            room.add(ada.conn),
            room.broadcast("one"),
            site.hub.broadcast_to_room("blue", "two"),
            room.remove(ada.conn),
            room.broadcast("three"),
            rooms.delete_room("blue"),
            rooms.get_room_names(),
        ]

    results = elsewhere(work)
    sends = [results.pop(place) for place in (4, 2, 1)]
    assert [(result, result.pending) for result in sends] == [(NOBODY, True)] * 3
    assert results == [None, None, True, ["blue"]]
    assert len(room) == 0
    assert ada.received() == ["one", "two"]
    assert rooms.get_room_names() == []


def test_a_room_kept_from_another_thread_is_kept(site: Site, rooms: RoomManager) -> None:
    ada = site.connect()
    ada.conn.join_room("blue")
    room = elsewhere(lambda: rooms.get_or_create_room("blue"))
    ada.conn.leave_room("blue")
    assert rooms.get_room("blue") is room


def test_the_text_form_of_a_room(rooms: RoomManager) -> None:
    assert repr(rooms.get_or_create_room("blue")) == "<Room 'blue' of 0>"


def test_an_empty_room_is_still_a_room():
    manager = RoomManager()
    assert manager
    assert manager.get_or_create_room("lobby")
