"""Publications: who is left out, and a frame for each format."""

from __future__ import annotations

import gc

import pytest

from glyph_fast import core
from glyph_fast.dialects.message import Message
from glyph_fast.dialects.publication import (
    ROOM,
    ROOMS,
    Publication,
    bare,
    excluded_ids,
    publication,
)
from tests.wired import Site

pytestmark = pytest.mark.both_cores


@pytest.fixture
def site() -> Site:
    return Site()


def test_exclude_takes_a_connection_an_id_or_many(site: Site) -> None:
    ada, bob = site.connect(), site.connect()
    assert excluded_ids(None) is None
    assert excluded_ids("id") == "id"
    assert excluded_ids(ada.conn) == ada.id
    assert excluded_ids([ada.conn, bob.id]) == {ada.id, bob.id}
    assert excluded_ids(conn for conn in (ada.conn, bob.conn)) == {ada.id, bob.id}
    assert excluded_ids(()) == frozenset()


def test_the_bare_frame_is_that_of_the_message() -> None:
    made = publication(ROOM, "blue", "hi", "ada")
    assert (made.kind, made.name, made.message, made.exclude) == (ROOM, "blue", "hi", "ada")
    assert made.payload == b"hi"
    assert bare(made) is made.frame(bare) is made


def test_many_rooms_take_no_more_time_each_than_one() -> None:
    """Those that remember are parts of one publication, which were copied for each."""
    made = publication(ROOMS, ("a", "b"), "hi")
    made.to_room("a")
    parts = made.parts
    made.to_room("b")
    assert made.parts is parts and [each.name for each in parts] == ["a", "b"]


def test_it_goes_with_who_held_it_and_waits_for_no_collection_of_garbage(site: Site) -> None:
    """It holds a message: hundreds of large ones would wait for the next collection."""
    plain, enveloped = site.connect(), site.connect()
    room = site.hub.get_room_manager().get_or_create_room("blue")
    room._members.add(plain.conn, bare)
    room._members.add(enveloped.conn, lambda made: core.Frame(b"[%b]" % made.payload))
    gc.collect()
    gc.disable()
    before = held()  # by other tests
    try:
        for _ in range(10):
            site.hub.broadcast_to_room("blue", "hi")
        site.flush()
        assert held() == before
    finally:
        gc.enable()
    assert plain.received() == ["hi"] * 10


def held() -> int:
    """How many publications there are."""
    return sum(isinstance(each, Publication) for each in gc.get_objects())


def test_a_message_is_taken_as_it_is_when_it_is_published() -> None:
    message = Message("json", 1, timestamp="T")
    made = publication(ROOM, "blue", message)
    message.data = 2
    assert made.payload == b'{"type":"json","data":1,"timestamp":"T"}'


def test_what_is_no_message_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="a message is str, bytes or Message, not int"):
        publication(ROOM, "blue", 5)  # type: ignore[arg-type]


def test_a_frame_of_another_format_is_made_once() -> None:
    made: list[Publication] = []

    def loud(publication: Publication) -> core.Frame:
        made.append(publication)
        return core.Frame(publication.payload.upper())

    one = publication(ROOM, "blue", "hi")
    frame = one.frame(loud)
    assert frame.payload == b"HI"
    assert one.frame(loud) is frame
    assert made == [one]
