"""`json_default`: whatever a server writes, the program is asked about values of its own."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest
from websockets.asyncio.client import connect

from glyph_fast import Config, Message, MessageType, Reject, Response, Server
from tests.running import running

WRITTEN = {"price": "1.50"}


def value() -> dict[str, Any]:
    return {"price": Decimal("1.50")}


def default(of: object) -> object:
    if isinstance(of, Decimal):
        return str(of)
    raise TypeError(f"nothing stands for {type(of).__name__}")


def of_many(server: Server, hub: Any) -> list[Any]:
    """The ways to send to more than one; each gives one message to one member of the room."""
    room = hub.get_room_manager().get_room("r")
    message = Message(MessageType.JSON, value())
    return [
        hub.broadcast_json(value()),
        hub.broadcast_json_to_room("r", value()),
        hub.broadcast_event("e", value()),
        hub.broadcast_event("e", value(), room="r"),
        hub.broadcast(message),
        hub.broadcast_to_room("r", message),
        hub.send_to_user("ann", message),
        room.broadcast(message),
    ]


def program() -> Server:
    server = Server(Config(json_default=default))
    server.authenticate(lambda request: "ann")

    @server.on_connect
    def enter(conn):
        conn.join_room("r")

    @server.on_event("own")
    def own(ctx):
        conn = ctx.conn
        message = Message(MessageType.JSON, value())
        return [
            conn.send_json(value()),
            conn.send_message(message),
            conn.send(message),
            conn.send_event("e", value()),
            server.hub.send_to(conn.id, message),
            ctx.reply_json(value()),
            ctx.reply(MessageType.JSON, value()),
            ctx.broadcast(MessageType.JSON, value()),
        ][:0]

    @server.on_event("many")
    def many(ctx):
        of_many(server, server.hub)

    @server.on_event("answer")
    def answer(ctx):
        ctx.reply_json(value())

    @server.on_message(MessageType.JSON)
    def bare(ctx):
        ctx.reply_json(value())
        ctx.reply(MessageType.JSON, value())

    server.get("/returned")(lambda request: value())
    server.get("/answered")(lambda request: Response(value(), 201))
    constant = Response(value())
    server.get("/constant")(lambda request: constant)

    @server.get("/refused")
    def refused(request):
        raise Reject(409, value())

    @server.get("/later")
    async def later(request):
        await asyncio.sleep(0)
        return Response(value())

    server.get("/unknown")(lambda request: Response({"a": [{1}]}))
    return server


def data(text: str) -> Any:
    """What a message says, be it in an envelope."""
    received = json.loads(text)
    return received["data"] if "type" in received or "event" in received else received


@pytest.mark.parametrize(("event", "n"), [("own", 8), ("many", 8), ("answer", 1)])
def test_every_way_to_send_asks_it(backend, run, event, n):
    async def main():
        async with running(program(), backend) as url, connect(url.ws("/ws")) as client:
            await client.send(json.dumps({"event": event, "id": 7}))
            received = [await asyncio.wait_for(client.recv(), 5) for _ in range(n)]
            assert [data(each) for each in received] == [WRITTEN] * n

    run(main())


def test_an_answer_to_bare_json_asks_it(backend, run):
    async def main():
        async with running(program(), backend) as url, connect(url.ws("/ws")) as client:
            await client.send("[1]")
            assert [json.loads(await client.recv()) for _ in range(2)] == [WRITTEN] * 2

    run(main())


def test_every_http_answer_asks_it(backend, run):
    async def main():
        server = program()
        async with running(server, backend) as url:
            for path, status in [
                ("/returned", 200), ("/answered", 201), ("/constant", 200), ("/constant", 200),
                ("/refused", 409), ("/later", 200),
            ]:  # fmt: skip
                found, headers, body = await url.get(path)
                assert (found, json.loads(body)) == (status, WRITTEN), path
                assert headers["content-type"] == "application/json"
            assert (await url.get("/unknown"))[0] == 500
            assert server.hub.metrics.handler_errors == 1

    run(main())


def test_a_reject_of_an_upgrade_asks_it(backend, run):
    async def main():
        server = Server(Config(json_default=default))

        @server.authenticate
        def nobody(request):
            raise Reject(403, value())

        async with running(server, backend) as url:
            with pytest.raises(Exception) as caught:
                await connect(url.ws("/ws"))
            assert json.loads(caught.value.response.body) == WRITTEN

    run(main())


def test_a_reject_of_a_handler_asks_it(backend, run):
    async def main():
        server = Server(Config(json_default=default))

        @server.on_join
        def nobody(conn, room):
            raise Reject(403, value())

        async with running(server, backend) as url, connect(url.ws("/ws")) as client:
            await client.send('{"type":"join_room","room":"r"}')
            assert json.loads(data(await client.recv())["error"]) == WRITTEN

    run(main())


@pytest.mark.parametrize("event", ["on_connect", "on_join"])
def test_a_reject_that_cannot_be_written_refuses_all_the_same(backend, run, event, caplog):
    async def main():
        server = Server()

        def nobody(*args):
            raise Reject(403, {"set": {1}})

        getattr(server, event)(nobody)
        async with running(server, backend) as url, connect(url.ws("/ws")) as client:
            if event == "on_join":
                await client.send('{"type":"join_room","room":"r"}')
                answer = data(await client.recv())
                assert answer == {"error": "not allowed to join this room"}
            else:
                await asyncio.wait_for(client.wait_closed(), 5)
                assert (client.close_code, client.close_reason) == (1008, "")
        assert "set is not a JSON value, at ['set']" in caplog.text

    run(main())


def test_without_it_such_a_value_is_refused_and_named(backend, run):
    async def main():
        server = Server()
        errors = []

        @server.on_message
        def bare(ctx):
            for send in (ctx.conn.send_json, ctx.reply_json, server.hub.broadcast_json):
                try:
                    send(value())
                except TypeError as exc:
                    errors.append(str(exc))
            ctx.reply_json("done")

        async with running(server, backend) as url, connect(url.ws("/ws")) as client:
            await client.send("[1]")
            await client.recv()
            assert errors == ["Decimal is not a JSON value, at ['price']"] * 3

    run(main())
