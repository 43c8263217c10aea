"""What one worker answers main's operators' port, about itself alone."""

from __future__ import annotations

from glyph_fast.admin.worker import WorkerSide
from glyph_fast.dialects.publication import EVERYONE, ROOM
from glyph_fast.logs import ErrorLog
from tests.wired import Site


def test_it_delivers_to_its_own_members_and_counts_them() -> None:
    site = Site()
    ada, bob = site.connect(), site.connect()
    ada.conn.join_room("blue")
    side = WorkerSide(site.hub, ErrorLog())
    assert side.answer("deliver", ROOM, "blue", '{"n":1}', None) == (1, 0, 0)
    assert side.answer("deliver", EVERYONE, None, "2", [ada.id]) == (1, 0, 0)
    site.flush()
    assert (ada.received(), bob.received()) == (['{"n":1}'], ["2"])
    assert side.answer("sizes", ["blue", "red"]) == {"blue": 1, "red": 0}
    assert side.answer("rooms") == {"blue": 1}


def test_it_has_nobody_of_another_worker() -> None:
    side = WorkerSide(Site().hub, ErrorLog())
    assert side.answer("send", {"connection": "x", "data": 1}) is None
    assert side.answer("disconnect", {"user": "x"}) == 0
    assert side.answer("room", "x") is None
    assert side.answer("close_room", {"room": "x"}) == 0


def test_closing_a_room_closes_its_members_here() -> None:
    site = Site()
    ada = site.connect()
    ada.conn.join_room("blue")
    side = WorkerSide(site.hub, ErrorLog())
    assert side.answer("close_room", {"room": "blue", "code": 4000}) == 1
    site.flush()
    assert ada.received() == [] and ada.close_code == 4000
    assert site.hub.get_room_manager().get_room("blue") is None


def test_what_main_did_not_read_counts_as_dropped() -> None:
    side = WorkerSide(Site().hub, ErrorLog(), lambda: 3)
    assert side.answer("observe").counts["messages_dropped"]["worker"] == 3
