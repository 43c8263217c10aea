"""Glyph programs on a real server, beside routes and handlers in Python."""

from __future__ import annotations

import asyncio
import http.client
import inspect
import json
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from glyph_fast import Config, GlyphServer, GlyphSyntaxError, MessageType, Server
from glyph_fast.http.request import Request
from glyph_fast.http.response import Response
from tests.running import Url, running

Serve = Callable[..., AbstractAsyncContextManager[Url]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., GlyphServer]:
    """A server with a program."""

    def load(text: str, config: Config | None = None, **options: Any) -> GlyphServer:
        path = tmp_path / "app.glyph"
        path.write_text(text)
        server = GlyphServer(config)
        server.load(path, **options)
        return server

    return load


def client(url: Url, path: str, **options: Any) -> connect:
    return connect(url.ws(path), proxy=None, compression=None, **options)


async def frame(peer: ClientConnection) -> str:
    async with asyncio.timeout(5):
        received = await peer.recv()
    assert isinstance(received, str)
    return received


async def ask(peer: ClientConnection, message: str | bytes) -> str:
    await peer.send(message)
    return await frame(peer)


ECHO = "@ ws /echo {\n  on message { ws.send(input) }\n}\n"


# --- beside Python -------------------------------------------------------------------------------


def test_a_program_without_websockets_has_none(load: Any, backend: Any, run: Any) -> None:
    server = load("@ GET /x { > 1 }\n")

    async def main() -> None:
        async with running(server, backend) as url:
            with pytest.raises(InvalidStatus) as caught:
                await client(url, "/ws")
            assert caught.value.response.status_code == 404

    assert [route.kind for route in server.routes()] == ["http"]
    run(main())


def test_beside_it_handlers_in_python_have_their_usual_route(load: Any) -> None:
    server = load("@ GET /x { > 1 }\n")
    server.on_message(MessageType.TEXT)(lambda ctx: None)
    assert [(route.kind, route.pattern) for route in server.routes()] == [
        ("ws", "/ws"), ("http", "/x"),
    ]  # fmt: skip


def test_programs_and_python_share_a_server(load: Any, backend: Any, run: Any) -> None:
    server = load("@ GET /glyph { > 1 }\n" + ECHO)

    @server.get("/python")
    def python(request: Request) -> dict[str, int]:
        return {"n": 2}

    @server.on_message(MessageType.TEXT, "/own")
    def own(ctx: Any) -> None:
        server.hub.broadcast("python says " + ctx.message.data)

    async def main() -> None:
        async with running(server, backend) as url:
            assert json.loads((await url.get("/glyph"))[2]) == 1
            assert json.loads((await url.get("/python"))[2]) == {"n": 2}
            async with client(url, "/echo") as a, client(url, "/own") as b:
                assert await ask(a, "hi") == '"hi"'
                assert await ask(b, "yo") == "python says yo"
                assert await frame(a) == "python says yo"

    run(main())


def test_global_python_handlers_see_the_messages_of_programs_too(
    load: Any, backend: Any, run: Any
) -> None:
    server, seen = load(ECHO), []
    server.on_message(MessageType.JSON)(lambda ctx: seen.append(ctx.message.data))

    async def main() -> None:
        async with running(server, backend) as url, client(url, "/echo") as peer:
            assert await ask(peer, '{"n": 1}') == '{"n": 1}'

    run(main())
    assert seen == [{"n": 1}]


def test_only_what_python_looks_at_is_decoded(load: Any) -> None:
    server = load(ECHO)
    plan = server._dispatcher.plan("/echo")
    assert plan.dialect is server._dispatcher.undecoded
    server.on_message("json")(lambda ctx: None)
    assert plan.dialect is server._dispatcher.dialect


def test_several_programs_may_be_loaded(load: Any, tmp_path: Path) -> None:
    server = load("@ GET /a { > 1 }\n")
    (tmp_path / "b.glyph").write_text("@ GET /b { > 2 }\n")
    server.load(tmp_path / "b.glyph")
    assert [route.pattern for route in server.routes() if route.kind == "http"] == [
        "/a",
        "/b",
    ]
    assert server._source_paths == [tmp_path / "app.glyph", tmp_path / "b.glyph"]
    (tmp_path / "c.glyph").write_text("@ GET /c { > 1 }\n@ GET /b { > 2 }\n")
    with pytest.raises(ValueError, match="has a route GET /b already"):
        server.load(tmp_path / "c.glyph")
    assert [route.pattern for route in server.routes() if route.kind == "http"] == [
        "/a",
        "/b",
    ]


def test_two_programs_cannot_share_a_websocket_route(load: Any, tmp_path: Path) -> None:
    server = load(ECHO)
    with pytest.raises(ValueError, match="has a route ws /echo already"):
        server.load(tmp_path / "app.glyph")


def test_names_of_the_original_server(backend: Any, run: Any) -> None:
    server = GlyphServer()
    assert server.get_websocket_server() is server

    server.register_websocket_route("/all", lambda ctx: ctx.conn.send(str(ctx.message.type)))
    server.register_websocket_route("/by-decorator", server.handle_websocket)
    server.on_message(route="/by-decorator")(lambda ctx: ctx.conn.send("decorated"))
    server.route("GET", "/direct", lambda request: {"a": 1})

    @server.route("GET", "/decorated")
    def decorated(request: Request) -> dict[str, int]:
        return {"a": 2}

    async def main() -> None:
        async with running(server, backend) as url:
            assert json.loads((await url.get("/direct"))[2]) == {"a": 1}
            assert json.loads((await url.get("/decorated"))[2]) == {"a": 2}
            async with client(url, "/all") as peer:
                assert await ask(peer, "x") == "text"
                assert await ask(peer, "[1]") == "json"
                assert await ask(peer, b"\x00") == "binary"
            async with client(url, "/by-decorator") as peer:
                assert await ask(peer, "x") == "decorated"

    run(main())


def test_glyph_server_is_a_server() -> None:
    assert issubclass(GlyphServer, Server)


def test_python_functions_are_offered_to_programs(tmp_path: Path, backend: Any, run: Any) -> None:
    server = GlyphServer()

    @server.glyph_function
    def slug(text: str) -> str:
        return text.lower().replace(" ", "-")

    @server.glyph_function(name="twice")
    def double(n: int) -> int:
        return n * 2

    with pytest.raises(ValueError):
        server.glyph_function(double, name="slug")
    (tmp_path / "app.glyph").write_text("@ GET /:t { > [slug(t), twice(21)] }\n")
    server.load(tmp_path / "app.glyph")

    async def main() -> None:
        async with running(server, backend) as url:
            assert json.loads((await url.get("/A%20B"))[2]) == ["a-b", 42]

    run(main())


def test_a_program_that_does_not_load_adds_nothing(tmp_path: Path) -> None:
    server = GlyphServer()
    (tmp_path / "app.glyph").write_text("@ GET /a { > 1 }\n@ GET /b { > nope }\n")
    with pytest.raises(GlyphSyntaxError) as caught:
        server.load(tmp_path / "app.glyph")
    assert (caught.value.line, caught.value.column) == (2, 14)
    assert [route.kind for route in server.routes()] == ["ws"]


def test_warnings_of_a_program_are_logged(load: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "glyph_fast"):
        load('* "0 0 * * *" nightly { }\n' + ECHO)
    assert "app.glyph:1:1: warning: a cron task" in caplog.messages[0]


def test_routes_are_told_with_the_lines_of_their_handlers(load: Any) -> None:
    server = load("\n@ GET /a { > 1 }\n@ ws /b {\n  on connect { }\n  on message { }\n}\n")
    told = {
        route.pattern: [f"{h.__module__}:{h.__qualname__}" for h in route.handlers]
        for route in server.routes()
    }
    assert told == {"/a": ["app.glyph:GET"], "/b": ["app.glyph:on connect", "app.glyph:on message"]}
    lines = [
        inspect.unwrap(h).__code__.co_firstlineno
        for route in server.routes()
        for h in route.handlers
    ]
    assert lines == [4, 5, 2]


# --- WebSockets ----------------------------------------------------------------------------------


def test_frames_of_every_kind(load: Any, backend: Any, run: Any) -> None:
    async def main() -> None:
        async with running(load(ECHO), backend) as url, client(url, "/echo") as peer:
            assert await ask(peer, '{"type":"json","data":{"n":1.10}}') == '{"n":1.10}'
            assert await ask(peer, '{"type":"text","data":"hi"}') == '"hi"'
            assert await ask(peer, "plain text") == '"plain text"'
            assert await ask(peer, "") == '""'
            assert await ask(peer, b'{"type":"json","data":[1]}') == "[1]"
            assert await ask(peer, "größe".encode()) == '"größe"'
            assert await ask(peer, '{"event":"e","data":1}') == '{"event":"e","data":1}'
            assert await ask(peer, '{"type":"other"}') == '{"type":"other"}'

    run(main())


def test_binary_that_is_no_text_is_counted_and_the_connection_goes_on(
    load: Any, backend: Any, run: Any
) -> None:
    server = load(ECHO)

    async def main() -> None:
        async with running(server, backend) as url, client(url, "/echo") as peer:
            await peer.send(b"\xff\xfe")
            assert await ask(peer, "still here") == '"still here"'

    run(main())
    assert server.hub.metrics.handler_errors == 1


JOINED = '{"type":"join_room","room":"r"}'


def test_built_in_messages_are_answered_by_the_server(load: Any, backend: Any, run: Any) -> None:
    async def main() -> None:
        async with running(load(ECHO), backend) as url, client(url, "/echo") as peer:
            answer = json.loads(await ask(peer, JOINED))
            assert answer["data"] == {"type": "join_room_success", "room": "r", "status": "joined"}
            assert json.loads(await ask(peer, '{"type":"ping"}'))["type"] == "pong"

    run(main())


def test_without_client_commands_they_are_the_programs(load: Any, backend: Any, run: Any) -> None:
    config = Config(client_commands=[])

    async def main() -> None:
        async with running(load(ECHO, config), backend) as url, client(url, "/echo") as peer:
            assert await ask(peer, JOINED) == JOINED

    run(main())


LIFE = (
    "@ ws /c/:room {\n"
    "  on connect {\n    ws.join(room)\n    ws.send([ws.get_connection_count(), client])\n"
    '    if room == "bad" { ws.send(1 / 0) }\n  }\n'
    '  on message {\n    if input == "bye" { ws.close("see you") }\n    ws.send(input.x)\n  }\n'
    "  on disconnect { ws.broadcast([room, ws.get_connection_count(), ws.get_rooms(),"
    " ws.get_room_user_count(room)]) }\n"
    "  on error { ws.send({failed: input}) }\n}\n"
    "@ GET /rooms { > ws.get_rooms() }\n"
)


def test_life_of_connections(load: Any, backend: Any, run: Any) -> None:
    server = load(LIFE)

    async def main() -> None:
        async with running(server, backend) as url, client(url, "/c/a") as watcher:
            assert json.loads(await frame(watcher))[0] == 1
            async with client(url, "/c/b%20c") as peer:
                count, identity = json.loads(await frame(peer))
                assert count == 2 and len(identity) == 32
                assert json.loads((await url.get("/rooms"))[2]) == ["a", "b c"]
            assert json.loads(await frame(watcher)) == ["b c", 1, ["b c"], 0]
            assert json.loads((await url.get("/rooms"))[2]) == ["a"]

    run(main())
    assert server.hub.metrics.handler_errors == 0


def test_failing_handlers_are_logged_with_their_place_and_leave_the_connection_open(
    load: Any, backend: Any, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = load(LIFE)

    async def main() -> None:
        async with running(server, backend) as url, client(url, "/c/bad") as peer:
            await frame(peer)
            assert await frame(peer) == '{"failed":"division by zero"}'
            assert await ask(peer, "text") == '{"failed":"a string has no field `x`"}'
            assert await ask(peer, '{"x": 5}') == "5"

    with caplog.at_level(logging.ERROR, "glyph_fast.error"):
        run(main())
    assert server.hub.metrics.handler_errors == 2
    errors = [str(record.exc_info[1]) for record in caplog.records if record.exc_info]
    assert [error.rpartition("app.glyph:")[2] for error in errors] == [
        "5:34: division by zero",
        "9:19: a string has no field `x`",
    ]


def test_close_sends_the_reason_then_closes_and_disconnect_runs_once(
    load: Any, backend: Any, run: Any
) -> None:
    async def main() -> None:
        async with running(load(LIFE), backend) as url, client(url, "/c/w") as watcher:
            await frame(watcher)
            async with client(url, "/c/x") as peer:
                await frame(peer)
                assert await ask(peer, "bye") == '{"type":"close","reason":"see you"}'
                with pytest.raises(ConnectionClosed) as closed:
                    await frame(peer)
                assert closed.value.rcvd is not None
                assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "see you")
            assert json.loads(await frame(watcher)) == ["x", 1, ["x"], 0]
            assert await ask(watcher, '{"x": 1}') == "1"  # nothing else has come in between

    run(main())


def test_rooms_have_the_servers_limits(load: Any, backend: Any, run: Any) -> None:
    config = Config(max_room_members=1, max_room_name=5)
    text = (
        "@ ws /c {\n  on message {\n    ws.join(input)\n    ws.send(ws.get_rooms())\n  }\n"
        "  on error { ws.send(input) }\n}\n"
    )

    async def main() -> None:
        async with running(load(text, config), backend) as url:
            async with client(url, "/c") as a, client(url, "/c") as b:
                assert await ask(a, "room") == '["room"]'
                assert await ask(b, "room") == '"room is full"'
                assert "at most 5 bytes" in await ask(b, "long name")

    run(main())


def test_query_and_headers_of_the_handshake(load: Any, backend: Any, run: Any) -> None:
    text = '@ ws /c {\n  on message { ws.send([query, headers["x-test"]]) }\n}\n'

    async def main() -> None:
        async with running(load(text), backend) as url:
            headers = {"X-Test": "yes"}
            async with client(url, "/c?a=1&b=x%20y", additional_headers=headers) as peer:
                assert await ask(peer, "go") == '[{"a":1,"b":"x y"},"yes"]'

    run(main())


def test_large_relays_keep_every_byte(load: Any, backend: Any, run: Any) -> None:
    text = json.dumps({"type": "json", "data": ["x" * 1000] * 400})

    async def main() -> None:
        async with running(load(ECHO), backend) as url, client(url, "/echo") as peer:
            assert json.loads(await ask(peer, text)) == ["x" * 1000] * 400

    run(main())


# --- HTTP ----------------------------------------------------------------------------------------


PATHS = "@ GET /a { > 1 }\n@ GET /both { > 2 }\n@ ws /both { on connect { ws.send(3) } }\n" + ECHO


def head(url: Url, path: str) -> int:
    conn = http.client.HTTPConnection(*url.address, timeout=5)
    try:
        conn.request("HEAD", path)
        return conn.getresponse().status
    finally:
        conn.close()


def test_paths_without_a_route_of_the_method_do_not_exist(
    load: Any, backend: Any, run: Any
) -> None:
    async def main() -> None:
        async with running(load(PATHS), backend) as url:
            status, headers, body = await url.get("/nope/%41")
            assert (status, json.loads(body)) == (
                404, {"error": "Route not found", "path": "/nope/A"},
            )  # fmt: skip
            assert (await url.get("/a", "POST"))[0] == 404
            assert await asyncio.to_thread(head, url, "/a") == 404
            assert (await url.get("/a", "OPTIONS"))[0] == 404
            assert (await url.get("/echo"))[0] == 426
            with pytest.raises(InvalidStatus) as refused:
                await client(url, "/nope")
            assert refused.value.response.status_code == 404

    run(main())


def test_a_path_may_be_a_websocket_and_a_page(load: Any, backend: Any, run: Any) -> None:
    async def main() -> None:
        async with running(load(PATHS), backend) as url:
            assert json.loads((await url.get("/both"))[2]) == 2
            async with client(url, "/both") as peer:
                assert await frame(peer) == "3"

    run(main())


def test_failures_of_http_routes_are_logged_and_counted(
    load: Any, backend: Any, run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = load("@ GET /a {\n  > 1 / 0\n}\n@ GET /b { > null :: 100 }\n")

    async def main() -> None:
        async with running(server, backend) as url:
            status, headers, body = await url.get("/a")
            assert (status, json.loads(body)) == (500, {"error": "Internal server error"})
            assert (await url.get("/b"))[0] == 500

    with caplog.at_level(logging.ERROR, "glyph_fast.error"):
        run(main())
    assert server.hub.metrics.handler_errors == 2
    assert "app.glyph:2:7: division by zero" in str(caplog.records[0].exc_info[1])


def test_answers_have_their_headers(load: Any, backend: Any, run: Any) -> None:
    text = (
        '@ GET /go { > redirect("/a?b=ü", 307) }\n@ GET /page { > html("<p>") }\n'
        "@ GET /v { > 1 :: 202 }\n"
    )

    async def main() -> None:
        async with running(load(text), backend) as url:
            status, headers, body = await url.get("/go")
            assert (status, headers["location"], body) == (307, "/a?b=%C3%BC", b"")
            assert "content-type" not in headers
            status, headers, body = await url.get("/page")
            assert (status, headers["content-type"], body) == (
                200, "text/html; charset=utf-8", b"<p>",
            )  # fmt: skip
            status, headers, body = await url.get("/v")
            assert (status, headers["content-type"], body) == (202, "application/json", b"1\n")
            assert headers["content-length"] == "2"

    run(main())


def test_unsupported_routes_answer_501(load: Any, backend: Any, run: Any) -> None:
    text = (
        "@ GET /db {\n  % db: Database\n  > 1\n}\n@ ws /bad { on message { log!(1) } }\n"
        "@ GET /ok { > 1 }\n"
    )

    async def main() -> None:
        async with running(load(text, skip_unsupported=True), backend) as url:
            status, headers, body = await url.get("/db")
            assert (status, json.loads(body)) == (
                501, {"error": "providers are not supported: `% db`"},
            )  # fmt: skip
            assert (await url.get("/ok"))[0] == 200
            with pytest.raises(InvalidStatus) as refused:
                await client(url, "/bad")
            assert refused.value.response.status_code == 501

    run(main())


def test_cors(
    load: Any, backend: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLYPH_CORS_ORIGIN", "https://a.example")
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "a.txt").write_text("hello")
    server = load('@ static /s "public"\n@ GET /a { > 1 }\n@ GET /fails { > 1 / 0 }\n' + ECHO)
    server.get("/python")(lambda: "hello")
    server._add_http_route("OPTIONS", "/own", lambda: Response("mine", 202))
    assert list(server.config.allowed_origins) == ["https://a.example"]

    async def main() -> None:
        async with running(server, backend) as url:
            for path, method, expected in (
                ("/a", "GET", 200), ("/a", "OPTIONS", 204), ("/fails", "GET", 500),
                ("/none", "GET", 404), ("/none", "OPTIONS", 204), ("/echo", "OPTIONS", 204),
                ("/echo", "GET", 426), ("/healthz", "GET", 200), ("/python", "GET", 200),
                ("/own", "OPTIONS", 202), ("/s/a.txt", "GET", 200), ("/s/a.txt", "OPTIONS", 204),
            ):  # fmt: skip
                status, headers, _ = await url.get(path, method)
                assert status == expected
                assert headers["access-control-allow-origin"] == "https://a.example"
                assert "PUT" in headers["access-control-allow-methods"]
                assert "Authorization" in headers["access-control-allow-headers"]
            async with client(url, "/echo", origin="https://a.example"):
                pass
            with pytest.raises(InvalidStatus) as refused:
                await client(url, "/echo", origin="https://b.example")
            assert refused.value.response.status_code == 403

    run(main())


def test_origins_of_the_configuration_go_before_those_of_cors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLYPH_CORS_ORIGIN", "*")
    server = GlyphServer(Config(allowed_origins=["https://b.example"]))
    assert list(server.config.allowed_origins) == ["https://b.example"]


def test_static_files(load: Any, backend: Any, run: Any, tmp_path: Path) -> None:
    public = tmp_path / "public"
    (public / "sub").mkdir(parents=True)
    (public / "empty").mkdir()
    (public / "a.txt").write_text("hello")
    (public / "data").write_text("raw")
    (public / ".hidden").write_text("no")
    (public / "sub" / "index.html").write_text("<p>")
    (tmp_path / "secret").write_text("secret")
    (public / "link").symlink_to(tmp_path / "secret")
    server = load('@ static /s "public"\n@ GET /s/own { > 1 }\n')

    async def main() -> None:
        async with running(server, backend) as url:
            status, headers, body = await url.get("/s/a.txt")
            assert (status, body) == (200, b"hello")
            assert headers["content-type"].startswith("text/plain")
            assert (await url.get("/s/data"))[1]["content-type"] == "application/octet-stream"
            assert (await url.get("/s/sub/"))[2] == b"<p>"
            assert (await url.get("/s/own"))[2] == b"1\n"
            status, headers, _ = await url.get("/s/a.txt", "POST")
            assert (status, headers["allow"]) == (405, "GET, HEAD")
            for path, expected in (
                ("/s/none", 404), ("/s/empty/", 403), ("/s/link", 403), ("/s/.hidden", 403),
                ("/s/../secret", 403), ("/s/%2e%2e/secret", 403), ("/other", 404),
            ):  # fmt: skip
                assert (await url.get(path))[0] in (expected, 400), path

    run(main())


def test_needless_slashes_do_not_count_in_the_paths_of_pages(
    load: Any, backend: Any, run: Any
) -> None:
    server = load(ECHO + "@ GET /admin { > 1 }\n@ GET /of/:name { > name }\n")
    server.get("/python")(lambda request: "exact")

    async def main() -> None:
        async with running(server, backend) as url:
            for path in ("/echo/", "//echo", "/echo//"):
                with pytest.raises(InvalidStatus) as caught:
                    await client(url, path)
                assert caught.value.response.status_code == 404, path
            for path, status in [
                ("/admin", 200), ("/admin/", 200), ("//admin", 200), ("/of//ada/", 200),
                ("/of/", 404), ("/python", 200), ("/python/", 404), ("//python", 404),
            ]:  # fmt: skip
                assert (await url.get(path))[0] == status, path

    run(main())


def test_static_files_tell_nothing_of_what_lies_outside(
    load: Any, backend: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, outside = tmp_path / "public", tmp_path / "outside"
    public.mkdir()
    outside.mkdir()
    (outside / "there").write_text("secret")
    (public / "file").symlink_to(outside / "there")
    (public / "dangling").symlink_to(outside / "not-there")
    (public / "folder").symlink_to(outside)
    (public / "inside").symlink_to(public / "gone")
    (public / "circle").symlink_to(public / "circle")
    (public / "locked").mkdir()
    server = load('@ static /s "public"\n')
    lstat = Path.lstat

    def locked(path: Path) -> Any:  # as root, nothing is
        if path.parent.name == "locked":
            raise PermissionError(13, "permission denied")
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", locked)

    async def main() -> None:
        async with running(server, backend) as url:
            for path in ("file", "dangling", "folder/there", "folder/not-there", "folder/a/b"):
                assert (await url.get(f"/s/{path}"))[0] == 403, path
            for path in ("inside", "circle", "circle/x", "none", "x" * 300, "x/" * 20 + "x"):
                assert (await url.get(f"/s/{path}"))[0] == 404, path
            assert (await url.get("/s/locked/x"))[0] == 403

    run(main())
