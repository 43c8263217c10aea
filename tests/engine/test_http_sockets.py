"""HTTP over real sockets, on every backend: what a client receives, whatever else it has sent."""

from __future__ import annotations

import asyncio

import pytest
from engine.peers import UPGRADE, eventually
from picows import WSCloseCode, WSListener, WSMsgType, ws_connect
from running import running

from glyph_fast.config import Config
from glyph_fast.server import Server


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


def test_a_head_that_comes_too_slowly_is_408(backend, run):
    async def main():
        async with running(small_server(head_timeout=0.1), backend) as url:
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
