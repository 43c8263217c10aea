"""Members: one group for each wire format among them."""

from __future__ import annotations

import pytest

from glyph_fast import core
from glyph_fast.dialects.publication import EVERYONE, Publication, publication
from glyph_fast.hub.members import Members
from glyph_fast.wire import NOBODY
from tests.wired import Site

pytestmark = pytest.mark.both_cores


class Loud:
    """A format in capitals that counts what it encodes."""

    def __init__(self) -> None:
        self.encoded = 0

    def __call__(self, publication: Publication) -> core.Frame:
        self.encoded += 1
        return core.Frame(publication.payload.decode().upper())


def test_without_members_nobody_gets_anything() -> None:
    members = Members()
    assert members.publish(publication(EVERYONE, None, "hi")) == NOBODY
    assert (len(members), list(members), members.get("id")) == (0, [], None)


def test_each_format_is_encoded_once_and_reaches_its_members() -> None:
    site, loud, members = Site(), Loud(), Members()
    plain, capitals = [site.connect() for _ in range(3)], [site.connect() for _ in range(2)]
    for peer in plain:
        members.add(peer.conn)
    for peer in capitals:
        members.add(peer.conn, loud)
    assert members.publish(publication(EVERYONE, None, "hi")) == (5, 0, 0)
    assert [peer.received() for peer in plain] == [["hi"]] * 3
    assert [peer.received() for peer in capitals] == [["HI"]] * 2
    assert loud.encoded == 1


def test_a_format_without_members_is_not_encoded() -> None:
    site, loud, members = Site(), Loud(), Members()
    ada, bob = site.connect(), site.connect()
    members.add(ada.conn)
    members.add(bob.conn, loud)
    members.discard(bob.conn)
    members.publish(publication(EVERYONE, None, "hi"))
    assert (ada.received(), bob.received(), loud.encoded) == (["hi"], [], 0)


def test_the_excluded_are_left_out_in_every_format() -> None:
    site, loud, members = Site(), Loud(), Members()
    ada, bob, eve, max_ = (site.connect() for _ in range(4))
    for peer, format in ((ada, None), (bob, None), (eve, loud), (max_, loud)):
        members.add(peer.conn, *([] if format is None else [format]))
    result = members.publish(publication(EVERYONE, None, "hi", [ada.conn, eve.id]))
    assert result == (2, 0, 0)
    assert [peer.received() for peer in (ada, bob, eve, max_)] == [[], ["hi"], [], ["HI"]]


def test_members_are_found_in_whatever_group() -> None:
    site, loud, members = Site(), Loud(), Members()
    ada, bob, eve = (site.connect() for _ in range(3))
    members.add(ada.conn)
    members.add(bob.conn, loud)
    assert len(members) == 2
    assert list(members) == [ada.conn, bob.conn]
    assert members.get(bob.id) is bob.conn
    assert members.has(bob.conn) and not members.has(eve.conn)
    members.discard(eve.conn)
    members.discard(ada.conn)
    assert list(members) == [bob.conn]


def test_what_was_displaced_is_summed_over_thegroups() -> None:
    site, loud, members = Site(), Loud(), Members()
    ada, bob = site.connect(), site.connect()
    members.add(ada.conn)
    members.add(bob.conn, loud)
    for peer in (ada, bob):
        peer.pipe.room = 0
    limit = site.config.queue_messages
    results = [members.publish(publication(EVERYONE, None, "hi")) for _ in range(limit + 2)]
    assert sum(result.displaced for result in results) == ada.conn.messages_dropped * 2 > 0
