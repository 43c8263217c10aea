"""Sessions of clients whose wire goes one way."""

from __future__ import annotations

import re

import pytest

from glyph_fast.hub.sessions import GONE, LATER, TAKEN, Sessions, worker_of
from glyph_fast.wire import PAUSE_INBOX
from tests.wired import Site

pytestmark = pytest.mark.both_cores


def test_a_session_speaks_for_its_connection_until_that_is_gone() -> None:
    site = Site()
    heard = []
    site.dispatcher.on_message("text")(lambda ctx: heard.append((ctx.conn.id, ctx.message.data)))
    ada, bob = site.connect(), site.connect()
    sessions = Sessions()
    one, two = sessions.begin(ada.conn), sessions.begin(bob.conn)
    assert one != two and len(sessions) == 2
    assert sessions.take(one, "hi") == sessions.take(two, "ho") == TAKEN
    assert heard == [(ada.id, "hi"), (bob.id, "ho")]
    ada.conn._pause_reading(PAUSE_INBOX)
    assert sessions.take(one, "again") == LATER
    bob.vanish()
    assert sessions.take(two, "late") == GONE
    sessions.forget(bob.conn)
    sessions.forget(bob.conn)
    assert (sessions.has(one), sessions.has(two), len(sessions)) == (True, False, 1)
    assert sessions.take("0." + "x" * 32, "guess") == GONE


def test_it_names_its_worker_and_is_long() -> None:
    site = Site()
    site.hub.get_room_manager()._worker = 3
    text = Sessions().begin(site.connect().conn)
    assert re.fullmatch(r"3\.[\w-]{32}", text)
    assert worker_of(text) == 3


@pytest.mark.parametrize(
    "text", ["", "x", "1", "1.x", "-1." + "x" * 32, "1." + "x" * 33, "１." + "x" * 32]
)
def test_what_cannot_be_a_session_has_no_worker(text: str) -> None:
    assert worker_of(text) is None
