"""The JavaScript library where the server hands it out."""

from __future__ import annotations

import pytest

from glyph_fast.opening.client_script import FOLDER, NAMES
from glyph_fast.options.config import Config
from tests.engine.desk import Desk

ON = Config(serve_client=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_served_as_a_script_that_a_browser_asks_for_each_time(name):
    desk = Desk(ON)
    answer = desk.ask(f"GET /{name}?v=1")
    assert (answer.status, answer.body) == (200, (FOLDER / name).read_bytes())
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = desk.ask(f"GET /{name}", {"If-None-Match": f'"x", W/{answer.headers["etag"]}'})
    assert (again.status, again.body) == (304, b"")
    assert desk.ask(f"HEAD /{name}").headers["content-length"] == str(len(answer.body))


def test_other_methods_are_405():
    answer = Desk(ON).ask("POST /glyph-fast.js")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_it_is_not_there_unless_asked_for():
    assert Desk().ask("GET /glyph-fast.js").status == 404
    assert Desk().ask("POST /glyph-fast.js").status == 404


def test_a_route_of_the_program_wins():
    desk = Desk(ON)
    desk.get("/glyph-fast.js", lambda request: "mine")
    assert desk.ask("GET /glyph-fast.js").body == b"mine"
