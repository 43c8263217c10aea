"""Routers: what a module registers, served where a server includes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glyph_fast import MessageType, Router, Server
from glyph_fast.testing import TestClient


def using(server: Server, talk: Callable[[TestClient], Any]) -> Any:
    async def main() -> Any:
        async with TestClient(server) as client:
            return await talk(client)

    return asyncio.run(main())


async def said(client: TestClient, path: str, text: str = "hello") -> list[Any]:
    """What a client of a route hears for its message, before the answer to its ping."""
    ws = await client.connect(path)
    await ws.send(text)
    await ws.send('{"type":"ping"}')
    heard: list[Any] = []
    while not (heard and '"pong"' in heard[-1]):
        heard.append(await ws.receive())
    return heard[:-1]


def echo(router: Router | Server, *, route: str | None = None, word: str = "heard") -> None:
    @router.on_message(MessageType.TEXT, route=route)
    def reply(ctx: Any) -> None:
        ctx.reply(MessageType.TEXT, f"{word} {ctx.message.data}")


def test_a_handler_without_a_route_is_for_the_routes_of_its_router() -> None:
    server, router = Server(), Router()
    echo(router)
    router.websocket("/a")
    router.websocket("/b/:id")
    server.websocket("/c")
    server.include(router, prefix="/there")

    async def talk(client: TestClient) -> None:
        assert await said(client, "/there/a") == ["heard hello"]
        assert await said(client, "/there/b/7") == ["heard hello"]
        assert await said(client, "/c") == []

    using(server, talk)


def test_without_routes_of_its_own_it_is_for_all() -> None:
    server, router = Server(), Router()
    echo(router)
    server.websocket("/c")
    server.include(router, prefix="/there")
    assert using(server, lambda client: said(client, "/c")) == ["heard hello"]


def test_a_handler_with_a_route_is_for_that_one() -> None:
    server, router = Server(), Router()
    echo(router, route="/a")
    router.websocket("/b")
    server.include(router, prefix="/there")

    async def talk(client: TestClient) -> None:
        assert await said(client, "/there/a") == ["heard hello"]
        assert await said(client, "/there/b") == []

    using(server, talk)


def test_handlers_run_in_the_order_in_which_they_were_taken_in() -> None:
    server, first, second = Server(), Router(), Router()
    echo(second, word="second")
    echo(first, word="first")
    echo(server, word="server's")
    server.include(first)
    server.include(second)
    heard = using(server, lambda client: said(client, "/ws"))
    assert heard == ["server's hello", "first hello", "second hello"]


def test_one_router_may_be_included_twice_and_in_two_servers() -> None:
    router = Router()
    router.get("/")(lambda request: {"at": request.path})
    router.get("/more/:id")(lambda request: {"id": request.path_params["id"]})
    for _ in range(2):
        server = Server()
        server.include(router, prefix="/a")
        server.include(router, prefix="/b")

        async def talk(client: TestClient) -> list[Any]:
            paths = ("/a", "/b", "/a/more/3")
            return [(await client.get(path)).json() for path in paths]

        assert using(server, talk) == [{"at": "/a"}, {"at": "/b"}, {"id": "3"}]


def test_routers_include_routers(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("file")
    inner, outer, server = Router(), Router(), Server()
    inner.post("/it", max_body=4)(lambda request: "made")
    inner.static("/files", tmp_path)
    outer.include(inner, prefix="/inner")
    server.include(outer, prefix="/outer")

    async def talk(client: TestClient) -> None:
        assert (await client.post("/outer/inner/it", body="1234")).body == b"made"
        assert (await client.post("/outer/inner/it", body="12345")).status == 413
        assert (await client.get("/outer/inner/files/x.txt")).body == b"file"

    using(server, talk)


def test_judges_and_streams_come_along() -> None:
    server, router = Server(), Router()
    asked, left = [], []

    @router.on_join("r*")
    def may_join(conn: Any, room: str) -> bool:
        asked.append(room)
        return True

    @router.on_leave
    def gone(conn: Any, room: str) -> None:
        left.append(room)

    @router.websocket("/stream")
    async def read(conn: Any) -> None:
        async for message in conn:
            conn.send(f"read {message}")
            return

    server.include(router)
    server.websocket("/ws")

    async def talk(client: TestClient) -> None:
        ws = await client.connect("/stream")
        await ws.send("hello")
        assert await ws.receive() == "read hello"
        ws = await client.connect("/ws")
        await ws.send('{"type":"join_room","room":"r1"}')
        assert '"joined"' in await ws.receive()

    using(server, talk)
    assert (asked, left) == (["r1"], ["r1"])


@pytest.mark.parametrize(
    "register",
    [
        lambda router: router.get("/")(lambda request: ""),
        lambda router: router.websocket("/x"),
        lambda router: router.on_message(lambda ctx: None),
        lambda router: router.on_event("x")(lambda ctx: None),
        lambda router: router.on_join(lambda conn, room: True),
        lambda router: router.on_leave(lambda conn, room: None),
        lambda router: router.on_error(lambda ctx, exc: None),
        lambda router: router.static("/x", "."),
        lambda router: router.include(Router()),
    ],
)
def test_what_comes_after_include_is_refused(register: Callable[[Router], Any]) -> None:
    router = Router()
    Server().include(router)
    with pytest.raises(RuntimeError, match="included already"):
        register(router)


@pytest.mark.parametrize("prefix", ["there", "/there/", "/"])
def test_a_prefix_begins_with_a_slash_and_ends_without(prefix: str) -> None:
    with pytest.raises(ValueError, match="a prefix begins with a slash and ends without one"):
        Server().include(Router(), prefix=prefix)


def test_only_a_router_can_be_included() -> None:
    with pytest.raises(TypeError, match="expected a Router"):
        Server().include(Server())  # type: ignore[arg-type]


def test_two_readers_of_one_route_are_refused() -> None:
    server, router = Server(), Router()

    async def read(conn: Any) -> None: ...

    router.websocket("/x")(read)
    server.websocket("/x")(read)
    with pytest.raises(ValueError, match="route /x already has a handler that reads it"):
        server.include(router)
    assert [route.pattern for route in server.routes()] == ["/x"]


def test_a_mistake_is_told_where_it_is_made() -> None:
    with pytest.raises(TypeError, match="needs a path"):
        Router().get(lambda request: "")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="demands more"):
        Router().on_connect(lambda conn, more: None)  # type: ignore[call-overload]
