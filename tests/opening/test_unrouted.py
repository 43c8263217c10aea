"""What is answered where a program has no route. Without sockets."""

from __future__ import annotations

import pytest

from glyph_fast.http.static import StaticFiles
from tests.engine.desk import Desk, head
from tests.engine.peers import eventually


class TestWhereNoRouteIs:
    def test_an_unknown_path_is_404_and_named(self):
        answer = Desk().ask("GET /no%20where?x=1")
        assert answer.status == 404
        assert answer.json == {"error": "Route not found", "path": "/no where"}

    def test_another_method_is_405_with_those_allowed(self):
        desk = Desk()
        desk.get("/thing/:id", str)
        desk.route("DELETE", "/thing/:id", str)
        answer = desk.ask("POST /thing/1")
        assert answer.status == 405
        assert answer.headers["allow"] == "DELETE, GET, HEAD"

    def test_another_method_is_404_where_only_hiding_routes_are(self):
        desk = Desk()
        desk.route("GET", "/glyph", str, hides_methods=True)
        desk.websockets.add(None, "/glyph-ws", True)
        for path in ("/glyph", "/glyph-ws"):
            answer = desk.ask(f"POST {path}")
            assert answer.json == {"error": "Route not found", "path": path}
        desk.route("PUT", "/glyph", str)
        assert desk.ask("POST /glyph").status == 405

    def test_a_plain_get_of_a_websocket_is_426(self):
        desk = Desk()
        desk.websockets.add(None, "/ws", False)
        answer = desk.ask("GET /ws")
        assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")
        assert answer.headers["connection"] == "upgrade, keep-alive"  # RFC 9110 §7.8
        assert list(answer.json) == ["error"]
        assert desk.ask("POST /ws").headers["allow"] == "GET"

    def test_an_http_route_beside_a_websocket_serves_plain_requests(self):
        desk = Desk()
        desk.websockets.add(None, "/both", False)
        desk.get("/both", lambda request: "plain")
        assert desk.ask("GET /both").body == b"plain"


class TestHealth:
    def test_healthz_is_200_until_the_server_drains(self):
        desk = Desk()
        assert desk.ask("GET /healthz").status == 200
        assert desk.ask("POST /healthz").status == 405
        desk.opening.drain()
        answer = desk.ask("GET /healthz")
        assert (answer.status, answer.keeps_alive) == (503, False)

    def test_a_programs_own_healthz_wins(self):
        desk = Desk()
        desk.get("/healthz", lambda request: "fine")
        assert desk.ask("GET /healthz").body == b"fine"


class TestStaticFiles:
    def test_files_are_served_where_no_route_is(self, run, tmp_path):
        (tmp_path / "a.txt").write_text("file")
        (tmp_path / "b.txt").write_text("hidden by a route")

        async def main():
            desk = Desk(statics=(StaticFiles("/files", tmp_path),))
            desk.get("/files/b.txt", lambda request: "route")
            client = desk.client()
            for name in ("a.txt", "b.txt", "c.txt"):
                client.send(head(f"GET /files/{name}"))
            await eventually(lambda: client.pipe.data.count(b"HTTP/1.1") == 3)
            answers = client.answers()
            assert [each.status for each in answers] == [200, 200, 404]
            assert [each.body for each in answers[:2]] == [b"file", b"route"]

        run(main())

    @pytest.mark.parametrize(
        ("line", "status", "allow"),
        [
            ("POST /files/a.txt", 405, "GET, HEAD"),
            ("DELETE /files/a.txt", 405, "GET, HEAD"),
            ("PUT /files/both.txt", 405, "GET, HEAD, POST"),
            ("POST /files/none.txt", 404, None),
        ],
    )
    def test_another_method_of_a_file_is_405(self, run, tmp_path, line, status, allow):
        (tmp_path / "a.txt").write_text("a")
        (tmp_path / "both.txt").write_text("both")

        async def main():
            desk = Desk(statics=(StaticFiles("/files", tmp_path),))
            desk.route("POST", "/files/both.txt", lambda request: "posted")
            client = desk.client().send(head(line, body=b"which nobody reads"))
            await eventually(lambda: client.is_ended)
            (answer,) = client.answers()
            assert (answer.status, answer.headers.get("allow")) == (status, allow)

        run(main())
