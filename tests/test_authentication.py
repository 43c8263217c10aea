"""Authentication, users, tokens and permissions against a server with real sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from glyph_fast import Accept, Config, GlyphServer, Identity, Reject, Server
from glyph_fast.logs import TextFormatter
from tests.auth.signing import SECRET, Issuer, jwk, key_set, later, private_key, signed
from tests.engine.peers import UPGRADE, eventually
from tests.running import running

TOKENS = Config(jwt_secret=SECRET)


async def refused(url: str, **options: Any) -> tuple[int, Any, Any]:
    """Status, body and headers of an upgrade that must fail."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, **options)
    response = caught.value.response
    return response.status_code, json.loads(response.body), response.headers


async def closed(client: Any) -> tuple[int, str]:
    """Code and reason of the close that comes, whatever comes before."""
    with pytest.raises(ConnectionClosed):
        while True:
            await client.recv()
    await client.wait_closed()
    return client.close_code, client.close_reason


async def event(client: Any, name: str, data: Any) -> Any:
    """Send an event and return the data of the answer."""
    await client.send(json.dumps({"type": "json", "event": name, "data": data}))
    return json.loads(await client.recv())["data"]


# Before the upgrade.


def test_an_authenticator_sees_the_whole_request(backend, run):
    async def main():
        seen: list[Any] = []
        server = Server()

        @server.authenticate
        async def who(request):
            await asyncio.sleep(0)
            seen.extend(
                [request.path, request.query["a"], request.headers["x-key"],
                 request.cookies["session"], request.remote, request.path_params["room"]]
            )  # fmt: skip
            return {"id": 7}

        @server.on_connect(route="/chat/:room")
        def greet(conn):
            conn.send_json([conn.identity, conn.request.query["a"]])

        async with running(server, backend) as url:
            fields = {"X-Key": "k", "Cookie": "session=s"}
            async with connect(url.ws("/chat/blue?a=1"), additional_headers=fields) as client:
                assert json.loads(await client.recv()) == [{"id": 7}, "1"]
                assert seen == ["/chat/blue", "1", "k", "s", "127.0.0.1", "blue"]
                assert server.hub.get_user_connections("7") == server.hub.get_connections()

    run(main())


def test_one_that_waits_while_the_server_drains_gets_503(backend, run):
    async def main():
        waits = asyncio.Event()
        server = Server(Config(drain_timeout=0.05))

        @server.authenticate
        async def who(request):
            waits.set()
            await asyncio.Event().wait()

        async with running(server, backend) as url:
            opening = asyncio.create_task(refused(url.ws("/ws")))
            await waits.wait()
            await server.shutdown()
            status, body, _ = await opening
            assert (status, body) == (503, {"error": "server is shutting down"})

    run(main())


def test_a_client_that_leaves_while_it_is_authenticated_leaves_nothing_behind(backend, run):
    async def main():
        gate, asked = asyncio.Event(), asyncio.Event()
        told: list[str] = []
        server = Server()
        server.on_connect(lambda: told.append("connected"))
        server.on_disconnect(lambda: told.append("disconnected"))

        @server.authenticate
        async def who(request):
            asked.set()
            await gate.wait()
            return "ada"

        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(UPGRADE % b"/ws")
            await asked.wait()
            peer.reset()
            gate.set()
            turn = server.hub._turn
            assert turn is not None
            await eventually(lambda: not len(turn))
            assert server.hub.get_user_connection_count("ada") == len(server.hub) == 0
            # Whether it was noticed before the 101 or by it: both are told, or neither.
            assert told in ([], ["connected", "disconnected"])

    run(main())


def test_a_user_is_reached_limited_and_disconnected_everywhere(backend, run):
    async def main():
        server = Server(Config(max_connections_per_user=2))
        server.authenticate(lambda request: request.query.get("user"))
        async with running(server, backend) as url:
            ada = [await connect(url.ws("/ws?user=ada")) for _ in range(2)]
            async with connect(url.ws("/ws?user=bob")), connect(url.ws("/ws")):
                status, body, _ = await refused(url.ws("/ws?user=ada"))
                assert (status, body) == (429, {"error": "too many connections of this user"})
                assert server.hub.metrics.connections_rejected == {"user": 1}
                server.hub.send_to_user("ada", "hello")
                thread = threading.Thread(target=server.hub.send_to_user, args=("ada", b"again"))
                thread.start()
                for client in ada:
                    assert [await client.recv(), await client.recv()] == ["hello", b"again"]
                assert server.hub.disconnect_user("ada", 4001, "bye") == 2
                assert [await closed(client) for client in ada] == [(4001, "bye")] * 2
                await eventually(lambda: not server.hub.get_user_connection_count("ada"))
                async with connect(url.ws("/ws?user=ada")):
                    assert len(server.hub) == 3
                thread.join(10)

    run(main())


# Tokens.


def carried(token: str) -> dict[str, dict[str, Any]]:
    """The ways to carry a token, as arguments of `connect`."""
    return {
        "field": {"additional_headers": {"Authorization": f"Bearer {token}"}},
        "cookie": {"additional_headers": {"Cookie": f"access_token={token}"}},
        "subprotocol": {"subprotocols": ["bearer", token]},
        "query": {},
    }


@pytest.mark.parametrize("way", ["field", "cookie", "subprotocol", "query"])
def test_a_token_opens_the_door(way, backend, run):
    token = signed(sub="ada", exp=later())

    async def main():
        server = Server(TOKENS)
        server.on_connect(lambda conn: conn.send_json([conn.identity["sub"], conn.subprotocol]))
        async with running(server, backend) as url:
            path = f"/ws?access_token={token}" if way == "query" else "/ws"
            async with connect(url.ws(path), **carried(token)[way]) as client:
                subprotocol = "bearer" if way == "subprotocol" else None
                assert json.loads(await client.recv()) == ["ada", subprotocol]
                assert client.subprotocol == subprotocol
            status, _, headers = await refused(url.ws("/ws"), **carried("a.b.c")[way])
            assert status == 401
            assert headers["WWW-Authenticate"].startswith('Bearer realm="glyph-fast"')
            assert server.hub.metrics.connections_rejected == {"authentication": 1}

    run(main())


@pytest.mark.parametrize(
    ("allowed", "origin", "opens"),
    [
        ([], "http://evil.example", []),
        ([], "its own", ["field", "cookie", "subprotocol", "query"]),
        (["*"], "its own", ["field", "cookie", "subprotocol", "query"]),
        (["*"], "http://evil.example", ["field", "subprotocol", "query"]),
        (["*", "http://evil.example"], "http://evil.example", ["cookie"]),
    ],
)
def test_another_sites_page_does_not_act_by_the_users_cookie(allowed, origin, opens, backend, run):
    """Cross-site WebSocket hijacking: the browser sends the cookie, whoever's page it is."""
    token = signed(sub="ada", exp=later())

    async def main():
        server = Server(Config(jwt_secret=SECRET, allowed_origins=allowed))
        async with running(server, backend) as url:
            page = str(url).rstrip("/") if origin == "its own" else origin
            for way, options in carried(token).items():
                path = f"/ws?access_token={token}" if way == "query" else "/ws"
                options = {**options, "origin": page}
                if way in opens:
                    async with connect(url.ws(path), **options):
                        pass
                elif not allowed:
                    assert (await refused(url.ws(path), **options))[0] == 403
                elif way == "cookie":
                    status, body, _ = await refused(url.ws(path), **options)
                    assert (status, body) == (401, {"error": "a token is required"})

    run(main())


@pytest.mark.parametrize(("allowed", "seen"), [([], []), (["*"], [{}])])
def test_a_handler_that_opens_websockets_does_not_see_another_sites_cookies_either(
    allowed, seen, backend, run
):
    async def main():
        asked: list[Any] = []
        server = Server(Config(allowed_origins=allowed))

        @server.get("/join")
        def join(request):
            asked.append(dict(request.cookies))
            if "session" not in request.cookies:
                raise Reject(401, {"error": "who are you?"})
            return server.handle_websocket(request)

        async with running(server, backend) as url:
            cookie = {"Cookie": "session=s"}
            foreign = {"origin": "https://evil.example", "additional_headers": cookie}
            status, _, _ = await refused(url.ws("/join"), **foreign)
            assert (status, asked) == (401 if allowed else 403, seen)
            async with connect(url.ws("/join"), additional_headers=cookie):
                assert asked == [*seen, {"session": "s"}]

    run(main())


def test_a_real_subprotocol_is_preferred_to_that_of_the_token(backend, run):
    async def main():
        server = Server(Config(jwt_secret=SECRET, subprotocols=["chat.v2"]))
        offered: Any = ["bearer", signed(sub="ada"), "chat.v1", "chat.v2"]
        async with running(server, backend) as url:
            async with connect(url.ws("/ws"), subprotocols=offered) as client:
                assert client.subprotocol == "chat.v2"

    run(main())


def test_a_connection_ends_with_its_token_unless_it_is_refreshed(backend, run):
    async def main():
        now, end = 0.0, later()
        server = Server(TOKENS)
        server.hub._expiry.clock = lambda: now
        async with running(server, backend) as url:
            ways = [carried(signed(sub=name, exp=end))["field"] for name in ("ada", "bob", "eve")]
            ada, bob, eve = [await connect(url.ws("/ws"), **way) for way in ways]
            newer = {"token": signed(sub="ada", exp=end + 1000)}
            assert await event(ada, "auth_refresh", newer) == {
                "type": "auth_refresh_success", "expires": end + 1000
            }  # fmt: skip
            assert "error" in await event(eve, "auth_refresh", newer)
            now = end + 500
            assert await closed(bob) == await closed(eve) == (4401, "credentials expired")
            await (await ada.ping())
            now = end + 2000
            assert await closed(ada) == (4401, "credentials expired")
            assert server.hub.metrics.disconnects == {4401: 3}

    run(main())


def test_a_stream_does_not_see_the_token(backend, run):
    async def main():
        server = Server(TOKENS)
        seen: list[Any] = []

        @server.websocket("/lines")
        async def talk(conn):
            async for message in conn:
                seen.append(message)
                conn.send("read")

        async with running(server, backend) as url:
            async with connect(url.ws("/lines"), **carried(signed(sub="ada"))["field"]) as client:
                answer = await event(client, "auth_refresh", {"token": signed(sub="ada")})
                assert answer == {"type": "auth_refresh_success"}
                await client.send("hello")
                assert await client.recv() == "read"
            assert seen == ["hello"]

    run(main())


def test_keys_are_published_changed_and_withdrawn(backend, run):
    def token(name: str) -> str:
        return signed("ES256", key=private_key("ES256", name), kid=name, sub="ada", exp=later())

    async def main():
        with Issuer(jwk("ES256", "one", name="one")) as issuer:
            server = Server(Config(jwt_jwks=issuer.url))
            async with running(server, backend) as url:
                async with connect(url.ws("/ws"), **carried(token("one"))["field"]):
                    assert issuer.asked == 1
                issuer.body = key_set(jwk("ES256", "two", name="two"))
                # A moment after the start: the change is not looked for yet.
                status, body, _ = await refused(url.ws("/ws"), **carried(token("two"))["field"])
                assert (status, body) == (401, {"error": "the token's key is unknown"})
                assert issuer.asked == 1
            async with running(server, backend) as url:  # a new run reads anew
                async with connect(url.ws("/ws"), **carried(token("two"))["field"]):
                    pass
                assert (await refused(url.ws("/ws"), **carried(token("one"))["field"]))[0] == 401

    run(main())


def test_a_server_starts_while_the_issuer_is_silent_and_ends_while_it_is_asked(backend, run):
    async def main():
        with Issuer(jwk("ES256", "one")) as issuer:
            issuer.status = 503
            server = Server(Config(jwt_jwks=issuer.url, drain_timeout=0.05))
            token = signed("ES256", key=private_key("ES256"), kid="one", sub="ada")
            async with running(server, backend) as url:
                status, body, headers = await refused(url.ws("/ws"), **carried(token)["field"])
                assert (status, headers["Retry-After"]) == (503, "10")
                assert body == {"error": "tokens cannot be verified now"}

    run(main())


def test_options_of_one_run_do_not_reach_the_next(backend, run):
    async def main():
        server = Server()
        server.on_event("auth_refresh")(lambda ctx: ctx.reply_json("mine"))
        token = carried(signed(sub="ada"))["field"]
        async with running(server, backend, jwt_secret=SECRET) as url:
            assert (await refused(url.ws("/ws")))[0] == 401
            async with connect(url.ws("/ws"), **token) as client:
                assert "error" in await event(client, "auth_refresh", None)
        async with running(server, backend, jwt_secret=None) as url:
            async with connect(url.ws("/ws")) as client:
                assert await event(client, "auth_refresh", None) == "mine"

    run(main())


def test_programs_in_glyph_are_guarded_too(backend, run, tmp_path):
    (tmp_path / "echo.glyph").write_text(
        "@ ws /echo {\n  on message {\n    ws.send(input)\n  }\n}\n"
    )

    async def main():
        server = GlyphServer(TOKENS)
        server.load(tmp_path / "echo.glyph")
        async with running(server, backend) as url:
            assert (await refused(url.ws("/echo")))[0] == 401
            token = signed(sub="ada", exp=later())
            async with connect(url.ws("/echo"), **carried(token)["cookie"]) as client:
                answer = await event(client, "auth_refresh", {"token": token})
                assert answer["type"] == "auth_refresh_success"
                await client.send("hello")
                assert "hello" in await client.recv()

    run(main())


def test_no_log_line_holds_a_token(backend, run, caplog):
    caplog.set_level(logging.DEBUG)
    good = signed(sub="ada", exp=later())
    tokens = [good, signed(sub="eve", exp=later()), signed(sub="ada", exp=5), "not.a.jwt-at-all"]

    async def main():
        server = Server(TOKENS)
        server.on_connect(lambda: 1 / 0)
        server.get("/page")(lambda request: 1 / 0)
        async with running(server, backend) as url:
            for token in tokens:
                for way, options in carried(token).items():
                    path = f"/ws?access_token={token}" if way == "query" else "/ws"
                    try:
                        async with connect(url.ws(path), **options) as client:
                            for each in tokens:
                                await event(client, "auth_refresh", {"token": each})
                    except InvalidStatus:
                        pass
            await url.get(f"/page?access_token={good}")
            await url.get(f"/nowhere?access_token={good}")
            await refused(url.ws(f"/nowhere?access_token={good}"))

    run(main())
    ours = [each for each in caplog.records if each.name.startswith("glyph_fast")]
    text = "\n".join(TextFormatter().format(record) for record in ours)
    assert "connection closed" in text and "upgrade refused" in text and "/nowhere" in text
    for token in tokens:
        assert token not in text
        assert token.rpartition(".")[2] not in text


# Permission to join rooms.


def test_several_who_judge_must_all_allow_and_may_wait(backend, run):
    async def main():
        server = Server()
        server.authenticate(lambda request: {"sub": request.query["user"], "teams": ["red"]})

        @server.on_join("team:*")
        async def team(conn, room):
            await asyncio.sleep(0)
            return room.partition(":")[2] in conn.identity["teams"]

        @server.on_join("*:red")
        def not_eve(conn):
            if conn.identity["sub"] == "eve":
                raise Reject(403, "you were banned")
            return True

        @server.on_join("open")
        def anybody():
            return True

        @server.on_join("broken:*")
        async def broken(conn, room):
            await asyncio.sleep(0)
            raise LookupError(room)

        async def join(client: Any, room: str) -> Any:
            await client.send(json.dumps({"type": "join_room", "room": room}))
            return json.loads(await client.recv())["data"]

        denied = {"error": "not allowed to join this room"}
        async with running(server, backend) as url:
            async with (
                connect(url.ws("/ws?user=ada")) as ada,
                connect(url.ws("/ws?user=eve")) as eve,
            ):
                assert (await join(ada, "team:red"))["status"] == "joined"
                assert await join(ada, "team:blue") == denied
                assert await join(eve, "team:red") == {"error": "you were banned"}
                assert await join(ada, "broken:red") == denied
                assert (await join(eve, "open"))["status"] == "joined"
                assert server.hub.metrics.handler_errors == 1
                assert server.hub.get_room_manager().get_room_names() == ["team:red", "open"]

    run(main())


def test_one_who_leaves_while_it_is_judged_joins_nothing(backend, run):
    async def main():
        server = Server()
        asked, verdict = asyncio.Event(), asyncio.Event()
        ended: list[Any] = []
        server.on_disconnect(lambda conn: ended.append(conn.get_rooms()))

        @server.on_join("room:*")
        async def judge(conn, room):
            asked.set()
            await verdict.wait()
            return True

        async with running(server, backend) as url:
            client = await connect(url.ws("/ws"))
            await client.send('{"type":"join_room","room":"room:1"}')
            await asked.wait()
            client.transport.abort()
            await eventually(lambda: not len(server.hub))
            verdict.set()
            await eventually(lambda: ended)
            assert ended == [[]]
            assert server.hub.get_room_manager().count() == 0
            assert server.hub.metrics.handler_errors == 0
            await client.wait_closed()

    run(main())


# Who a client is, in full.


def test_an_identity_says_user_info_and_end(backend, run):
    async def main():
        server = Server()
        infos = {"large": "x" * 5000, "ada": {"name": "Ada"}, "wrapped": [1]}

        @server.authenticate
        async def who(request):
            name = request.query["name"]
            await asyncio.sleep(0)
            identity = Identity(name, infos[name], None if name == "wrapped" else 1)
            return Accept(identity, {"X-Who": name}) if name == "wrapped" else identity

        @server.on_connect
        def greet(conn):
            conn.send_json([conn.identity, conn.info])

        server.websocket("/ws")
        async with running(server, backend) as url:
            status, _, _ = await refused(url.ws("/ws?name=large"))
            assert status == 500  # a mistake of the program's
            async with connect(url.ws("/ws?name=ada")) as client:
                assert json.loads(await client.recv()) == ["ada", {"name": "Ada"}]
                assert await closed(client) == (4401, "credentials expired")
            async with connect(url.ws("/ws?name=wrapped")) as client:
                assert client.response.headers["X-Who"] == "wrapped"
                assert json.loads(await client.recv()) == ["wrapped", [1]]
                assert len(server.hub.get_user_connections("wrapped")) == 1

    run(main())


def test_on_connect_has_the_last_word_about_the_end(backend, run):
    async def main():
        server = Server()

        @server.authenticate
        def who(request):
            return Identity("ada", expires_at=1)

        @server.on_connect
        def stay(conn):
            server.hub.expire(conn, None)

        server.websocket("/ws")
        async with running(server, backend) as url, connect(url.ws("/ws")):
            await eventually(lambda: len(server.hub) == 1)
            (conn,) = server.hub.get_connections()
            assert len(server.hub._expiry) == 0 and conn.is_open

    run(main())
