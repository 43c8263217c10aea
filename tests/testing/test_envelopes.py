"""A client of a test that answers calls."""

from __future__ import annotations

import asyncio

import pytest

from glyph_fast import CallFailed, Server
from glyph_fast.testing import SyncTestClient, TestClient


def asked() -> Server:
    server = Server()
    server.websocket("/ws")
    return server


def test_an_answer_goes_to_whoever_has_called() -> None:
    async def main() -> None:
        async with TestClient(asked()) as client:
            ws = await client.connect()
            call = asyncio.ensure_future(ws.connection.call("price", {"of": "tea"}))
            assert await ws.answer("price", 3) == {"of": "tea"}
            assert await call == 3
            call = asyncio.ensure_future(ws.connection.call("price"))
            assert await ws.answer("price", error="sold out") is None
            with pytest.raises(CallFailed, match="^sold out$"):
                await call

    asyncio.run(main())


def test_what_is_no_such_call_is_told() -> None:
    async def main() -> None:
        async with TestClient(asked()) as client:
            ws = await client.connect()
            ws.connection.send_json({"event": "price"})
            with pytest.raises(AssertionError, match="expected a call of 'price', got"):
                await ws.answer("price", 3)
            with pytest.raises(TimeoutError, match="no message came"):
                await ws.answer("price", 3, timeout=0.01)

    asyncio.run(main())


def test_without_await() -> None:
    server = asked()

    @server.on_event("buy")
    async def buy(ctx) -> None:
        ctx.reply_json(await ctx.conn.call("sure?", "tea"))

    with SyncTestClient(server) as client, client.connect() as ws:
        ws.send_event("buy")
        assert ws.answer("sure?", True) == "tea"
        assert ws.receive_json()["data"] is True


def shown() -> Server:
    server = asked()
    server.room("r", client_join=True, presence=True)
    return server


def test_a_room_is_joined_and_asked_in_one_line() -> None:
    async def main() -> None:
        async with TestClient(shown()) as client:
            ada, bob = await client.connect_many(2)
            joined = await ada.join("r", presence=True)
            assert [each["id"] for each in joined["presence"]["members"]] == [ada.connection.id]
            await bob.join("r")
            for text in ("one", "two"):
                ada.connection.send(text)
            assert len(await ada.present("r")) == 2
            assert [await ada.receive(), await ada.receive()] == ["one", "two"]  # still unread
            assert (await bob.ask("ping", timestamp="then"))["timestamp"] == "then"
            with pytest.raises(AssertionError, match="join_room was refused: clients may not join"):
                await ada.join("other")

    asyncio.run(main())


def test_a_room_is_joined_without_await() -> None:
    with SyncTestClient(shown()) as client, client.connect() as ws:
        assert ws.join("r")["status"] == "joined"
        assert len(ws.present("r")) == 1
        assert ws.ask("leave_room", room="r")["status"] == "left"
