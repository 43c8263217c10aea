"""Which application a request goes to, and what goes first."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from glyph_fast import Config, Response, Server
from tests.asgi.apps import answering, body, echo, exchange, get, only, parts, start
from tests.running import running


async def told(scope, receive, send):
    """Says where it is, and by what it was asked."""
    told = {key: scope[key] for key in ("root_path", "path", "method")}
    told["raw_path"] = scope["raw_path"].decode()
    await send(start())
    await send(body(json.dumps(told).encode()))


def served(server, backend, run, *requests, **options):
    async def main():
        async with running(server, backend, **options) as url:
            return [parts(await exchange(url, each)) for each in requests]

    return run(main())


def test_the_longest_prefix_counts(backend, run):
    server = Server()
    for prefix in ("/", "/a", "/a/b/"):
        server.mount(prefix, answering(prefix.encode()))
    paths = ["/", "/x", "/a", "/a/", "/a/x", "/ab", "/a/b", "/a/b/c", "/a/bc"]
    answers = served(server, backend, run, *map(get, paths))
    found = [b"/", b"/", b"/a", b"/a", b"/a", b"/", b"/a/b/", b"/a/b/", b"/a"]
    assert [rest for _, _, rest in answers] == found


def test_the_path_stays_whole_and_root_path_is_the_prefix(backend, run):
    server = Server()
    server.mount("/app", only("http", told))
    (_, _, rest), (line, _, _) = served(server, backend, run, get("/app/x%20y?z"), get("/other"))
    assert json.loads(rest) == {
        "root_path": "/app", "path": "/app/x y", "raw_path": "/app/x%20y", "method": "GET",
    }  # fmt: skip
    assert b"404" in line


def test_what_a_proxy_takes_off_stands_before_it(backend, run):
    server = Server()
    server.mount("/app", only("http", told))
    ((_, _, rest),) = served(server, backend, run, get("/app/x"), root_path="/front/")
    assert json.loads(rest) == {
        "root_path": "/front/app", "path": "/front/app/x", "raw_path": "/front/app/x",
        "method": "GET",
    }  # fmt: skip


def test_own_routes_go_first_by_path_and_method(backend, run):
    server = Server()
    server.get("/own")(lambda request: Response("own"))
    server.mount("/", only("http", told))
    own, theirs = served(server, backend, run, get("/own"), get("/own", method="DELETE"))
    assert own[2] == b"own"
    assert json.loads(theirs[2])["method"] == "DELETE"


def test_own_files_go_first_where_there_is_one(backend, run, tmp_path):
    (tmp_path / "page.txt").write_text("a file")
    server = Server()
    server.static("/files", tmp_path)
    server.mount("/", only("http", told))
    paths = ["/files/page.txt", "/files/none.txt", "/other"]
    file, *theirs = served(server, backend, run, *map(get, paths))
    assert file[2] == b"a file"
    assert [json.loads(each[2])["path"] for each in theirs] == paths[1:]


@pytest.mark.parametrize("status", [200, 404])
def test_the_applications_health_goes_before_ours(backend, run, status):
    server = Server()
    server.mount("/", answering(b"theirs", status))
    ((line, _, rest),) = served(server, backend, run, get("/healthz"))
    assert (b"200" in line) and rest == (b"theirs" if status == 200 else b'{"status":"ok"}')


@pytest.mark.parametrize("status", [200, 404])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_client_library_is_there_where_the_application_has_none(backend, run, status, method):
    server = Server()
    server.mount("/", answering(b"theirs", status))
    ask = get("/glyph-fast.js", method=method)
    ((line, fields, rest),) = served(server, backend, run, ask, serve_client=True)
    assert b"200" in line and (b"content-type: text/javascript; charset=utf-8" in fields) is (
        status == 404
    )
    assert method == "HEAD" or (b"glyphFast" in rest) is (status == 404)


def test_an_application_elsewhere_leaves_ours_alone(backend, run):
    async def main():
        server = Server()
        server.mount("/app", answering())
        async with running(server, backend) as url:
            assert parts(await exchange(url, get("/healthz")))[2] == b'{"status":"ok"}'
            async with connect(url.ws("/ws")):
                assert len(server.hub) == 1

    run(main())


@pytest.mark.parametrize("takes", [True, False])
@pytest.mark.parametrize("has_handlers", [True, False])
def test_the_applications_ws_goes_before_ours(backend, run, takes, has_handlers):
    async def refuse(scope, receive, send):
        await send({"type": "websocket.close"})

    async def main():
        server = Server()
        if has_handlers:
            server.on_connect()(lambda conn: conn.send("ours"))
        server.mount("/", only("websocket", echo if takes else refuse))
        async with running(server, backend) as url:
            if not takes and not has_handlers:
                with pytest.raises(InvalidStatus) as caught:
                    await connect(url.ws("/ws"))
                assert caught.value.response.status_code == 403
                return
            async with connect(url.ws("/ws")) as client:
                if takes:
                    await client.send("theirs")
                assert await client.recv() == ("theirs" if takes else "ours")

    run(main())


def test_declared_websockets_go_first(backend, run):
    async def main():
        server = Server()
        server.on_connect(route="/ws")(lambda conn: conn.send("ours"))
        server.mount("/", only("websocket", echo))
        async with running(server, backend) as url:
            async with connect(url.ws("/ws")) as client:
                assert await client.recv() == "ours"

    run(main())


@pytest.mark.parametrize("is_given", [True, False])
def test_origins_are_judged_only_by_option(backend, run, is_given):
    async def main():
        server = Server(Config(allowed_origins=["https://a.example"]) if is_given else None)
        server.mount("/", only("websocket", echo))
        async with running(server, backend) as url:
            async with connect(url.ws("/"), origin="https://a.example"):
                pass
            if not is_given:
                async with connect(url.ws("/"), origin="https://evil.example"):
                    return
            with pytest.raises(InvalidStatus) as caught:
                await connect(url.ws("/"), origin="https://evil.example")
            assert caught.value.response.status_code == 403

    run(main())


def test_cors_fields_come_by_option_and_beside_what_the_application_says(backend, run):
    origin = "Origin: https://a.example"
    server = Server()
    server.mount("/mute", answering())
    says = [(b"access-control-allow-origin", b"https://own.example")]
    server.mount("/says", answering(headers=says))
    requests = [get("/mute", origin), get("/says", origin)]
    (_, without, _), _ = served(server, backend, run, *requests)
    assert not any(b"access-control" in each for each in without)
    options = {"allowed_origins": ["https://a.example"]}
    (_, mute, _), (_, says, _) = served(server, backend, run, *requests, **options)
    assert b"access-control-allow-origin: https://a.example" in mute and b"vary: origin" in mute
    assert b"access-control-allow-origin: https://own.example" in says
    assert b"access-control-allow-origin: https://a.example" not in says


def test_a_preflight_that_the_application_does_not_know_is_answered(backend, run):
    fields = ["Origin: https://a.example", "Access-Control-Request-Method: PUT"]
    asked = get("/x", *fields, method="OPTIONS")
    server = Server()
    server.mount("/", answering(status=405))
    ((line, _, _),) = served(server, backend, run, asked)
    assert b"405" in line
    options = {"allowed_origins": ["https://a.example"]}
    ((line, fields, _),) = served(server, backend, run, asked, **options)
    assert b"204" in line and b"access-control-allow-methods: put" in fields


def test_a_programs_authenticate_is_not_for_applications(backend, run):
    async def main():
        server = Server()
        server.websocket("/own")
        server.authenticate(lambda request: 1 / 0)
        server.mount("/", only("websocket", echo))
        async with running(server, backend) as url:
            async with connect(url.ws("/theirs")):
                pass
            with pytest.raises(InvalidStatus):
                await connect(url.ws("/own"))

    run(main())


def test_tokens_by_option_are_for_applications_too(backend, run):
    import jwt

    secret = "s" * 32

    async def who(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(scope["state"]["identity"]["sub"])})

    async def main():
        server = Server()
        server.mount("/", only("websocket", who))
        async with running(server, backend, jwt_secret=secret) as url:
            with pytest.raises(InvalidStatus) as caught:
                await connect(url.ws("/"))
            assert caught.value.response.status_code == 401
            bearer = {"Authorization": f"Bearer {jwt.encode({'sub': 'ada'}, secret)}"}
            async with connect(url.ws("/"), additional_headers=bearer) as client:
                assert await client.recv() == "ada"

    run(main())


def test_a_route_of_the_application_publishes_into_rooms(backend, run):
    async def publish(scope, receive, send):
        result = scope["state"]["glyph_fast"].hub.broadcast_to_room("news", scope["path"])
        await send(start())
        await send(body(b"%d" % result.sent))

    async def main():
        server = Server()
        server.on_connect(route="/ws")(lambda conn: conn.join_room("news"))
        server.mount("/", only("http", publish))
        async with running(server, backend) as url:
            async with connect(url.ws("/ws")) as client:
                await asyncio.sleep(0)
                assert parts(await exchange(url, get("/told")))[2] == b"1"
                assert await client.recv() == "/told"

    run(main())


def test_what_cannot_be_mounted():
    server = Server()
    server.mount("/a", answering())
    with pytest.raises(ValueError, match="mounted at /a/ already"):
        server.mount("/a/", answering())
    with pytest.raises(ValueError, match="a prefix is a path"):
        server.mount("a", answering())
    with pytest.raises(TypeError, match="expected an ASGI 3 application"):
        server.mount("/b", lambda environ, start_response: [])


def test_routes_tell_of_applications():
    app = answering()
    server = Server()
    server.mount("/a", app)
    found = [each for each in server.routes() if each.kind == "asgi"]
    assert [(each.method, each.pattern, each.handlers) for each in found] == [("*", "/a/*", [app])]
