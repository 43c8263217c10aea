"""Slashes too many or too few."""

from __future__ import annotations

import pytest

from glyph_fast.http.static import StaticFiles
from glyph_fast.options.config import Config
from tests.engine.desk import Desk, upgrade
from tests.engine.peers import eventually

SPELLINGS = ["/x/", "//x", "/x//", "//x/", "/%2Fx", "/x%2F", "/./x"]


def desk_of(tmp_path, **options) -> Desk:
    (tmp_path / "sub").mkdir()
    (tmp_path / "file.txt").write_text("text")
    (tmp_path / "sub" / "index.html").write_text("<p>sub")
    desk = Desk(Config(**options), statics=(StaticFiles("/static", tmp_path),))
    desk.get("/x", lambda request: "x")
    desk.get("/folder/", lambda request: "folder")
    desk.websockets.add(None, "/x", False)
    desk.websockets.add(None, "/chat/:room", False)
    return desk


@pytest.mark.parametrize("path", [*SPELLINGS, "//static/file.txt", "/static//file.txt", "/folder"])
def test_no_other_spelling_reaches_a_route(tmp_path, path):
    assert desk_of(tmp_path).answer(upgrade(path)).status == 404
    without_files = Desk()
    for method in ("GET", "POST"):
        without_files.route(method, "/x", lambda request: "x")
        without_files.route(method, "/folder/", lambda request: "x")
        assert without_files.ask(f"{method} {path}").status == 404


@pytest.mark.parametrize("path", ["/chat/", "/chat//", "//chat/a", "/chat/a/"])
def test_a_parameter_is_never_empty(tmp_path, path):
    assert desk_of(tmp_path).answer(upgrade(path)).status == 404


MOVED = [
    ("/x/", "../x"),
    ("//x", "../x"),
    ("/x//?a=b", "../../x?a=b"),
    ("/folder", "./folder/"),
    ("//folder/", "../../folder/"),
    ("/chat/a/", "../../chat/a"),
]


@pytest.mark.parametrize(("path", "location"), MOVED)
def test_by_an_option_get_is_sent_to_the_path_that_is_served(path, location):
    desk = Desk(Config(redirect_slashes=True))
    desk.get("/x", lambda request: "x")
    desk.get("/folder/", lambda request: "folder")
    desk.route("POST", "/x", lambda request: "posted")
    desk.websockets.add(None, "/chat/:room", False)
    for method in ("GET", "HEAD"):
        answer = desk.ask(f"{method} {path}")
        assert (answer.status, answer.headers["location"]) == (307, location)
    assert desk.ask(f"POST {path}", body=b"1").status == 404
    assert desk.ask("GET /x").body == b"x"
    assert desk.ask("GET /nowhere/").status == 404


def test_an_upgrade_is_sent_there_too(tmp_path):
    desk = desk_of(tmp_path, redirect_slashes=True)
    answer = desk.answer(upgrade("/chat/a/"))
    assert (answer.status, answer.headers["location"]) == (307, "../../chat/a")
    assert desk.answer(upgrade("/chat//")).status == 404


def test_files_are_found_as_well(tmp_path, run):
    async def main():
        desk = desk_of(tmp_path, redirect_slashes=True)
        for path, location in [
            ("/static/file.txt/", "../../static/file.txt"),
            ("//static/file.txt", "../../static/file.txt"),
            ("/static//sub/", "../../../static/sub/"),
        ]:
            client = desk.client()
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            await eventually(lambda client=client: client.pipe.data)
            (answer,) = client.answers()
            assert (answer.status, answer.headers["location"]) == (307, location), path

    run(main())
