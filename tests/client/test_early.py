"""What is sent as it is before there was a connection."""

from __future__ import annotations

import asyncio

from tests.client.fake import Bench, settle


async def test_what_is_sent_before_the_first_connection_is_open_waits_for_it(bench: Bench) -> None:
    server = bench.connect()
    server.on("state", lambda state: state == "open" and server.send("last"))
    assert server.send(b"bytes")
    await settle()
    first = bench.socket
    first.end()  # the server was not there yet
    assert server.send("text")
    while bench.socket is first:
        await asyncio.sleep(0.1)
    socket = bench.socket.open()
    assert server.send({"a": [1]})
    assert len(socket.sent) == 1  # the ping: it may still be a refusal
    socket.pong()
    assert socket.sent == [b"bytes", "text", '{"a":[1]}', "last"]


async def test_what_is_sent_before_the_first_connection_has_limits_and_goes_with_it(
    bench: Bench,
) -> None:
    server = bench.connect()
    assert [server.send("x") for _ in range(10_001)].index(False) == 10_000
    await settle()
    bench.socket.end(1008)
    assert server.state == "closed" and not server.send("x")


async def test_of_large_messages_fewer_wait_for_the_first_connection(bench: Bench) -> None:
    server = bench.connect()
    assert server.send(b"x" * (16 * 1024 * 1024)) and not server.send("x")
