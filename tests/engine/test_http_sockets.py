"""HTTP over real sockets, on every backend: what a client receives, whatever else it has sent."""

from __future__ import annotations

import asyncio
import hashlib
import os
from itertools import pairwise
from pathlib import Path

import pytest
from picows import WSCloseCode, WSListener, WSMsgType, ws_connect

from glyph_fast.http.response import Response
from glyph_fast.options.config import Config
from glyph_fast.server.server import Server
from tests.engine.peers import UPGRADE, eventually
from tests.running import running


def small_server(**options) -> Server:
    server = Server(Config(**options))
    server.get("/n/:n")(lambda request: request.path_params["n"])

    @server.post("/size")
    async def size(request):
        return {"size": len(await request.body())}

    server.on_message()(lambda ctx: ctx.conn.send(ctx.message.raw))
    return server


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def test_one_connection_serves_many_requests_and_then_a_websocket(backend, run):
    async def main():
        async with running(small_server(), backend) as url:
            peer = await url.peer()
            for n in range(5):
                peer.write(get(f"/n/{n}"))
                assert (await peer.answer())[::2] == (200, str(n).encode())
            assert (await peer.upgrade(b"/ws")).startswith(b"HTTP/1.1 101")
            peer.send(1, b"hello")
            assert await peer.frame() == (1, b"hello")
            await peer.close()

    run(main())


def test_pipelined_requests_with_bodies_are_answered_in_order(backend, run):
    async def main():
        async with running(small_server(), backend) as url:
            peer = await url.peer()
            requests = []
            for n in range(200):
                body = b"b" * n
                requests += [get(f"/n/{n}"), b"POST /size HTTP/1.1\r\nHost: a\r\n"]
                requests += [b"Content-Length: %d\r\n\r\n" % n, body]
            peer.write(b"".join(requests))
            for n in range(200):
                assert (await peer.answer())[::2] == (200, str(n).encode())
                assert (await peer.answer())[::2] == (200, b'{"size":%d}' % n)
            await peer.close()

    run(main())


def test_a_round_of_the_loop_takes_few_requests_with_bodies_in_pieces(backend, run):
    """Each costs several times as much as one without; others and timers come between them."""

    async def main():
        server, done, rounds = small_server(), [], []

        @server.post("/note")
        async def note(request):
            done.append(await request.json())

        async with running(server, backend) as url:
            loop, peer = asyncio.get_running_loop(), await url.peer()

            def look():
                rounds.append(len(done))
                if len(done) < 100:
                    loop.call_soon(look)

            head = b"POST /note HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            peer.write((head + b"2\r\n{}\r\n0\r\n\r\n") * 100)
            look()
            for _ in range(100):
                assert (await peer.answer())[0] == 204
            assert max(after - before for before, after in pairwise(rounds)) <= 4
            await peer.close()

    run(main())


def test_a_large_body_arrives_whole(backend, run):
    async def main():
        async with running(small_server(), backend) as url:
            peer = await url.peer()
            peer.write(b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n")
            peer.write(b"b" * 9_000_000)
            assert (await peer.answer())[::2] == (200, b'{"size":9000000}')
            await peer.close()

    run(main())


# What is refused is answered although more input follows, which nobody reads: closing at once
# would reset the connection and could destroy the answer.
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 100_000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 1_000_000, 431),
        (b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n" + b"b" * 10**6, 413),
        (b"POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n" + b"b" * 10**6, 404),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n" + b"b" * 1_000_000, 501),
        (b"nonsense\r\n\r\n" + b"b" * 1_000_000, 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"T" * 500, 400),  # TLS, at once
        (UPGRADE % b"/nowhere" + b"b" * 1_000_000, 404),
    ],
)
def test_a_refusal_reaches_a_client_that_goes_on_sending(backend, run, request_, status):
    async def main():
        async with running(small_server(), backend) as url:
            peer = await url.peer()
            peer.write(request_)
            answer = await peer.answer()
            assert answer[0] == status
            assert answer[1]["connection"] == "close"
            assert await peer.reader.read() == b""  # a good end, no reset
            await peer.close()

    run(main())


def test_a_client_that_ended_its_side_hears_the_answer_of_a_handler_that_waits(backend, run):
    async def main():
        asked, gate = asyncio.Event(), asyncio.Event()
        server = small_server()

        @server.get("/slow")
        async def slow(request):
            asked.set()
            await gate.wait()
            return "slow"

        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(get("/slow"))
            await asked.wait()
            peer.writer.write_eof()
            assert (await url.get("/n/1"))[0] == 200  # a turn or two later
            gate.set()
            assert (await peer.answer())[::2] == (200, b"slow")
            assert await peer.rest() == b""
            await peer.close()

    run(main())


def resident() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_hundred_readers_of_a_large_file_take_little_memory(backend, run, tmp_path):
    """All of it for each of them would be six gigabytes."""
    seed = hashlib.sha256(b"seed").digest() * 2**15  # 1 MiB
    with open(tmp_path / "big.bin", "wb") as file:
        for n in range(60):
            file.write(n.to_bytes(4, "big") + seed[4:])

    async def main():
        server = small_server()
        server.static("/files", tmp_path)
        async with running(server, backend) as url:
            before = resident()
            peers = [await url.peer() for _ in range(100)]
            for peer in peers:
                peer.write(get("/files/big.bin"))
            for peer in peers:
                assert b"\r\nContent-Length: %d\r\n" % (60 << 20) in await peer.head()
            assert (await url.get("/n/1"))[0] == 200
            assert resident() - before < 160 << 20
            found = hashlib.sha256()
            for _ in range(60):
                found.update(await peers[50].reader.readexactly(1 << 20))
            assert found.digest() == hashlib.sha256((tmp_path / "big.bin").read_bytes()).digest()
            for peer in peers:
                peer.writer.transport.abort()

    run(main())


def test_an_address_holds_no_more_bodies_than_connections(backend, run):
    """Sixty of them, each of nearly ten megabytes, were six hundred."""

    async def main():
        async with running(small_server(max_connections_per_ip=3), backend) as url:
            before = resident()
            peers = [await url.peer() for _ in range(20)]
            head = b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n"
            for peer in peers:
                peer.write(head + b"b" * 9_999_999)
            answers = [asyncio.ensure_future(peer.answer()) for peer in peers]
            refused = 0
            while refused < 17:
                done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
                assert all(each.result()[0] == 429 for each in done)
                refused += len(done)
                answers = [each for each in answers if not each.done()]
            assert resident() - before < 260 << 20  # with what the clients hold themselves
            for peer in peers:
                if not peer.reader.at_eof():
                    peer.write(b"b")
            done, _ = await asyncio.wait(answers)
            assert [each.result()[::2] for each in done] == [(200, b'{"size":10000000}')] * 3
            for peer in peers:
                peer.writer.transport.abort()

    run(main())


def test_a_body_nobody_takes_waits_with_its_sender(backend, run):
    gate = asyncio.Event()

    async def main():
        server = small_server()

        @server.post("/slow", max_body=None)
        async def slow(request):
            await gate.wait()
            return sum([len(piece) async for piece in request.stream()])

        async with running(server, backend) as url:
            peer = await url.peer()
            size = 64 << 20
            peer.write(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(64):
                peer.write(b"b" * (1 << 20))
            for _ in range(100):
                assert (await url.get("/n/1"))[0] == 200  # turns pass, and others are served
                assert server.hub.metrics.snapshot()["bytes_received"] < 1 << 20
            gate.set()
            assert (await peer.answer())[::2] == (200, b"%d" % size)
            await peer.close()

    run(main())


def test_a_client_that_leaves_ends_the_generator_that_answers_it(backend, run):
    ended = asyncio.Event()

    async def endless():
        try:
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.001)
        finally:
            ended.set()

    async def main():
        server = small_server()
        server.get("/stream")(lambda request: Response(endless()))
        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(get("/stream"))
            assert b"\r\nTransfer-Encoding: chunked\r\n" in await peer.head()
            peer.writer.transport.abort()
            async with asyncio.timeout(10):
                await ended.wait()

    run(main())


def test_a_client_that_leaves_ends_a_generator_that_waits(backend, run):
    ended = asyncio.Event()

    async def silent():
        try:
            yield b"hello"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def main():
        server = small_server()
        server.get("/stream")(lambda request: Response(silent()))
        async with running(server, backend) as url:
            peer = await url.peer()
            peer.write(get("/stream"))
            await peer.head()
            await peer.close()
            async with asyncio.timeout(10):
                await ended.wait()

    run(main())


def test_a_head_that_comes_too_slowly_is_408(backend, run):
    async def main():
        async with running(small_server(head_timeout=0.1, keep_alive_timeout=0.1), backend) as url:
            slow, silent, idle = [await url.peer() for _ in range(3)]
            idle.write(get("/n/1"))
            assert (await idle.answer())[0] == 200
            slow.write(b"GET /n/1 HTTP/1.1\r\nHo")
            assert (await slow.answer())[0] == 408
            assert await slow.rest() == b""
            assert await silent.rest() == b""  # it asked nothing: it hears nothing
            assert await idle.rest() == b""
            for peer in (slow, silent, idle):
                await peer.close()

    run(main())


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"POST /size HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
        b"POST /size HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n",
    ],
)
def test_one_byte_at_a_time_does_not_gain_time(backend, run, begin):
    """The deadline is of the whole head or body, not of the next byte."""

    async def main():
        async with running(small_server(head_timeout=0.2), backend) as url:
            peer = await url.peer()
            peer.write(begin)

            async def dribble():
                for byte in get("/n/1") * 1000:
                    peer.write(bytes([byte]))
                    await asyncio.sleep(0.02)

            dribbling = asyncio.create_task(dribble())
            status, headers, _ = await peer.answer()
            assert (status, headers["connection"]) == (408, "close")
            dribbling.cancel()
            await asyncio.wait({dribbling})
            assert await peer.rest() == b""
            await peer.close()

    run(main())


def test_picows_speaks_with_the_server(backend, run):
    class Client(WSListener):
        def __init__(self):
            self.frames = []
            self.gone = asyncio.get_running_loop().create_future()

        def on_ws_frame(self, transport, frame):
            self.frames.append((frame.msg_type, frame.get_payload_as_bytes()))

        def on_ws_disconnected(self, transport):
            self.gone.set_result(None)

    async def main():
        async with running(small_server(), backend) as url:
            transport, client = await ws_connect(Client, url.ws("/ws"))
            for payload in (b"", b"x" * 125, b"y" * 126, b"z" * 70_000):
                transport.send(WSMsgType.BINARY, payload)
                transport.send(WSMsgType.TEXT, payload)
            transport.send_ping(b"are you there")
            await eventually(lambda: len(client.frames) == 9)
            sent = [(kind, text) for text in (b"", b"x" * 125, b"y" * 126, b"z" * 70_000)
                    for kind in (WSMsgType.BINARY, WSMsgType.TEXT)]  # fmt: skip
            assert [each for each in client.frames if each[0] != WSMsgType.PONG] == sent
            assert (WSMsgType.PONG, b"are you there") in client.frames
            transport.send_close(WSCloseCode.OK)
            await client.gone

    run(main())
