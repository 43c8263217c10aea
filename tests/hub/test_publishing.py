"""The one way of a publication: every call that makes one asks the broker, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast.admin.calls import CALLS
from glyph_fast.broker.memory import MemoryBroker
from glyph_fast.errors import ConnectionClosed
from glyph_fast.hub.room import Room
from glyph_fast.hub.rooms import RoomManager
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores


@pytest.fixture
def broker() -> Recorder:
    return Recorder()


@pytest.fixture
def site(broker: Recorder) -> Site:
    return Site(broker=broker)


def rooms_of(site: Site) -> RoomManager:
    return site.hub.get_room_manager()


def room_of(rooms: RoomManager, name: str) -> Room:
    room = rooms.get_room(name)
    assert room is not None
    return room


class Recorder(MemoryBroker):
    """Tells what the hub asked of it."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, Any]] = []

    def attach(self, deliver: Any, obey: Any = None) -> None:
        super().attach(deliver)

        def publish(publication: Any) -> Any:
            to = (publication.kind, publication.name)
            self.calls.append((*to, publication.payload, publication.exclude))
            return deliver(publication)

        self.publish = publish

    def subscribe(self, room: str) -> None:
        self.calls.append(("subscribe", room))

    def unsubscribe(self, room: str) -> None:
        self.calls.append(("unsubscribe", room))

    def heard(self) -> list[Any]:
        calls, self.calls = self.calls, []
        return calls


def test_a_broker_hears_of_a_rooms_first_and_last_member(broker: Recorder, site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    assert broker.heard() == [("subscribe", "blue")]
    bob.conn.join_room("blue")
    ada.conn.leave_room("blue")
    assert broker.heard() == []
    bob.vanish()
    assert broker.heard() == [("unsubscribe", "blue")]


def test_a_kept_room_is_subscribed_to_while_it_has_members(broker: Recorder, site: Site) -> None:
    room = site.hub.get_room_manager().get_or_create_room("kept")
    assert broker.heard() == []
    ada = site.connect()
    for _ in range(2):
        room.add(ada.conn)
        room.remove(ada.conn)
        assert broker.heard() == [("subscribe", "kept"), ("unsubscribe", "kept")]


def test_a_join_that_fails_is_not_subscribed_to(broker: Recorder, site: Site) -> None:
    ada = site.connect()
    ada.conn.close(1000)
    with pytest.raises(ConnectionClosed):
        ada.conn.join_room("blue")
    assert broker.heard() == []


def test_whoever_joins_while_a_room_is_deleted_is_subscribed_to(
    broker: Recorder, site: Site
) -> None:
    ada, bob = site.connect(), site.connect()
    rooms = site.hub.get_room_manager()
    for peer in (ada, bob):
        peer.conn.join_room("blue")

    def left(conn: Any, room: Room) -> None:
        if conn is ada.conn:
            ada.conn.join_room("blue")

    rooms._left = left
    broker.heard()
    rooms.delete_room("blue")
    assert broker.heard() == [("unsubscribe", "blue"), ("subscribe", "blue")]
    assert list(room_of(rooms, "blue")) == [ada.conn]
    site.hub.broadcast_to_room("blue", "hi")
    assert (ada.received(), bob.received()) == (["hi"], [])


def test_a_deleted_room_that_is_joined_meanwhile_is_subscribed_to(
    broker: Recorder, site: Site
) -> None:
    ada, bob = site.connect(), site.connect()
    rooms = site.hub.get_room_manager()
    for peer in (ada, bob):
        peer.conn.join_room("blue")
    rooms._left = lambda conn, room: room.add(ada.conn) if conn is ada.conn else None
    broker.heard()
    rooms.delete_room("blue")
    assert broker.heard() == [("unsubscribe", "blue"), ("subscribe", "blue")]
    assert list(room_of(rooms, "blue")) == [ada.conn]
    ada.conn.leave_room("blue")


WAYS: dict[str, tuple[Callable[[Site, Peer], Any], tuple[Any, ...]]] = {
    "everyone": (lambda site, ada: site.hub.broadcast("x", ada.conn), ("everyone", None)),
    "everyone json": (lambda site, ada: site.hub.broadcast_json("x", ada.id), ("everyone", None)),
    "event": (lambda site, ada: site.hub.broadcast_event("e", 1, None, ada.id), ("everyone", None)),
    "room": (lambda site, ada: site.hub.broadcast_to_room("r", "x", ada.id), ("room", "r")),
    "room json": (
        lambda site, ada: site.hub.broadcast_json_to_room("r", 1, ada.id), ("room", "r"),
    ),
    "room event": (lambda site, ada: site.hub.broadcast_event("e", 1, "r", ada.id), ("room", "r")),
    "a room": (
        lambda site, ada: room_of(rooms_of(site), "r").broadcast("x", ada.conn), ("room", "r"),
    ),
    "user": (lambda site, ada: site.hub.send_to_user("ada", "x"), ("user", "ada")),
    "operators, room": (
        lambda site, ada: CALLS["publish"](site.hub, {"room": "r", "data": 1}), ("room", "r"),
    ),
    "operators, rooms": (
        lambda site, ada: CALLS["publish"](site.hub, {"rooms": ["r", "s", "r"], "data": 1}),
        ("rooms", ("r", "s")),
    ),
    "operators": (lambda site, ada: CALLS["broadcast"](site.hub, {"data": 1}), ("everyone", None)),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_publish_asks_the_broker_once(broker: Recorder, site: Site, way: str) -> None:
    ada, bob = site.connect(identity="ada"), site.connect()
    for peer in (ada, bob):
        peer.conn.join_room("r")
    broker.heard()
    publish, to = WAYS[way]
    publish(site, ada)
    ((*found, payload, _),) = broker.heard()
    assert tuple(found) == to
    (received,) = ada.received() if "user" in way or "operators" in way else bob.received()
    assert received.encode() == payload


def test_a_room_that_is_gone_does_not_speak_for_its_successor(site: Site) -> None:
    rooms = rooms_of(site)
    ada = site.connect()
    ada.conn.join_room("blue")
    former = room_of(rooms, "blue")
    rooms.delete_room("blue")
    ada.conn.join_room("blue")
    assert former.broadcast("hi") == (0, 0, 0)
    assert ada.received() == []
