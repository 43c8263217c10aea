"""The dashboard's WebSocket: who is told, and who is not waited for."""

from __future__ import annotations

import json

from glyph_fast import Config
from glyph_fast.admin.access import Access
from glyph_fast.admin.live import PATH, Live
from glyph_fast.admin.operated import OneProcess
from glyph_fast.admin.stats import Stats
from glyph_fast.logs import ErrorLog
from glyph_fast.options.values import Address
from tests.wired import Site as Wired


def watched(token: str | None, now: list[float]) -> tuple[Wired, Live]:
    site = Wired(Config(client_commands=()), clock=lambda: now[0])
    access = Access(Address("127.0.0.1", 1), token)
    stats = Stats(site.config, OneProcess(site.hub, ErrorLog()))
    return site, Live(site.hub, site.dispatcher, access, stats)


def test_whoever_does_not_send_the_token_in_time_is_closed():
    now = [100.0]
    site, live = watched("secret", now)
    silent, known = site.connect(PATH), site.connect(PATH)
    known.send(json.dumps({"token": "secret"}))
    assert known.json()[0]["connections"] == 2
    now[0] = 110.5
    live.close_silent()
    assert silent.received() == []
    assert (silent.close_code, silent.close_reason) == (1008, "no token came")
    assert known.conn.is_open


def test_a_second_message_is_ignored():
    site, _ = watched("secret", [0.0])
    ada = site.connect(PATH)
    ada.send({"token": "secret"}, {"token": "wrong"}, "noise")
    assert len(ada.received()) == 1
    assert ada.conn.is_open


def test_without_a_token_nobody_is_asked():
    site, _ = watched(None, [0.0])
    assert site.connect(PATH).json()[0]["core"] in ("compiled", "python")
