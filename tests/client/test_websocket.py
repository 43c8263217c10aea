"""One WebSocket against a server that is the test: bytes in, bytes out."""

from __future__ import annotations

import asyncio
import gc
import logging
import random
import sys
from typing import Any

import pytest

from glyph_fast.client import connect
from tests.client.served import Heard, answer, asked, closing, talk, text

pytestmark = pytest.mark.both_cores


def test_messages_come_in_any_pieces(run: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = (await asked(reader))["Sec-WebSocket-Key"]
        frames = text("one") + bytes([0x82, 2, 1, 2]) + text("two") + closing(4000, "enough")
        for byte in answer(key, "Sec-WebSocket-Protocol: glyph-fast") + frames:
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await reader.readexactly(2))[0] == 0x88  # its answer to the close

    log, _ = run(talk(serve))
    assert log == ["opened", "one", b"\x01\x02", "two", (4000, "enough")]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "the server answered 404 Not Found"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "the server answered 400 Bad Request"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "the server answered 200 OK"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "malformed answer to the handshake"),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n", "missing 'Connection: upgrade'"),
        (b"x" * 70_000, "the server's answer is too long"),
        (b"", "connection lost"),
    ],
)
def test_an_answer_that_is_none_is_why_it_ended(run: Any, said: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(said)

    assert run(talk(serve))[0] == [(1006, reason)]


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("Sec-WebSocket-Protocol: chat", "the server chose a subprotocol that was not offered"),
        (
            "Sec-WebSocket-Extensions: x",
            "the answer agrees to an extension that was not offered so",
        ),
    ],
)
def test_what_was_not_offered_is_refused(run: Any, field: str, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"], field))

    ((code, said),) = run(talk(serve))[0]
    assert code == 1006 and said.startswith(reason)


def test_without_compression_no_extension_is_offered_or_taken(run: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fields = await asked(reader)
        assert "Sec-WebSocket-Extensions" not in fields
        extension = "Sec-WebSocket-Extensions: permessage-deflate"
        writer.write(answer(fields["Sec-WebSocket-Key"], extension))

    reason = "the server chose an extension that was not offered"
    assert run(talk(serve, compression=False))[0] == [(1006, reason)]


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"\x83\x00", "the server broke the protocol: unknown opcode 3"),
        (b"\x81\x80\x00\x00\x00\x00", "the server broke the protocol: frame must not be masked"),
        (b"\x81\x01\xff", "the server broke the protocol: text is not UTF-8"),
        (b"\x82\x7e\x03\xe9", "the server broke the protocol: message is larger than 1000 bytes"),
    ],
)
def test_a_server_that_breaks_the_protocol_is_left_but_not_for_good(
    run: Any, frame: bytes, reason: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]) + frame)
        assert (await reader.readexactly(2))[0] == 0x88

    assert run(talk(serve, max_size=1000))[0] == ["opened", (1006, reason)]


def test_a_close_without_a_code_is_1005_and_an_end_without_a_close_1006(run: Any) -> None:
    async def empty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]) + b"\x88\x00")
        await reader.read(100)

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]) + text("hi")[:2])

    assert run(talk(empty))[0] == ["opened", (1005, "")]
    assert run(talk(cut))[0] == ["opened", (1006, "connection lost")]


def test_pings_are_answered_and_ours_are_sent(run: Any) -> None:
    async def main() -> None:
        heard = Heard()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]) + b"\x89\x00")
            assert (await reader.readexactly(6))[0] == 0x8A
            heard.socket.ping()
            assert (await reader.readexactly(2))[0] == 0x89
            writer.write(closing(1000))

        assert (await talk(serve, heard))[0] == ["opened", (1000, "")]

    run(main())


def test_a_server_that_does_not_end_the_transport_is_left_after_a_while(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glyph_fast.client.websocket.CLOSE_WITHIN", 0.05)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]) + closing(1012))
        while await reader.read(100):
            pass

    async def main() -> None:
        log, heard = await asyncio.wait_for(talk(serve), 20)
        assert log == ["opened", (1012, "")]

    run(main())


@pytest.mark.slow
def test_two_thousand_lost_connections_leave_no_memory_behind(
    run: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ten thousand, of the parts above the socket: `test_link.py`."""
    monkeypatch.setattr(random, "random", lambda: 0.0)  # no pauses
    caplog.set_level(logging.ERROR)  # else pytest keeps what is logged
    blocks: list[int] = []
    count = 0

    async def main() -> None:
        done = asyncio.Event()

        async def serving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal count
            writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]) + text("hello"))
            await reader.read(1)
            writer.transport.abort()
            count += 1
            if count in (500, 2_000):
                gc.collect()
                blocks.append(sys.getallocatedblocks())
            if count == 2_000:
                done.set()

        server = await asyncio.start_server(serving, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}/") as client:
            client.join("lobby")
            await done.wait()
        server.close()

    run(main(), deadline=110)
    assert blocks[1] - blocks[0] < 1_500  # less than one for each


def test_what_handlers_raise_through_is_a_lost_connection(
    run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer((await asked(reader))["Sec-WebSocket-Key"]) + text("hi"))
        await reader.read(100)

    async def main() -> None:
        heard_of = Heard.heard
        try:
            Heard.heard = lambda self, payload: 1 // 0  # type: ignore[method-assign,assignment,misc,return-value]
            log, _ = await talk(serve)
        finally:
            Heard.heard = heard_of  # type: ignore[method-assign]
        assert log[0] == "opened" and log[1][0] == 1006

    run(main())
    assert "ZeroDivisionError" in caplog.text
