"""What clients are answered about presence, and refused; the rest is in `tests/hub`."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from glyph_fast import Config, Connection, Identity, MessageContext, Server
from glyph_fast.testing import TestClient
from tests.engine.peers import eventually
from tests.running import running
from tests.wired import Site

pytestmark = pytest.mark.both_cores


def rooms(**options: Any) -> Server:
    server = Server(Config(**options))
    server.room("r", client_join=True, presence=True)
    server.room("plain", client_join=True)

    @server.authenticate
    def who(request: Any) -> Identity | None:
        name = request.query.get("name")
        return Identity(name, {"name": name.title()}) if name else None

    @server.on_message("json")
    def other(ctx: MessageContext) -> None:
        ctx.conn.send_json({"json": ctx.message.data})

    server.websocket("/ws")
    return server


async def ask(ws: Any, **message: Any) -> Any:
    """The data of the answer; an error is its text."""
    await ws.send_json({**message, "id": 1})
    answer = await ws.receive_json()
    assert answer.get("id") == 1 and answer["target"] == ws.connection.id, answer
    return answer["data"].get("error", answer["data"])


def test_who_joins_with_presence_is_told_who_is_there_and_then_of_all_changes(
    backend: Any, run: Any
) -> None:
    async def main() -> None:
        async with running(rooms(), backend) as url, connect(url.ws("/ws?name=ada")) as ada:

            async def next_of(client: Any) -> Any:
                return json.loads(await asyncio.wait_for(client.recv(), 10))

            await ada.send('{"type":"join_room","room":"r","presence":true,"id":7}')
            answer = await next_of(ada)
            assert list(answer) == ["type", "data", "target", "timestamp", "id"]
            one = {"id": answer["target"], "user": "ada", "info": {"name": "Ada"}}
            assert answer["data"] == {
                "type": "join_room_success", "room": "r", "status": "joined",
                "presence": {"version": 0, "members": [one]},
            }  # fmt: skip
            async with connect(url.ws("/ws?name=bob")) as bob:
                await bob.send('{"type":"join_room","room":"r"}')
                other = {"id": (await next_of(bob))["target"], "user": "bob"}
                joined = await next_of(ada)
                assert joined["data"] == {
                    "version": 1, "joined": [{**other, "info": {"name": "Bob"}}], "left": []
                }  # fmt: skip
                bob.transport.abort()  # it crashes
                left = await next_of(ada)
                assert left["data"] == {
                    "version": 2, "joined": [], "left": joined["data"]["joined"]
                }  # fmt: skip

    run(main())


def test_members_may_ask_and_others_are_refused() -> None:
    async def main() -> None:
        async with TestClient(rooms()) as client:
            ada, bob = await client.connect("/ws?name=ada"), await client.connect()
            await ask(ada, type="join_room", room="r")
            answer = await ask(ada, type="presence", room="r")
            one = {"id": ada.connection.id, "user": "ada", "info": {"name": "Ada"}}
            assert answer == {"type": "presence", "room": "r", "version": 0, "members": [one]}
            assert await ask(bob, type="presence", room="r") == "not a member of this room"
            await asyncio.sleep(0.15)
            await ada.expect_nothing()  # who only asks does not follow

    asyncio.run(main())


def test_where_there_is_no_presence_the_words_mean_nothing() -> None:
    async def main() -> None:
        async with TestClient(rooms()) as client:
            ws = await client.connect()
            joined = await ask(ws, type="join_room", room="plain", presence=True)
            assert "presence" not in joined
            for value in (
                {"type": "presence", "room": "plain"},
                {"type": "presence"},
                {"type": "presence", "room": 7},
            ):
                await ws.send_json(value)
                assert await ws.receive_json() == {"json": value}

    asyncio.run(main())


def test_a_bad_wish_joins_nothing() -> None:
    async def main() -> None:
        async with TestClient(rooms()) as client:
            ws = await client.connect()
            for wish in ("yes", 1, [], {}):
                error = await ask(ws, type="join_room", room="r", presence=wish)
                assert error == "presence must be true or false"
            assert ws.connection.get_rooms() == []
            assert "presence" not in await ask(ws, type="join_room", room="r", presence=False)

    asyncio.run(main())


def test_with_a_list_of_words_presence_is_asked_of_any_room() -> None:
    async def main() -> None:
        async with TestClient(rooms(client_commands="join_room,presence")) as client:
            ws = await client.connect()
            assert await ask(ws, type="presence", room="plain") == "this room has no presence"
            assert await ask(ws, type="presence") == "room is missing"

    asyncio.run(main())


def test_a_second_join_is_answered_like_the_first_and_one_who_leaves_follows_no_longer() -> None:
    async def main() -> None:
        async with TestClient(rooms()) as client:
            ada, bob = await client.connect(), await client.connect()
            await ask(ada, type="join_room", room="r")
            for _ in range(2):
                joined = await ask(ada, type="join_room", room="r", presence=True)
                assert len(joined["presence"]["members"]) == 1
            await ask(bob, type="join_room", room="r")
            await eventually(lambda: len(ada.unread) >= 1)
            assert await ask_last(ada, type="leave_room", room="r") == {
                "type": "leave_room_success", "room": "r", "status": "left"
            }  # fmt: skip
            await ask(bob, type="leave_room", room="r")
            await asyncio.sleep(0.15)
            await ada.expect_nothing()

    async def ask_last(ws: Any, **message: Any) -> Any:
        await ws.send_json(message)
        while (answer := await ws.receive_json())["type"] == "presence":
            assert answer["data"]["version"] in (1, 2)
        return answer["data"]

    asyncio.run(main())


def test_info_that_changes_is_told_again() -> None:
    site = Site(Config(rooms={"r": {"client_join": True, "presence": True}}))
    ada, bob = site.connect(identity="ada"), site.connect()
    presence = site.hub.get_room_manager()._presence
    for peer in (ada, bob):
        peer.send({"type": "join_room", "room": "r", "presence": True})
    presence.tell()
    ada.json()
    conn: Connection = bob.conn
    conn.info = "a"
    conn.info = "b"
    presence.tell()
    conn.info = "b"
    presence.tell()
    (push,) = ada.json()
    assert push["data"]["joined"] == [{"id": bob.id, "user": None, "info": "b"}]
