"""Server-sent events: who gets a stream, what comes in it, and what its client says."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable
from typing import Any

import pytest

from glyph_fast import Config, Connection, Identity, MessageContext, Reject, Request, Server
from tests.engine.peers import eventually
from tests.listening import Event, listening, say
from tests.running import Url, running

Run = Callable[..., Any]
CHAT = "/events?room=chat:1"
UNCOVERED = "clients may not join this room: that needs on_join or server.room(…, client_join=True)"


def chat(config: Config | None = None, **options: Any) -> Server:
    """Rooms of all kinds, and streams of them."""
    server = Server(config if config is not None else Config(**options))
    server.room("chat:*", history_size=20, client_join=True)
    server.room("live:*", client_join=True)
    server.room("shown:*", history_size=5, presence=True, client_join=True)
    server.room("small:*", client_join=True, max_members=1)
    server.events("/events")

    @server.on_join("vip:*")
    async def vip(conn: Connection, room: str) -> bool:
        await asyncio.sleep(0)
        return conn.request.headers.get("x-key") == room

    @server.on_join("broken:*")
    def broken(conn: Connection, room: str) -> bool:
        raise RuntimeError("on purpose")

    @server.on_join("told:*")
    def told(conn: Connection, room: str) -> bool:
        raise Reject(401, {"error": "not you"})

    @server.on_event("add")
    def add(ctx: MessageContext) -> Any:
        return ctx.message.data["a"] + ctx.message.data["b"]

    return server


async def refusal(url: Url, path: str = CHAT, **headers: str) -> tuple[int, Any]:
    async with listening(url, path, is_open=False, **headers) as stream:
        return stream.status, await stream.body()


class TestComingIn:
    @pytest.mark.parametrize(
        ("path", "status", "error"),
        [
            ("/events", 400, "name a room: ?room=NAME"),
            ("/events?other=1", 400, "name a room: ?room=NAME"),
            ("/events?room=", 400, "a room name is text and not empty"),
            ("/events?room=chat:%0A", 400, "a room name has no control characters"),
            ("/events?" + "&".join(f"room=chat:{n}" for n in range(17)), 400,
             "a stream is of at most 16 rooms"),
            ("/events?" + "&".join("x=1" for n in range(2000)), 400,
             "a stream is of at most 16 rooms"),
            ("/events?room=other", 403,
             UNCOVERED),
            ("/events?room=chat:1&room=other", 403,
             UNCOVERED),
            ("/events?room=vip:1", 403, "not allowed to join this room"),
            ("/events?room=broken:1", 403, "not allowed to join this room"),
            ("/events?room=told:1", 403, '{"error":"not you"}'),
        ],
    )  # fmt: skip
    def test_who_may_not_is_told_so(
        self, backend: Any, run: Run, path: str, status: int, error: str
    ) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                assert await refusal(url, path) == (status, {"error": error})
                assert len(server.hub) == 0
                assert sum(server.hub.metrics.connections_rejected.values()) == 1

        run(main())

    def test_sixteen_rooms_and_the_same_one_twice(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            names = [f"chat:{n}" for n in range(16)]
            path = "/events?" + "&".join(f"room={name}" for name in [*names, "chat:0"])
            async with running(server, backend) as url, listening(url, path):
                (conn,) = server.hub.get_connections()
                await eventually(lambda: len(conn.get_rooms()) == 16)
                assert sorted(conn.get_rooms()) == sorted(names)

        run(main())

    def test_the_answer_is_for_no_cache_and_no_buffer(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(), backend) as url, listening(url, CHAT) as stream:
                assert stream.headers["content-type"] == "text/event-stream"
                assert stream.headers["cache-control"] == "no-cache, no-transform"
                assert stream.headers["x-accel-buffering"] == "no"
                assert stream.headers["transfer-encoding"] == "chunked"

        run(main())

    def test_a_head_request_opens_nothing(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                status, headers, body = await url.get(CHAT, "HEAD")
                assert (status, headers["content-type"], body) == (200, "text/event-stream", b"")
                assert server.hub.metrics.connections_total == 0

        run(main())

    def test_by_http_1_0_the_end_is_the_connections(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                async with listening(url, CHAT, version="1.0") as stream:
                    assert "transfer-encoding" not in stream.headers
                    await server.hub.publish("chat:1", "hi")
                    assert (await stream.data())["data"] == "hi"
                    server.hub.get_connections()[0].close(4000, "enough")
                    assert (await stream.next()).json == {"code": 4000, "reason": "enough"}
                    with pytest.raises(EOFError):
                        await stream.next()

        run(main())

    def test_the_first_event_tells_the_id_and_when_to_come_back(
        self, backend: Any, run: Run
    ) -> None:
        async def main() -> None:
            server = chat()

            @server.on_connect
            def greet(conn: Connection) -> None:
                conn.send_json({"hello": conn.id})

            async with running(server, backend) as url:
                async with listening(url, CHAT, is_open=False) as stream:
                    first = await stream.opened()
                    assert 1000 <= int(first.retry) <= 5000
                    assert first.json.keys() == {"id", "session"}
                    (conn,) = server.hub.get_connections()
                    assert (conn.id, conn.route_pattern) == (stream.id, "/events")
                    assert await stream.data() == {"type": "json", "data": {"hello": conn.id}}

        run(main())

    def test_parameters_of_the_path_are_the_connections(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = Server()
            server.events("/of/:tenant/events")
            server.on_join("*")(lambda conn, room: conn.path_params["tenant"] == room)
            async with running(server, backend) as url:
                async with listening(url, "/of/a%20b/events?room=a%20b"):
                    (conn,) = server.hub.get_connections()
                    assert conn.path_params == {"tenant": "a b"}
                assert (await refusal(url, "/of/a/events?room=b"))[0] == 403

        run(main())

    def test_a_room_may_be_asked_for_once_it_is_judged(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(), backend) as url:
                async with listening(url, "/events?room=vip:1", X_Key="vip:1"):
                    pass
                assert (await refusal(url, "/events?room=small:1&room=vip:1"))[0] == 403
                async with listening(url, "/events?room=small:1"):
                    assert await refusal(url, "/events?room=small:1") == (
                        503,
                        {"error": "room is full"},
                    )

        run(main())

    @pytest.mark.parametrize("words", ["none", "ping", "join_room"])
    def test_words_of_clients_change_who_may_listen_only_where_they_join(
        self, backend: Any, run: Run, words: str
    ) -> None:
        async def main() -> None:
            async with running(chat(client_commands=words), backend) as url:
                async with listening(url, CHAT):
                    pass
                is_open = words == "join_room"
                async with listening(url, "/events?room=other", is_open=is_open) as stream:
                    assert stream.status == (200 if is_open else 403)

        run(main())

    def test_a_rejection_by_on_connect_ends_the_stream(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()

            @server.on_connect
            async def no(conn: Connection) -> None:
                await asyncio.sleep(0)
                raise Reject(403, "go away")

            async with running(server, backend) as url, listening(url, CHAT) as stream:
                event = await stream.next()
                assert (event.name, event.json) == ("close", {"code": 1008, "reason": "go away"})
                with pytest.raises((EOFError, ValueError)):
                    await stream.next()

        run(main())


class TestAuthentication:
    def test_an_authenticator_is_asked_as_for_an_upgrade(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()

            @server.authenticate
            async def who(request: Request) -> Any:
                await asyncio.sleep(0)
                if "x-user" not in request.headers:
                    raise Reject(401, {"error": "who are you"}, {"WWW-Authenticate": "Own"})
                return Identity(request.headers["x-user"], {"name": "A"})

            async with running(server, backend) as url:
                async with listening(url, CHAT, is_open=False) as stream:
                    assert (stream.status, stream.headers["www-authenticate"]) == (401, "Own")
                    assert await stream.body() == {"error": "who are you"}
                async with listening(url, CHAT, X_User="ada"):
                    (conn,) = server.hub.get_user_connections("ada")
                    assert (conn.identity, conn.info) == ("ada", {"name": "A"})

        run(main())

    def test_a_token_stands_in_authorization(self, backend: Any, run: Run) -> None:
        import jwt

        token = jwt.encode({"sub": "ada"}, "s" * 32, algorithm="HS256")

        async def main() -> None:
            server = chat(jwt_secret="s" * 32)
            async with running(server, backend) as url:
                assert (await refusal(url))[0] == 401
                async with listening(url, CHAT, Authorization=f"Bearer {token}"):
                    assert server.hub.get_user_connection_count("ada") == 1

        run(main())

    def test_a_room_of_a_user_is_joined_by_nobody_else(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(user_room="user:{user}")
            server.room("user:*", history_size=5)
            server.authenticate(lambda request: request.headers.get("x-user"))
            async with running(server, backend) as url:
                assert (await refusal(url, "/events?room=user:ada", X_User="bob"))[0] == 403
                async with listening(url, "/events?room=user:ada", X_User="ada") as stream:
                    server.hub.send_to_user("ada", "psst")
                    found = await stream.data()
                    assert (found["room"], found["offset"]) == ("user:ada", 1)

        run(main())

    def test_credentials_that_end_end_the_stream(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            server.authenticate(lambda request: Identity("ada", expires_at=1.0))
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                assert (await stream.next()).json["code"] == 4401

        run(main())


class TestOrigins:
    def test_the_rule_is_that_of_upgrades(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(), backend) as url:
                async with listening(url, CHAT, Origin=str(url)):
                    pass
                answer = await refusal(url, Origin="https://evil.example")
                assert answer == (403, {"error": "origin not allowed"})

        run(main())

    def test_a_page_that_is_allowed_may_read(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            origin = "https://app.example"
            server = chat(allowed_origins=[origin])
            server.authenticate(lambda request: None if "x" in request.headers else 1 / 0)
            async with running(server, backend) as url:
                async with listening(url, CHAT, Origin=origin, X="1") as stream:
                    assert stream.headers["access-control-allow-origin"] == origin
                    status, headers, _ = await say(
                        url, "/events", stream.session, {"type": "ping"}, Origin=origin
                    )
                    assert (status, headers["access-control-allow-origin"]) == (204, origin)
                    refused = {"Origin": "https://evil.example"}
                    assert await stream.say({"type": "ping"}, **refused) == 403
                async with listening(url, CHAT, is_open=False, Origin=origin) as stream:
                    assert stream.status == 500  # which the page may know
                    assert stream.headers["access-control-allow-origin"] == origin
                async with listening(
                    url, "/events", method="OPTIONS", is_open=False, Origin=origin,
                    Access_Control_Request_Method="POST",
                    Access_Control_Request_Headers="session,content-type",
                ) as stream:  # fmt: skip
                    assert stream.status == 204
                    assert stream.headers["access-control-allow-methods"] == "GET, HEAD, POST"
                    assert "session" in stream.headers["access-control-allow-headers"]

        run(main())

    def test_a_foreign_page_opens_none_without_its_name(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(), backend) as url:
                for site, status in (("cross-site", 403), ("same-site", 403), ("none", 200)):
                    is_open = status == 200
                    async with listening(url, CHAT, is_open=is_open, Sec_Fetch_Site=site) as stream:
                        assert stream.status == status

        run(main())


class TestLimits:
    def test_streams_count_as_connections(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(max_connections=2)
            async with running(server, backend) as url:
                async with listening(url, CHAT), listening(url, CHAT):
                    assert await refusal(url) == (503, {"error": "too many connections"})
                await eventually(lambda: len(server.hub) == 0)
                async with listening(url, CHAT):
                    pass

        run(main())

    def test_of_an_address(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(max_connections_per_ip=1)
            async with running(server, backend) as url:
                async with listening(url, CHAT):
                    assert (await refusal(url))[0] == 429
                await eventually(lambda: len(server.hub) == 0)
                async with listening(url, CHAT):
                    pass

        run(main())

    def test_of_a_user(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(max_connections_per_user=1)
            server.authenticate(lambda request: request.headers["x-user"])
            async with running(server, backend) as url:
                async with listening(url, CHAT, X_User="ada"):
                    assert (await refusal(url, X_User="ada"))[0] == 429
                    async with listening(url, CHAT, X_User="bob"):
                        pass

        run(main())

    def test_of_handshakes(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(handshake_rate="1/h:1"), backend) as url:
                async with listening(url, CHAT):
                    assert (await refusal(url))[0] == 429

        run(main())

    def test_of_rooms(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(max_rooms_per_connection=1), backend) as url:
                status, body = await refusal(url, CHAT + "&room=chat:2")
                assert status == 400
                assert body == {"error": "a connection may be in 1 rooms at a time"}

        run(main())

    def test_rates_count_what_is_posted(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(rate_limit="1/h:2")
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                answers = [await stream.say({"type": "ping"}) for _ in range(3)]
                assert answers == [204, 204, 429]
                assert server.hub.metrics.snapshot()["messages_dropped"]["rate"] == 1

        run(main())

    def test_who_is_too_fast_may_be_disconnected(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(rate_limit="1/h:1", rate_policy="disconnect")
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                assert await stream.say({"event": "x"}) == 204
                assert await stream.say({"event": "x"}) == 429
                assert (await stream.next()).json["code"] == 1008
                assert await stream.say({"event": "x"}) == 404

        run(main())


class TestMessages:
    def test_each_event_is_an_envelope_of_its_room(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server, hub = chat(), None
            async with running(server, backend) as url:
                async with listening(url, "/events?room=live:1&room=chat:1") as stream:
                    hub = server.hub
                    hub.broadcast_json_to_room("live:1", {"a": 1})
                    hub.broadcast_to_room("live:1", "text\nof two lines")
                    hub.broadcast_to_room("live:1", b"\0\1")
                    hub.broadcast_event("e", 1, room="live:1")
                    hub.broadcast_json("all")
                    (conn,) = hub.get_connections()
                    conn.send("mine")
                    await hub.publish("chat:1", {"b": 2})
                    live = {"room": "live:1"}
                    assert [await stream.data() for _ in range(7)] == [
                        {**live, "type": "json", "data": {"a": 1}},
                        {**live, "type": "text", "data": "text\nof two lines"},
                        {**live, "type": "binary", "data": "AAE="},
                        {**live, "type": "json", "event": "e", "data": 1},
                        {"type": "json", "data": "all"},
                        {"type": "text", "data": "mine"},
                        {"room": "chat:1", "offset": 1, "type": "json", "data": {"b": 2}},
                    ]

        run(main())

    def test_members_of_both_wires_hear_each_other(self, backend: Any, run: Run) -> None:
        from websockets.asyncio.client import connect

        async def main() -> None:
            server = chat()
            async with (
                running(server, backend) as url,
                listening(url, CHAT) as stream,
                connect(url.ws("/ws"), proxy=None) as client,
            ):
                await client.send('{"type":"join_room","room":"chat:1"}')
                await client.recv()
                asked = {"type": "broadcast", "room": "chat:1", "id": "i"}
                await client.send(json.dumps({**asked, "data": "from ws"}))
                await client.recv()
                heard = await stream.data()
                assert (heard["data"], heard["offset"]) == ("from ws", 1)
                assert await stream.say({**asked, "data": "from post"}) == 204
                found = json.loads(await client.recv())
                assert (found["data"], found["connection_id"]) == ("from post", stream.id)
                answer = await stream.data()
                assert (answer["data"]["type"], answer["id"]) == ("broadcast_success", "i")

        run(main())

    def test_a_message_is_written_once_for_all(
        self, backend: Any, run: Run, monkeypatch: Any
    ) -> None:
        import glyph_fast.hub.events as events

        made = []
        block = events.block
        monkeypatch.setattr(events, "block", lambda *a, **k: made.append(a) or block(*a, **k))

        async def main() -> None:
            server = chat()
            async with (
                running(server, backend) as url,
                listening(url, CHAT + "&room=chat:2") as one,
                listening(url, "/events?room=chat:2&room=chat:1") as two,
            ):
                await eventually(lambda: server.hub.get_room_manager().get_room_size("chat:2") == 2)
                made.clear()
                await server.hub.publish("chat:2", "x")
                assert (await one.next())[:3] == (await two.next())[:3]
                assert len(made) == 1

        run(main())

    def test_presence_counts_and_shows_streams(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                async with listening(url, "/events?room=shown:1") as stream:
                    assert [each.id for each in await server.hub.presence("shown:1")] == [stream.id]
                    assert await stream.say({"type": "presence", "room": "shown:1", "id": 1}) == 204
                    answer = await stream.data()
                    assert [each["id"] for each in answer["data"]["members"]] == [stream.id]
                await eventually(lambda: len(server.hub) == 0)
                assert await server.hub.presence("shown:1") == []

        run(main())


class TestSessions:
    def test_what_is_posted_is_answered_in_the_stream(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(), backend) as url, listening(url, CHAT) as stream:
                asked = {"event": "add", "data": {"a": 1, "b": 2}, "id": "q"}
                assert await stream.say(asked) == 204
                assert await stream.data() == {
                    "type": "json", "data": 3, "target": stream.id, "id": "q",
                }  # fmt: skip

        run(main())

    def test_a_call_of_the_server_is_answered_by_a_post(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                (conn,) = server.hub.get_connections()
                task = asyncio.ensure_future(conn.call("ask", 1))
                asked = await stream.data()
                assert (asked["event"], asked["data"]) == ("ask", 1)
                assert await stream.say({"type": "reply", "id": asked["id"], "data": 2}) == 204
                assert await task == 2

        run(main())

    def test_a_stream_of_no_rooms_joins_by_messages(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                async with listening(url, "/events", Session="new") as stream:
                    assert await stream.say({"type": "join_room", "room": "chat:1", "id": 1}) == 204
                    assert (await stream.data())["data"]["status"] == "joined"
                    await server.hub.publish("chat:1", "x")
                    event = await stream.next()
                    assert (event.json["offset"], event.id) == (1, "")

        run(main())

    @pytest.mark.parametrize(
        ("message", "headers", "status", "error"),
        [
            (b"{}", {"Content_Type": "text/plain"}, 415, "a message is sent as application/json"),
            (b"{}", {"Content_Type": "application/x-www-form-urlencoded"}, 415, None),
            (b"", {}, 400, "a message is JSON"),
            (b"{", {}, 400, "a message is JSON"),
            (b'"\xff"', {}, 400, "a message is JSON"),
            (b"[1]", {}, 400, "a message is an envelope, a JSON object"),
            (b"7", {}, 400, None),
            (b"{}" + b" " * 2000, {}, 413, "a message is at most 1000 bytes"),
            (b"{}" + b" " * 200_000, {}, 413, "a message is at most 1000 bytes"),
            (b"{}", {"Session": "x"}, 404, "no such session"),
            (b"{}", {"Session": "0." + "A" * 32}, 404, "no such session"),
            (b"{}", {"Session": "1." + "A" * 32}, 404, "no such session"),
            (b"{}", {"Session": "99999." + "A" * 32}, 404, "no such session"),
            (b"{}" + b" " * 200_000, {"Session": "0." + "A" * 32}, 404, "no such session"),
            (b"{}", {"Session": "\xe9"}, 404, "no such session"),
            (b"{}", {"Origin": "https://evil.example"}, 403, "origin not allowed"),
            (b"{}", {"Origin": "null"}, 403, "origin not allowed"),
        ],
    )  # fmt: skip
    def test_what_is_no_message_of_a_session_is_refused(
        self, backend: Any, run: Run, message: bytes, headers: Any, status: int, error: str | None
    ) -> None:
        async def main() -> None:
            server = chat(max_message_size=1000)
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                found, _, body = await say(url, "/events", stream.session, message, **headers)
                assert found == status
                if error is not None:
                    assert json.loads(body) == {"error": error}
                assert await stream.say({"type": "ping", "id": 1}) == 204  # nothing else suffers
                assert (await stream.data())["type"] == "pong"

        run(main())

    def test_without_a_session_it_is_no_message(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            async with running(chat(), backend) as url:
                status, _, body = await say(url, "/events", None, {})
                assert (status, json.loads(body)) == (
                    400,
                    {"error": "the field Session is missing"},
                )

        run(main())

    def test_a_chunked_body_is_bounded_as_well(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(max_message_size=1000)
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                peer = await url.peer()
                peer.write(
                    b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                    b"Transfer-Encoding: chunked\r\nSession: %b\r\n\r\n" % stream.session.encode()
                )  # fmt: skip
                peer.write(b"400\r\n" + b" " * 1024 + b"\r\n")
                assert (await peer.answer())[0] == 413
                await peer.close()

        run(main())

    def test_a_full_inbox_is_told_and_empties(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(inbox_messages=2)
            gate = asyncio.Event()
            done = []

            @server.on_event("wait")
            async def wait(ctx: MessageContext) -> None:
                await gate.wait()
                done.append(ctx.message.data)

            async with running(server, backend) as url, listening(url, CHAT) as stream:
                answers = [await stream.say({"event": "wait", "data": n}) for n in range(4)]
                assert answers == [204, 204, 204, 429]
                gate.set()
                await eventually(lambda: done == [0, 1, 2])
                assert await stream.say({"event": "wait", "data": 4}) == 204

        run(main())

    def test_a_session_ends_with_its_stream(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                async with listening(url, CHAT) as stream:
                    pass
                await eventually(lambda: len(server.hub) == 0)
                assert await stream.say({}) == 404
                assert len(server.hub._sessions) == 0

        run(main())


class TestResuming:
    def test_what_was_missed_comes_once_and_in_order(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            hub = server.hub
            path = CHAT + "&room=chat:2&room=live:1"
            async with running(server, backend) as url:
                async with listening(url, path) as stream:
                    for n in range(2):
                        await hub.publish("chat:1", str(n))
                        await hub.publish("chat:2", str(n))
                    for _ in range(3):  # and the fourth is lost
                        await stream.next()
                await eventually(lambda: len(hub) == 0)
                await hub.publish("chat:1", "2")
                async with listening(url, path, Last_Event_ID=stream.last_id) as again:
                    found = [await again.next() for _ in range(2)]
                    assert [(e.json["room"], e.json["data"]) for e in found] == [
                        ("chat:1", "2"), ("chat:2", "1"),
                    ]  # fmt: skip
                    await hub.publish("chat:1", "3")
                    assert (await again.next()).json["offset"] == 4
                    assert hub.metrics.resumes == {"resumed": 2}

        run(main())

    def test_every_id_is_one_to_resume_from(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            path = CHAT + "&room=chat:2"
            async with running(server, backend) as url:
                sent = []
                async with listening(url, path) as stream:
                    for n in range(6):
                        room = f"chat:{n % 2 + 1}"
                        await server.hub.publish(room, str(n))
                        sent.append(str(n))
                    events = [await stream.next() for _ in sent]
                for count, event in enumerate(events, 1):
                    async with listening(url, path, Last_Event_ID=event.id) as again:
                        missed = [(await again.next()).json["data"] for _ in sent[count:]]
                        assert sorted(missed) == sent[count:]

        run(main())

    def test_a_stream_that_has_heard_nothing_resumes(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                async with listening(url, CHAT) as stream:
                    server.hub.get_connections()[0].send("x")
                    await stream.next()
                await server.hub.publish("chat:1", "missed")
                async with listening(url, CHAT, Last_Event_ID=stream.last_id) as again:
                    assert (await again.data())["data"] == "missed"

        run(main())

    @pytest.mark.parametrize("id", ["7", "", "x" * 5000, "AAAAAAAA:e:1", "\xff", "a,b:c"])
    def test_an_id_that_is_not_ours_resumes_nothing(self, backend: Any, run: Run, id: str) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                await server.hub.publish("chat:1", "old")
                async with listening(url, CHAT, Last_Event_ID=id) as stream:
                    await server.hub.publish("chat:1", "new")
                    assert (await stream.data())["data"] == "new"

        run(main())

    def test_what_is_not_kept_any_more_is_told(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                async with listening(url, CHAT) as stream:
                    await server.hub.publish("chat:1", "0")
                    await stream.next()
                for n in range(30):
                    position = await server.hub.publish("chat:1", str(n))
                async with listening(url, CHAT, Last_Event_ID=stream.last_id) as again:
                    event = await again.next()
                    assert event.json == {
                        "type": "room_reset", "room": "chat:1", "data": position._asdict(),
                    }  # fmt: skip
                    await server.hub.publish("chat:1", "next")
                    assert (await again.data())["data"] == "next"
                    assert server.hub.metrics.resumes == {"refused": 1}
                async with listening(url, CHAT, Last_Event_ID=event.id) as again:
                    assert (await again.data())["data"] == "next"

        run(main())

    def test_a_position_lets_nobody_in(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url:
                async with listening(url, "/events?room=vip:1", X_Key="vip:1") as stream:
                    pass
                answer = await refusal(url, "/events?room=vip:1", Last_Event_ID=stream.last_id)
                assert answer[0] == 403

        run(main())

    def test_an_event_that_was_left_out_moves_the_place_on(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                await server.hub.publish("chat:1", "x", exclude=stream.id)
                event = await stream.next()
                assert event.json == {"type": "skip", "room": "chat:1", "offset": 1}
                async with listening(url, CHAT, Last_Event_ID=event.id) as again:
                    await server.hub.publish("chat:1", "y")
                    assert (await again.data())["data"] == "y"

        run(main())


class TestTheEnd:
    def test_a_client_that_goes_is_noticed(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            gone = []
            server.on_disconnect(lambda conn, code, reason: gone.append((code, conn.get_rooms())))
            async with running(server, backend) as url:
                async with listening(url, CHAT):
                    pass
                await eventually(lambda: gone == [(1006, ["chat:1"])])
                assert server.hub.get_room_manager().get_room("chat:1") is None

        run(main())

    def test_a_drain_ends_it_with_a_reason(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat()
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                await server.shutdown()
                event = await stream.next()
                assert (event.name, event.json["code"]) == ("close", 1001)
                with pytest.raises(EOFError):
                    await stream.next()

        run(main())

    def test_a_draining_server_opens_none(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(drain_delay=0.2)
            async with running(server, backend) as url:
                await url.get("/healthz")
                ending = asyncio.ensure_future(server.shutdown())
                await eventually(lambda: server._lifecycle.is_draining)
                assert await refusal(url) == (503, {"error": "server is shutting down"})
                await ending

        run(main())

    def test_comments_keep_it_alive(self, backend: Any, run: Run) -> None:
        async def main() -> None:
            server = chat(ping_interval=1)
            async with running(server, backend) as url, listening(url, CHAT) as stream:
                assert (await stream.next(comments=True)) == Event(id=stream.last_id)
                assert server.hub.get_connections()[0].is_healthy

        run(main())

    @pytest.mark.parametrize("policy", ["drop_oldest", "drop_newest", "disconnect", "block"])
    def test_a_slow_reader_is_one_as_any(self, backend: Any, run: Run, policy: str) -> None:
        async def main() -> None:
            server = chat(queue_messages=4, queue_policy=policy)
            async with running(server, backend) as url:
                async with listening(url, CHAT) as stream, listening(url, CHAT) as quick:
                    text = "x" * 400_000
                    heard = 0
                    slow = server.hub.get_connection(stream.id)
                    while slow.is_open and not slow.messages_dropped:
                        result = server.hub.broadcast_to_room("chat:1", text)
                        await quick.next()
                        heard += 1
                        assert heard < 200
                    if policy == "disconnect":
                        assert slow.close_code == 4008
                    else:
                        assert result.dropped + result.displaced >= 1
                    offsets = []
                    try:
                        while not offsets or offsets[-1] < heard - 1:
                            offsets.append((await stream.next()).json.get("offset", heard))
                    except (EOFError, asyncio.IncompleteReadError):
                        pass
                    assert offsets == sorted(offsets)

        run(main(), deadline=60)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_over_tls(backend: Any, run: Run, certificate: Any, version: str) -> None:
    async def main() -> None:
        server = chat()
        context = ssl.create_default_context(cafile=certificate.cert)
        options = {"tls_cert": certificate.cert, "tls_key": certificate.key}
        async with running(server, backend, **options) as url:
            async with listening(url, CHAT, context=context, version=version) as stream:
                await server.hub.publish("chat:1", "x" * 100_000)
                assert len((await stream.data())["data"]) == 100_000
                server.hub.get_connections()[0].close()
                assert (await stream.next()).name == "close"

    run(main())


def test_a_path_is_taken_once() -> None:
    server = Server()
    server.events("/events")
    with pytest.raises(ValueError, match="declared"):
        server.events("/events")
    with pytest.raises(ValueError):
        server.events("events")
    rows = [(each.method, each.pattern, each.handlers) for each in server.routes()]
    assert ("GET", "/events", ["server-sent events"]) in rows
    assert ("POST", "/events", ["messages of its clients"]) in rows


def test_a_path_may_have_both_wires(backend: Any, run: Run) -> None:
    from websockets.asyncio.client import connect

    async def main() -> None:
        server = Server()
        server.websocket("/live")
        server.events("/live")
        server.on_join("*")(lambda conn, room: True)
        async with running(server, backend) as url:
            async with connect(url.ws("/live"), proxy=None), listening(url, "/live?room=a"):
                assert len(server.hub) == 2

    run(main())
