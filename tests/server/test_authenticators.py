"""Authenticators of single routes, and `identify` in HTTP handlers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from glyph_fast import Accept, Config, ConfigError, Identity, Reject, Request, Router, Server
from glyph_fast.testing import TestClient, UpgradeRefused

SECRET = "a secret of thirty-two characters"


def using(server: Server, talk: Callable[[TestClient], Any]) -> Any:
    async def main() -> Any:
        async with TestClient(server) as client:
            return await talk(client)

    return asyncio.run(main())


def greeting(server: Server) -> None:
    @server.on_connect
    def welcome(conn: Any) -> None:
        conn.send_json(conn.identity)


async def opened(client: TestClient, path: str, **options: Any) -> Any:
    """The identity of who connects there, or the status that refuses."""
    try:
        ws = await client.connect(path, **options)
    except UpgradeRefused as refused:
        return refused.status
    return await ws.receive_json()


def refuse(request: Request) -> None:
    raise Reject(403, {"error": "not here"})


def test_a_route_of_its_own_comes_before_the_general_one() -> None:
    server = Server()
    greeting(server)
    server.authenticate(lambda request: "general")
    server.authenticate(route="/own")(lambda request: "own")
    server.authenticate(route="/shut/:id")(refuse)

    @server.authenticate(route="/later")
    async def later(request: Request) -> str:
        await asyncio.sleep(0)
        return "later"

    for path in ("/ws", "/own", "/own/more", "/shut/:id", "/shut/open", "/later"):
        server.websocket(path)

    async def talk(client: TestClient) -> None:
        assert await opened(client, "/ws") == "general"
        assert await opened(client, "/own") == "own"
        assert await opened(client, "/own/more") == "general"
        assert await opened(client, "/shut/7") == 403
        assert await opened(client, "/shut/open") == "general"  # another route
        assert await opened(client, "/later") == "later"

    using(server, talk)


def test_without_a_general_one_the_other_routes_are_open() -> None:
    server = Server()
    greeting(server)
    server.authenticate(route="/shut")(refuse)
    server.websocket("/open")
    server.websocket("/shut")

    async def talk(client: TestClient) -> None:
        assert await opened(client, "/open") is None
        assert await opened(client, "/shut") == 403

    using(server, talk)


def test_an_http_handler_that_opens_websockets_has_its_route() -> None:
    server = Server()
    server.authenticate(route="/door/:n")(refuse)
    server.get("/door/:n")(lambda request: server.handle_websocket(request))
    assert using(server, lambda client: opened(client, "/door/1")) == 403


def test_the_one_that_fails_is_named(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    server.authenticate(lambda request: "general")

    @server.authenticate(route="/bad")
    def broken(request: Request) -> str:
        raise LookupError("no table")

    server.websocket("/bad")

    async def talk(client: TestClient) -> None:
        assert await opened(client, "/bad") == 500
        client.errors.clear()

    using(server, talk)
    assert "broken" in caplog.text and "no table" in caplog.text


def test_a_route_that_is_not_there_ends_the_start() -> None:
    server = Server()
    server.authenticate(route="/admn")(refuse)
    server.websocket("/admin")
    with pytest.raises(ConfigError, match="authenticate.route='/admn'.: the server has no such"):
        using(server, lambda client: asyncio.sleep(0))


def test_a_route_of_a_router_can_be_named() -> None:
    server, router = Server(), Router()
    router.websocket("/ws")
    server.include(router, prefix="/in")
    server.authenticate(route="/in/ws")(refuse)
    assert using(server, lambda client: opened(client, "/in/ws")) == 403


@pytest.mark.parametrize("route", [None, "/ws"])
def test_two_of_one_kind_are_refused(route: str | None) -> None:
    server = Server()
    server.authenticate(route=route)(refuse)
    with pytest.raises(ValueError, match="has an authenticator already"):
        server.authenticate(route=route)(refuse)


@pytest.mark.parametrize("route", [None, "/ws"])
def test_they_do_not_go_with_tokens_of_the_options(route: str | None) -> None:
    server = Server(Config(jwt_secret=SECRET))
    server.authenticate(route=route)(refuse)
    with pytest.raises(ConfigError, match="do not go with @server.authenticate"):
        using(server, lambda client: asyncio.sleep(0))


# `identify`.


def telling(server: Server, path: str = "/who") -> None:
    @server.get(path)
    async def who(request: Request) -> dict[str, Any]:
        return {"who": await server.identify(request)}


@pytest.mark.parametrize(
    "answer",
    [
        "ada",
        Accept("ada", {"Set-Cookie": "a=b"}),
        Identity("ada", {"n": 1}),
        Accept(Identity("ada")),
    ],
    ids=repr,
)
@pytest.mark.parametrize("waits", [False, True])
def test_identify_says_what_the_identity_would_be(answer: Any, waits: bool) -> None:
    server = Server()
    telling(server)

    async def later(request: Request) -> Any:
        return answer

    server.authenticate(later if waits else lambda request: answer)
    found = using(server, lambda client: client.get("/who"))
    assert found.json() == {"who": "ada"}


def test_identify_refuses_as_the_authenticator_does() -> None:
    server = Server()
    telling(server)
    server.authenticate(refuse)
    found = using(server, lambda client: client.get("/who"))
    assert (found.status, found.json()) == (403, {"error": "not here"})


def test_identify_asks_that_of_the_requests_route() -> None:
    server = Server()
    for path in ("/a", "/b", "/c/:n"):
        telling(server, path)
    server.authenticate(lambda request: "general")
    server.authenticate(route="/a")(lambda request: "a")
    server.authenticate(route="/c/:n")(lambda request: "c")

    async def talk(client: TestClient) -> list[Any]:
        return [(await client.get(path)).json()["who"] for path in ("/a", "/b", "/c/1")]

    assert using(server, talk) == ["a", "general", "c"]


def test_identify_without_an_authenticator_knows_nobody() -> None:
    server = Server()
    telling(server)
    assert using(server, lambda client: client.get("/who")).json() == {"who": None}


def test_identify_reads_the_tokens_of_the_options() -> None:
    server = Server(Config(jwt_secret=SECRET))
    telling(server)
    token = jwt.encode({"sub": "ada", "exp": time.time() + 60}, SECRET, "HS256")

    async def talk(client: TestClient) -> None:
        found = await client.get("/who", headers={"Authorization": f"Bearer {token}"})
        assert found.json()["who"]["sub"] == "ada"
        assert (await client.get("/who")).status == 401

    using(server, talk)
