"""Members of a room that remembers: places, skips, resets, and those who are held."""

from __future__ import annotations

import pytest

from glyph_fast.dialects.publication import ROOM, publication
from glyph_fast.dialects.stream import enveloped
from glyph_fast.errors import GlyphFastError
from glyph_fast.hub.remembering import MAX_HELD, Remembering
from glyph_fast.options.config import Config
from glyph_fast.wire import NOBODY, Position
from tests.wired import Peer, Site

pytestmark = pytest.mark.both_cores


@pytest.fixture
def site() -> Site:
    return Site(Config(rooms={"chat": {"history_size": 100, "max_members": 5}}))


def members_of(site: Site) -> Remembering:
    members = site.hub.get_room_manager().get_or_create_room("chat")._members
    assert isinstance(members, Remembering)
    return members


def enter(site: Site, *peers: Peer) -> None:
    for peer in peers:
        members_of(site).add(peer.conn, enveloped)


def numbers(peer: Peer) -> list[tuple[str, int]]:
    return [(each.get("type"), each.get("offset", 0)) for each in peer.json()]


def test_each_gets_what_it_speaks_and_all_are_counted(site: Site) -> None:
    plain, rich = site.connect(), site.connect()
    plain.conn.join_room("chat")
    enter(site, rich)
    assert site.hub.broadcast_to_room("chat", "hi") == (2, 0, 0)
    assert plain.received() == ["hi"]
    (message,) = rich.json()
    assert (message["room"], message["offset"], message["data"]) == ("chat", 1, "hi")


def test_who_is_left_out_is_told_of_the_place(site: Site) -> None:
    ada, bob, eve, plain = (site.connect() for _ in range(4))
    enter(site, ada, bob, eve)
    plain.conn.join_room("chat")
    assert site.hub.broadcast_to_room("chat", "1", ada.conn) == (3, 0, 0)
    site.hub.broadcast_to_room("chat", "2", [ada.id, bob.id, plain.id, "unknown"])
    assert ada.json() == [{"type": "skip", "room": "chat", "offset": n} for n in (1, 2)]
    assert numbers(bob) == [("text", 1), ("skip", 2)]
    assert numbers(eve) == [("text", 1), ("text", 2)]
    assert plain.received() == ["1"]


def test_one_who_is_answered_is_not_told(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    enter(site, ada, bob)
    made = publication(ROOM, "chat", "1", [ada.id, bob.id])
    made.answered = ada.id
    members_of(site).publish(made)
    assert (numbers(ada), numbers(bob)) == ([], [("skip", 1)])


def test_a_room_without_members_gives_places_all_the_same(site: Site) -> None:
    assert site.hub.broadcast_to_room("chat", "1") == NOBODY  # there is no room either
    members = members_of(site)
    assert members.publish(publication(ROOM, "chat", "2")) == NOBODY
    made = publication(ROOM, "chat", "3")
    members.publish(made)
    assert made.offset == 3


def test_who_knows_another_epoch_hears_of_the_new_one_first(site: Site) -> None:
    rich, plain = site.connect(), site.connect()
    enter(site, rich)
    plain.conn.join_room("chat")
    site.hub.broadcast_to_room("chat", "1")
    site.hub._rooms._broker.forget("chat")
    made = publication(ROOM, "chat", "2")
    members_of(site).publish(made)
    assert rich.json()[1:] == [
        {"type": "room_reset", "room": "chat", "data": {"epoch": made.epoch, "offset": 0}},
        {"room": "chat", "offset": 1, "type": "text", "data": "2",
         "timestamp": made_time(made)},
    ]  # fmt: skip
    assert plain.received() == ["1", "2"]


def made_time(made: object) -> str:
    from glyph_fast.dialects.stream import rfc3339

    return rfc3339(made.kept[1]).decode()  # type: ignore[attr-defined]


# Held.


def test_a_held_member_gets_what_came_behind_its_position(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    enter(site, bob)
    members = members_of(site)
    site.hub.broadcast_to_room("chat", "1")
    members.add(ada.conn)
    members.hold(ada.conn)
    assert members.is_held(ada.conn) and members.has(ada.conn)
    for n in (2, 3):
        assert site.hub.broadcast_to_room("chat", str(n)) == (1, 0, 0)
    site.hub.broadcast_to_room("chat", "4", ada.conn)
    assert ada.received() == []
    members.release(ada.conn, enveloped, Position(members._epoch, 2))
    assert numbers(ada) == [("text", 3), ("skip", 4)]
    site.hub.broadcast_to_room("chat", "5")
    assert numbers(ada) == [("text", 5)]
    assert len(bob.received()) == 5


def test_a_held_member_hears_of_a_new_epoch_among_what_came(site: Site) -> None:
    ada = site.connect()
    members = members_of(site)
    members.add(ada.conn)
    members.hold(ada.conn)
    site.hub.broadcast_to_room("chat", "1")
    epoch = members._epoch
    site.hub._rooms._broker.forget("chat")
    for n in (2, 3):
        site.hub.broadcast_to_room("chat", str(n))
    members.release(ada.conn, enveloped, Position(epoch, 1))
    assert numbers(ada) == [("room_reset", 0), ("text", 1), ("text", 2)]


def test_one_who_goes_back_gets_all_as_before(site: Site) -> None:
    ada = site.connect()
    members = members_of(site)
    members.add(ada.conn)
    members.hold(ada.conn)
    site.hub.broadcast_to_room("chat", "1")
    site.hub.broadcast_to_room("chat", "2", ada.conn)
    from glyph_fast.dialects.publication import bare

    members.release(ada.conn, bare, None)
    assert ada.received() == ["1"]


def test_a_member_is_held_once_and_no_more_than_so_many_messages(site: Site) -> None:
    ada = site.connect()
    members = members_of(site)
    members.add(ada.conn)
    members.hold(ada.conn)
    with pytest.raises(GlyphFastError, match="being joined"):
        members.hold(ada.conn)
    for _ in range(MAX_HELD):
        site.hub.broadcast_to_room("chat", "x")
    assert members.is_held(ada.conn)
    site.hub.broadcast_to_room("chat", "x")
    assert not members.is_held(ada.conn)
    assert members.has(ada.conn)
    members.discard(ada.conn)
    assert not members.groups and ada.received() == []


def test_a_loss_is_told_to_those_who_follow_positions(site: Site) -> None:
    ada, plain = site.connect(), site.connect()
    plain.conn.join_room("chat")
    site.hub._obey("reset_room", ["chat", Position("e", 1)])  # nobody follows anything yet
    enter(site, ada)
    site.hub._obey("reset_room", ["chat", Position("e", 7)])
    site.hub._obey("reset_room", ["unknown", Position("e", 7)])
    assert ada.json() == [
        {"type": "room_reset", "room": "chat", "data": {"epoch": "e", "offset": 7}}
    ]
    assert plain.received() == []
    assert members_of(site).position == Position("e", 7)
