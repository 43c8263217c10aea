"""Asking clients: the answer, its absence, and how much is read while one waits for it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect

from glyph_fast import (
    CallFailed,
    CallTimeout,
    Config,
    Connection,
    ConnectionClosed,
    MessageContext,
    MessageType,
    Server,
)
from glyph_fast.hub.calls import Calls
from glyph_fast.testing import TestClient
from tests.engine.peers import eventually
from tests.running import running

pytestmark = pytest.mark.both_cores


def asking(**options: Any) -> Server:
    """A server that asks who sends `ask`, and tells what came of it."""
    server = Server(Config(**options))

    @server.on_event("ask")
    async def ask(ctx: MessageContext) -> None:
        try:
            answer = await ctx.conn.call("question", ctx.message.data, timeout=5)
        except CallFailed as exc:
            answer = f"failed: {exc}"
        ctx.conn.send_json({"answer": answer})

    @server.on_message(MessageType.JSON)
    def other(ctx: MessageContext) -> None:
        ctx.conn.send_json({"json": ctx.message.data})

    return server


async def opened(client: TestClient, data: Any = 1) -> tuple[Any, str]:
    """A WebSocket that is being asked, and the id of the call."""
    ws = await client.connect()
    await ws.send_event("ask", data)
    question = await ws.receive_json()
    assert (question["type"], question["event"]) == ("json", "question")
    return ws, question["id"]


def test_a_handler_asks_its_own_client(backend: Any, run: Any) -> None:
    async def main() -> None:
        async with running(asking(), backend) as url, connect(url.ws("/ws")) as client:
            for n in range(3):
                await client.send(json.dumps({"event": "ask", "data": n}))
                question = json.loads(await client.recv())
                assert question["data"] == n and "target" not in question
                await client.send(
                    json.dumps({"type": "reply", "id": question["id"], "data": [n, "x"]})
                )
                assert json.loads(await client.recv()) == {"answer": [n, "x"]}

    run(main())


def test_a_task_asks_many_at_once_and_each_answers_for_itself() -> None:
    async def main() -> None:
        server = asking()
        async with TestClient(server) as client:
            peers = await client.connect_many(3)
            calls = [
                asyncio.ensure_future(conn.call("n"))
                for conn in server.hub.get_connections()
                for _ in range(2)
            ]
            for ws in reversed(peers):
                first, second = await ws.receive_json(), await ws.receive_json()
                for question in (second, first):
                    number = peers.index(ws) * 10 + (question is second)
                    await ws.send_json({"type": "reply", "id": question["id"], "data": number})
            assert await asyncio.gather(*calls) == [0, 1, 10, 11, 20, 21]

    asyncio.run(main())


def test_an_answer_may_be_nothing_or_an_error_of_any_kind() -> None:
    async def main() -> None:
        async with TestClient(asking()) as client:
            for members, heard in [
                ({}, None),
                ({"data": None}, None),
                ({"error": "busy"}, "failed: busy"),
                ({"error": {"code": 7}}, 'failed: {"code":7}'),
                ({"error": "busy", "data": 1}, "failed: busy"),
            ]:
                ws, id = await opened(client)
                await ws.send_json({"type": "reply", "id": id, **members})
                assert await ws.receive_json() == {"answer": heard}

    asyncio.run(main())


def test_a_second_and_a_late_reply_are_ignored_and_others_are_ordinary_json() -> None:
    async def main() -> None:
        async with TestClient(asking()) as client:
            ws, id = await opened(client)
            other = {"type": "reply", "id": "call-2", "data": 5}
            await ws.send_json(other)  # there was no second call: this waits for the handler
            await ws.send(
                json.dumps({"type": "reply", "id": id, "data": 1}).replace("r", "\\u0072")
            )
            await ws.send_json({"type": "reply", "id": id, "data": 2})
            assert await ws.receive_json() == {"answer": 1}
            assert await ws.receive_json() == {"json": other}
            await ws.send_json({"type": "reply", "id": id})
            await ws.expect_nothing()
            for value in (
                {"type": "reply", "id": f"{id}0"},
                {"type": "reply", "id": "call-01"},
                {"type": "reply", "id": "call-0"},
                {"type": "reply", "id": "call-" + "9" * 50},
                {"type": "reply", "id": "call-\u00b2"},
                {"type": "reply", "id": 1, "data": 2},
                {"type": "reply"},
            ):
                await ws.send_json(value)
                assert await ws.receive_json() == {"json": value}

    asyncio.run(main())


def test_a_reply_counts_on_the_connection_that_was_asked_alone() -> None:
    async def main() -> None:
        async with TestClient(asking()) as client:
            ada, id = await opened(client)
            eve = await client.connect()
            forged = {"type": "reply", "id": id, "data": "forged"}
            await eve.send_json(forged)
            assert await eve.receive_json() == {"json": forged}
            await ada.send_json({"type": "reply", "id": id, "data": "own"})
            assert await ada.receive_json() == {"answer": "own"}

    asyncio.run(main())


def test_no_answer_is_a_timeout_and_the_next_call_another() -> None:
    async def main() -> None:
        server = asking()
        async with TestClient(server) as client:
            ws = await client.connect()
            (conn,) = server.hub.get_connections()
            with pytest.raises(CallTimeout, match="the call 'q' was not answered within 0.01 s"):
                await conn.call("q", timeout=0.01)
            late = (await ws.receive_json())["id"]
            call = asyncio.ensure_future(conn.call("q", timeout=None))
            id = (await ws.receive_json())["id"]
            await ws.send_json({"type": "reply", "id": late, "data": "late"})
            await ws.send_json({"type": "reply", "id": id, "data": "in time"})
            assert await call == "in time"
            assert conn._calls is not None and not conn._calls.open

    asyncio.run(main())


def test_the_end_of_the_connection_ends_its_calls() -> None:
    async def main() -> None:
        server = asking()
        seen: list[Any] = []

        @server.on_disconnect
        async def gone(conn: Connection) -> None:
            with pytest.raises(ConnectionClosed):
                await conn.call("too late")
            seen.append("told")

        async with TestClient(server) as client:
            ws, _ = await opened(client)
            (conn,) = server.hub.get_connections()
            call = asyncio.ensure_future(conn.call("q"))
            await ws.receive()
            await ws.close(4000, "enough")
            with pytest.raises(ConnectionClosed, match="4000: enough"):
                await call
            await client.settle()
            assert seen == ["told"] and client.errors == []

    asyncio.run(main())


@pytest.mark.parametrize("way", ["handler", "stream"])
def test_reading_goes_on_to_twice_the_inbox_and_then_the_call_ends(way: str) -> None:
    async def main() -> None:
        server = Server(Config(inbox_messages=4))
        heard: list[Any] = []
        results: list[Any] = []

        async def ask(conn: Connection) -> None:
            try:
                results.append(await conn.call("question", timeout=5))
            except CallFailed as exc:
                results.append(str(exc))

        if way == "stream":

            @server.websocket("/ws")
            async def read(conn: Connection) -> None:
                await ask(conn)
                async for message in conn:
                    heard.append(message)
                    if message == "again":
                        await ask(conn)
        else:

            @server.on_connect(route="/ws")
            async def first(conn: Connection) -> None:
                await ask(conn)

            @server.on_message(MessageType.TEXT)
            async def text(ctx: MessageContext) -> None:
                heard.append(ctx.message.data)
                if ctx.message.data == "again":
                    await ask(ctx.conn)

        async with TestClient(server) as client:
            ws = await client.connect()
            id = (await ws.receive_json())["id"]
            for n in range(7):  # the inbox takes four, and twice that is eight
                await ws.send(str(n))
            await client.settle()
            assert not ws.is_paused
            await ws.send_json({"type": "reply", "id": id, "data": "found"})
            await ws.send("again")
            await eventually(lambda: len(heard) == 8)
            assert results == ["found"]
            assert json.loads(await ws.receive())["event"] == "question"
            for n in range(8):
                await ws.send(str(n))
            await eventually(lambda: len(results) == 2)
            assert results == ["found", "inbox is full"]
            await eventually(lambda: len(heard) == 16)
            assert heard == [*map(str, range(7)), "again", *map(str, range(8))]

    asyncio.run(main())


def test_a_call_made_behind_a_full_inbox_reads_on() -> None:
    async def main() -> None:
        server = Server(Config(inbox_messages=2))
        gate = asyncio.Event()

        @server.on_message(MessageType.TEXT)
        async def slow(ctx: MessageContext) -> None:
            await gate.wait()
            ctx.conn.send(await ctx.conn.call("question"))
            gate.clear()

        async with TestClient(server) as client:
            ws = await client.connect()
            for text in "abc":
                await ws.send(text)
            await client.settle()
            assert ws.is_paused
            gate.set()
            id = (await ws.receive_json())["id"]
            assert not ws.is_paused
            await ws.send_json({"type": "reply", "id": id, "data": "now"})
            assert await ws.receive() == "now"

    asyncio.run(main())


def test_what_cannot_be_sent_or_heard_is_told_at_once() -> None:
    async def main() -> None:
        for words in ("none", "join_room,ping"):
            server = Server(Config(client_commands=words))
            server.websocket("/ws")
            async with TestClient(server) as client:
                ws = await client.connect()
                with pytest.raises(CallFailed, match="client_commands is without `reply`"):
                    await ws.connection.call("q")
        server = Server(Config(queue_messages=1, queue_policy="drop_newest"))
        server.websocket("/ws")
        async with TestClient(server) as client:
            ws = await client.connect()
            with pytest.raises(TypeError, match="name of the event"):
                await ws.connection.call("")
            with pytest.raises(TypeError):
                await ws.connection.call("q", object())
            ws.stall()
            ws.connection.send("x" * 100_000)
            with pytest.raises(CallFailed, match="queue of the connection is full"):
                await ws.connection.call("q")
            assert not ws.connection._calls.open

    asyncio.run(main())


def test_calls_are_of_the_servers_loop() -> None:
    async def main() -> None:
        server = asking()
        async with TestClient(server) as client:
            ws = await client.connect()
            conn = ws.connection
            caught = await asyncio.to_thread(lambda: asyncio.run(elsewhere(conn)))
            assert "another one" in str(caught)

    async def elsewhere(conn: Connection) -> BaseException | None:
        try:
            await conn.call("q")
        except RuntimeError as exc:
            return exc
        return None

    asyncio.run(main())


def test_with_a_list_of_words_an_unknown_id_is_refused() -> None:
    async def main() -> None:
        async with TestClient(asking(client_commands="reply")) as client:
            ws, id = await opened(client)
            await ws.send_json({"type": "reply", "id": id, "data": 3})
            assert await ws.receive_json() == {"answer": 3}
            await ws.send_json({"type": "reply", "id": "call-9"})
            answer = await ws.receive_json()
            assert answer["data"] == {"error": "no such call"} and answer["id"] == "call-9"

    asyncio.run(main())


def test_no_handler_can_be_registered_for_replies() -> None:
    with pytest.raises(ValueError, match="no received message is of type 'reply'"):
        Server().on_message(MessageType.REPLY)


@pytest.mark.parametrize(
    "payload",
    ['"reply"', '["reply"]', '{"reply"', '{"type":"reply"}', '{"type":"reply","id":"call-1"}'],
)
def test_what_is_no_reply_is_not_taken(payload: str) -> None:
    assert not Calls().take(payload)
