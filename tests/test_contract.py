"""Sentences of the contract that no other file tests, each against a server with real sockets."""

from __future__ import annotations

import json
import re
import threading
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed as PeerClosed

from glyph_fast import Config, ConnectionClosed, ConnectionNotFound, MessageType, Server
from glyph_fast.core import encode_frame
from glyph_fast.wire import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MAX_BODY,
    MAX_HEAD,
    MAX_REQUEST_LINE,
    PING,
    TEXT,
)
from tests.engine.peers import MASK, Peer
from tests.running import Url, running

TIMESTAMP = re.compile(r'"timestamp":"[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}\.[0-9]+Z"}$')
ID = re.compile(r'"(target|connection_id)":"[0-9a-f]{32}"')


def exact(text: str | bytes) -> str:
    """An envelope as it came, its id and its time put as ID and T once they look like ones."""
    assert isinstance(text, str)
    text, n_times = TIMESTAMP.subn('"timestamp":T}', text)
    assert n_times == 1
    return ID.sub(r'"\1":ID', text)


def answer(data: str, type_: str = "json") -> str:
    return f'{{"type":"{type_}","data":{data},"target":ID,"timestamp":T}}'


def error(text: str) -> str:
    return answer(f'{{"error":"{text}"}}', "error")


ANSWERS = [  # sent in this order on one connection
    (
        '{"type":"join_room","room":"r"}',
        answer('{"type":"join_room_success","room":"r","status":"joined"}'),
    ),
    (
        '{"type":"leave_room","room":"r"}',
        answer('{"type":"leave_room_success","room":"r","status":"left"}'),
    ),
    ('{"type":"ping"}', answer('{"timestamp":null}', "pong")),
    ('{"type":"ping","timestamp":"then"}', answer('{"timestamp":"then"}', "pong")),
    ('{"type":"join_room"}', error("room is missing")),
    ('{"type":"join_room","room":"full"}', error("room is full")),
    ('{"type":"broadcast","room":"r","data":1}', error("not a member of this room")),
    ('{"type":"broadcast","data":1}', error("a broadcast needs a room")),
]


def test_built_in_messages_are_answered_to_the_letter(backend, run):
    async def main():
        server = Server(Config(max_room_members=1))
        server.room("*", client_join=True)

        async with running(server, backend) as url, connect(url.ws("/ws")) as other:
            await other.send('{"type":"join_room","room":"full"}')
            await other.recv()
            async with connect(url.ws("/ws")) as client:
                for sent, wanted in ANSWERS:
                    await client.send(sent)
                    assert exact(await client.recv()) == wanted

    run(main())


def test_a_broadcast_of_a_client_is_an_envelope_to_the_letter(backend, run):
    async def main():
        server = Server()
        server.room("*", client_join=True)
        async with running(server, backend) as url:
            async with connect(url.ws("/ws")) as one, connect(url.ws("/ws")) as two:
                for client in (one, two):
                    await client.send('{"type":"join_room","room":"r"}')
                    await client.recv()
                await one.send('{"type":"broadcast","room":"r","data":{"x":null},"id":7}')
                assert exact(await two.recv()) == (
                    '{"type":"json","data":{"x":null},"room":"r","connection_id":ID,"timestamp":T}'
                )

    run(main())


def frame(opcode: int, payload: bytes = b"") -> bytes:
    return encode_frame(opcode, payload, key=MASK)


BROKEN = {
    "an answer to a close": (frame(CLOSE, b"\x03\xe8"), 1000),
    "a frame without a mask": (encode_frame(TEXT, b"x"), 1002),
    "a reserved bit": (b"\xc1" + frame(TEXT)[1:], 1002),
    "an unknown opcode": (b"\x83" + frame(TEXT)[1:], 1002),
    "a continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "a ping in fragments": (b"\x09" + frame(PING)[1:], 1002),
    "a close with a code nobody may send": (frame(CLOSE, b"\x03\xed"), 1002),
    "a close with half a code": (frame(CLOSE, b"\x03"), 1002),
    "a text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "a reason that is not UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "a message over the limit": (frame(BINARY, bytes(524_289)), 1009),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_the_protocol_is_closed_with_its_code(name, backend, run):
    sent, code = BROKEN[name]

    async def main():
        async with running(Server(), backend) as url:
            peer = await upgraded(url)
            peer.write(sent)
            opcode, payload = await peer.frame()
            assert (opcode, int.from_bytes(payload[:2], "big")) == (CLOSE, code)
            await peer.close()

    run(main())


async def upgraded(url: Url) -> Peer:
    peer = await url.peer()
    await peer.upgrade(b"/ws")
    return peer


def request(line: str, *fields: str) -> bytes:
    return "\r\n".join([line, "Host: x", *fields, "", ""]).encode()


def line_of(size: int) -> str:
    return "GET /".ljust(size - len(" HTTP/1.1"), "a") + " HTTP/1.1"


def head_of(size: int) -> bytes:
    return request("GET /a HTTP/1.1", "A: " + "a" * (size - len(request("GET /a HTTP/1.1", "A: "))))


BAD_REQUESTS = {
    "no request": (b"hello\r\n\r\n", 400),
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "two lengths": (request("POST /p HTTP/1.1", "Content-Length: 1", "Content-Length: 2"), 400),
    "a length and chunks": (
        request("POST /p HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"),
        400,
    ),
    "a body over the limit": (
        request("POST /p HTTP/1.1", f"Content-Length: {MAX_BODY + 1}"),
        413,
    ),
    "a line over the limit": (request(line_of(MAX_REQUEST_LINE + 1)), 414),
    "a head over the limit": (head_of(MAX_HEAD + 1), 431),
    "a coding that is not there": (request("POST /p HTTP/1.1", "Transfer-Encoding: gzip"), 501),
    "a method that is not there": (request("BREW / HTTP/1.1"), 501),
}


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_answered_and_closed(name, backend, run):
    sent, status = BAD_REQUESTS[name]

    async def main():
        server = Server()
        server.post("/p")(lambda request: "posted")
        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(sent)
            found, headers, body = await peer.answer()
            assert (found, headers["connection"], list(json.loads(body))) == (
                status,
                "close",
                ["error"],
            )
            assert await peer.rest() == b""
            await peer.close()

    run(main())


@pytest.mark.parametrize(
    "sent", [request(line_of(MAX_REQUEST_LINE)), head_of(MAX_HEAD)], ids=["line", "head"]
)
def test_a_request_of_exactly_the_limit_is_served(sent, backend, run):
    async def main():
        async with running(Server(), backend) as url:
            peer = await url.peer()
            peer.write(sent)
            status, headers, body = await peer.answer()
            assert (status, headers["connection"]) == (404, "keep-alive")
            assert list(json.loads(body)) == ["error", "path"]
            await peer.close()

    run(main())


def test_what_another_thread_sends_is_pending_and_keeps_its_order(backend, run):
    results: list[Any] = []

    async def main():
        server = Server()

        @server.on_message(MessageType.TEXT)
        def handle(ctx):
            def work():
                conn, hub = ctx.conn, server.hub
                calls = [
                    conn.send("1"),
                    hub.broadcast("2"),
                    conn.join_room("r"),
                    hub.broadcast_to_room("r", "3"),
                    hub.send_to(conn.id, "4"),
                    conn.leave_room("r"),
                    hub.broadcast_to_room("r", "nobody"),
                    hub.broadcast("nobody", exclude=[conn]),
                    hub.broadcast_json([5]),
                    conn.close(4000, "6"),
                ]
                results.extend(calls)

            threading.Thread(target=work).start()

        async with running(server, backend) as url, connect(url.ws("/ws")) as client:
            await client.send("go")
            assert [message async for message in receive(client)] == ["1", "2", "3", "4", "[5]"]
            assert (client.close_code, client.close_reason) == (4000, "6")

    run(main())
    others = [results.pop(place) for place in (9, 5, 2)]  # close, leave_room, join_room
    assert others == [None] * 3
    assert [(result, result.pending) for result in results] == [((0, 0, 0), True)] * 7


async def receive(client):
    """What comes until the connection closes, with whatever code."""
    try:
        while True:
            yield await client.recv()
    except PeerClosed:
        pass


def test_what_cannot_be_done_is_an_error_of_its_own(backend, run):
    raised: list[type[Exception]] = []

    async def main():
        server = Server()

        @server.on_message(MessageType.TEXT)
        def handle(ctx):
            conn, hub = ctx.conn, server.hub
            calls = [
                lambda code=code: conn.close(code) for code in (0, 999, 1005, 1006, 1015, 5000)
            ]
            calls += [lambda: hub.send_to("nobody", "x"), lambda: conn.send(5)]
            calls += [conn.close, lambda: conn.send("x"), lambda: conn.join_room("r")]
            for call in calls:
                try:
                    call()
                except Exception as exc:
                    raised.append(type(exc))

        async with running(server, backend) as url, connect(url.ws("/ws")) as client:
            await client.send("go")
            await client.wait_closed()
            assert client.close_code == 1000

    run(main())
    assert raised == [
        *[ValueError] * 6, ConnectionNotFound, TypeError, ConnectionClosed, ConnectionClosed
    ]  # fmt: skip
