"""What an application registers: routes, handlers, files, and who may connect."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from glyph_fast import Config, ConfigError, MessageType, Reject, Response, Server
from tests.running import running


def test_ws_is_the_route_when_none_is_named(backend, run):
    async def main():
        async with running(Server(), backend) as url:
            async with connect(url.ws("/ws")):
                pass
            with pytest.raises(InvalidStatus) as caught:
                await connect(url.ws("/other"))
            assert caught.value.response.status_code == 404

    run(main())


def test_naming_a_route_in_a_handler_registers_it(backend, run):
    async def main():
        server = Server()

        @server.on_connect(route="/chat/:room")
        def enter(conn):
            conn.send(conn.path_params["room"])

        async with running(server, backend) as url:
            async with connect(url.ws("/chat/blue")) as client:
                assert await client.recv() == "blue"
            with pytest.raises(InvalidStatus):
                await connect(url.ws("/ws"))

    run(main())


def test_the_other_familiar_style(backend, run):
    async def main():
        server = Server()

        @server.websocket("/lines")
        async def talk(conn):
            async for message in conn:
                conn.send(message.upper())

        async with running(server, backend) as url:
            async with connect(url.ws("/lines")) as client:
                await client.send("hello")
                assert await client.recv() == "HELLO"

    run(main())


def test_http_routes_of_every_method(backend, run):
    async def main():
        server = Server()
        for name in ("get", "post", "put", "patch", "delete"):
            getattr(server, name)("/thing/:id")(
                lambda request: [request.method, request.path_params["id"]]
            )
        server.get("/teapot")(lambda: Response("short and stout", 418))
        async with running(server, backend) as url:
            for name in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                answer = await url.get("/thing/7", name)
                assert answer[::2] == (200, f'["{name}","7"]'.encode())
            assert (await url.get("/teapot"))[0] == 418

    run(main())


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b=c", "\u20ac"])
def test_a_field_added_to_an_answer_does_not_break_out_of_it(backend, run, value):
    async def main():
        server = Server()

        @server.get("/now")
        def now(request):
            answer = Response("hello")
            answer.headers.append(("X-Name", value))
            return answer

        @server.get("/later")
        async def later(request):
            await asyncio.sleep(0)
            return now(request)

        async with running(server, backend) as url:
            for path in ("/now", "/later"):
                status, headers, body = await url.get(path)
                assert (status, body) == (500, b'{"error":"internal server error"}')
                assert not {"x-name", "set-cookie"} & headers.keys()
            assert server.hub.metrics.handler_errors == 2

    run(main())


def test_authenticate_comes_before_the_upgrade(backend, run):
    async def main():
        server = Server()

        @server.authenticate
        async def who(request):
            await asyncio.sleep(0)
            if "user" not in request.query:
                raise Reject(401, {"error": "who are you"})
            return request.query["user"]

        @server.on_connect
        def greet(conn):
            conn.send(f"hello {conn.identity}")

        async with running(server, backend) as url:
            async with connect(url.ws("/ws?user=ada")) as client:
                assert await client.recv() == "hello ada"
            with pytest.raises(InvalidStatus) as caught:
                await connect(url.ws("/ws"))
            assert caught.value.response.status_code == 401

    run(main())


def test_static_files_and_a_websocket_by_an_http_handler(backend, run, tmp_path):
    (tmp_path / "page.html").write_text("<p>hello")

    async def main():
        server = Server()
        server.static("/files", tmp_path)
        server.get("/join/:room")(server.handle_websocket)

        @server.on_connect
        def enter(conn):
            conn.send(conn.path_params["room"])

        async with running(server, backend) as url:
            status, headers, body = await url.get("/files/page.html")
            assert (status, body) == (200, b"<p>hello")
            assert headers["content-type"].startswith("text/html")
            async with connect(url.ws("/join/red")) as client:
                assert await client.recv() == "red"

    run(main())


@pytest.mark.parametrize(
    "register",
    [
        lambda server: server.get("no slash")(str),
        lambda server: server.get("/:a/:a")(str),
        lambda server: [server.get("/twice")(str), server.get("/twice")(str)],
        lambda server: server.route("BREW", "/"),
        lambda server: server.websocket("/:"),
        lambda server: [server.authenticate(str), server.authenticate(str)],
        lambda server: server.static("/", "/no/such/folder"),
    ],
)
def test_what_cannot_be_is_an_error_at_once(register):
    with pytest.raises(ValueError):
        register(Server())


def test_a_handler_that_demands_too_much_is_an_error_at_once():
    with pytest.raises(TypeError):
        Server().get("/")(lambda request, response: None)


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_a_method_without_a_path_is_an_error_at_once(method):
    with pytest.raises(
        TypeError, match=rf'{method} needs a path, as in @server.{method}\("/path"\)'
    ):
        getattr(Server(), method)(connected)


@pytest.mark.parametrize(
    "path", ["/users/{id}", "/users/<id>", "/users/<int:id>", "/users/{id:int}"]
)
@pytest.mark.parametrize("name", ["get", "websocket"])
def test_a_parameter_as_others_write_it_is_an_error_that_says_how(path, name):
    with pytest.raises(ValueError, match="a parameter is written :id, not [{<]"):
        getattr(Server(), name)(path)(connected)


@pytest.mark.parametrize("name", ["on_startup", "on_shutdown", "background"])
def test_a_hook_that_demands_something_is_an_error_at_once(name):
    async def hook(server): ...

    with pytest.raises(TypeError, match="demands more than no argument it would be given"):
        getattr(Server(), name)(hook)


def test_a_background_task_that_is_no_coroutine_function_is_an_error_at_once():
    with pytest.raises(TypeError, match="a background task is an `async def`, and work is a `def`"):

        @Server().background()
        def work(): ...


def test_handlers_are_given_back_as_they_were():
    server = Server()

    async def handler():
        pass

    for decorator in (
        server.get("/"),
        server.on_startup,
        server.on_shutdown(),
        server.background,
        server.authenticate(),
        server.on_connect,
    ):
        assert decorator(handler) is handler


async def connected():
    pass


@pytest.mark.parametrize("name", ["on_startup", "on_shutdown", "background"])
def test_a_hook_that_was_called_already_is_an_error_at_once(name):
    coroutine = connected()
    with pytest.raises(TypeError, match="a function to be called later, not <coroutine"):
        getattr(Server(), name)(coroutine)
    coroutine.close()


def test_routes_lists_them_all_with_their_handlers(tmp_path):
    server = Server()

    def connected():
        pass

    def handle():
        pass

    def page():
        pass

    server.on_connect(connected)
    server.on_message(MessageType.TEXT, route="/chat")(handle)
    server.on_message(MessageType.PING)(handle)
    server.websocket("/other")
    server.get("/page")(page)
    server.static("/files", tmp_path)
    rows = [(each.kind, each.method, each.pattern) for each in server.routes()]
    assert rows == [
        ("ws", "GET", "/chat"),
        ("ws", "GET", "/other"),
        ("http", "GET", "/page"),
        ("http", "GET", "/files/*"),
    ]
    handlers = [
        [getattr(handler, "__wrapped__", handler) for handler in each.handlers]
        for each in server.routes()
    ]
    assert handlers[0] == [connected, handle, handle]
    assert handlers[2] == [page]


def test_a_declaration_of_rooms_that_cannot_be_is_an_error_at_once():
    server = Server()
    with pytest.raises(ConfigError, match='^rooms."a".max_members: expected a whole number'):
        server.room("a", max_members=0)
    with pytest.raises(ConfigError, match="^rooms: expected a pattern of room names"):
        server.room("")
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        server.room("a", max_member=5)
    server.room("a", max_members=5)
    assert server.hub.get_room_manager().get_or_create_room("a").max_connections == 5


def test_routes_lists_what_is_declared_about_rooms_last():
    server = Server()
    server.room("*", client_join=True)
    server.room("chat:*", max_members=5)
    rooms = [each[1:] for each in server.routes() if each.kind == "room"]
    assert rooms == [("", "chat:*", ["max_members=5"]), ("", "*", ["client_join=True"])]
    assert server.routes()[-1].kind == "room"


def test_routes_of_a_server_without_any():
    assert [each.pattern for each in Server().routes()] == ["/ws"]


def test_routes_that_hide_methods(backend, run):
    async def main():
        server = Server()
        server._add_http_route("GET", "/glyph", lambda: "hello", hides_methods=True)
        server._serve_websockets("/glyph-ws", hides_methods=True)
        async with running(server, backend) as url:
            assert (await url.get("/glyph", "POST"))[0] == 404
            assert (await url.get("/glyph-ws", "POST"))[0] == 404

    run(main())


def test_a_handler_that_asks_for_what_the_client_left_out_answers_400(backend, run):
    async def main():
        server = Server()

        @server.get("/hello")
        def hello(request):
            return "hello " + request.query["name"]

        @server.get("/later")
        async def later(request):
            return request.headers["X-Key"] + request.cookies["session"]

        async with running(server, backend) as url:
            status, _, body = await url.get("/hello")
            assert (status, json.loads(body)) == (400, {"error": "missing query parameter 'name'"})
            status, _, body = await url.get("/later")
            assert (status, json.loads(body)) == (400, {"error": "missing header field 'X-Key'"})
            assert (await url.get("/hello?name=you"))[0] == 200
        assert server.hub.metrics.handler_errors == 0

    run(main())


def test_a_handler_of_options_answers_before_cors_does(backend, run):
    async def main():
        server = Server(Config(allowed_origins=["https://a.example"]))

        @server.options("/data")
        def data(request):
            return Response("", 204, {"Allow": "GET, PATCH", "DAV": "1"})

        server.get("/data")(lambda request: "data")
        async with running(server, backend) as url:
            status, headers, _ = await url.get("/data", "OPTIONS")
            assert (status, headers["allow"], headers["dav"]) == (204, "GET, PATCH", "1")
            assert (await url.get("/data"))[0] == 200
            status, headers, _ = await url.get("/data", "DELETE")
            assert (status, headers["allow"]) == (405, "GET, HEAD, OPTIONS")

    run(main())


@pytest.mark.parametrize("admin", [None, "127.0.0.1:0"])
def test_each_of_several_hosts_is_told_behind_the_lines_that_programs_read(admin, caplog):
    async def main():
        server, lines = Server(Config(host=["127.0.0.1", "::1"], port=0, admin=admin)), []
        serving = asyncio.create_task(server.serve(announce=lines.append))
        async with asyncio.timeout(10):
            while not lines:
                await asyncio.sleep(0.01)
        await server.shutdown()
        await serving
        port = lines[0].rpartition(":")[2]
        assert lines[0] == f"glyph-fast listening on http://127.0.0.1:{port}"
        assert lines[-1] == f"glyph-fast listening also on http://[::1]:{port}"
        assert [line.partition(" on ")[0] for line in lines[1:-1]] == ["glyph-fast admin"] * bool(
            admin
        )
        for url in (f"http://127.0.0.1:{port}", f"http://[::1]:{port}"):
            assert f"listening url={url} " in caplog.text

    caplog.set_level("INFO")
    asyncio.run(main())


def test_a_server_listens_on_several_hosts(backend, run):
    async def main():
        server = Server(Config(host=["127.0.0.1", "::1"]))
        async with running(server, backend) as url:
            assert url.address[0] == "127.0.0.1" and (await url.get("/healthz"))[0] == 200
            reader, writer = await asyncio.open_connection("::1", url.address[1])
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()

    run(main())
