"""What the leak tests do many times over: a server of everything, and rounds of each feature.

A round is one connection, or one of each shape where a feature has several.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import glyph_fast.admin
from glyph_fast import Config, MessageContext, Server
from glyph_fast.core import encode_frame
from glyph_fast.http.forms import MAX_IN_MEMORY
from glyph_fast.wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT
from tests.engine.peers import MASK, UPGRADE, Peer
from tests.running import Url

NORMAL = b"\x03\xe8"
STATIC = Path(glyph_fast.admin.__file__).parent / "static"
LARGE = b"x" * 100_000
GRACE_S = 0.05  # a timer of that length holds who left in the middle of a handler
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"

Round = Callable[[Url, Server], Awaitable[None]]


def new_server(feature: str) -> Server:
    """An echo with rooms, a slow handler and one that fails."""
    compression = {"shared": "shared", "dedicated": "dedicated"}.get(feature, "off")
    policy = {"block": "block", "disconnect": "disconnect"}.get(feature, "drop_oldest")
    server = Server(
        Config(
            compression=compression,
            compression_min_size=0,
            queue_policy=policy,
            queue_messages=20,
            queue_bytes=1 << 20,
            max_message_size=1 << 18,
            close_timeout=0.05,
            handler_grace=GRACE_S,
        )
    )
    server.websocket("/ws")

    @server.on_message(route="/ws")
    def echo(ctx: MessageContext) -> None:
        ctx.conn.send(ctx.message.raw)

    @server.on_message(route="/room")
    def talk(ctx: MessageContext) -> None:
        for name in ("one", "two", ctx.conn.id):
            ctx.conn.join_room(name)
            server.hub.broadcast_to_room(name, ctx.message.raw)

    @server.on_message(route="/flood")
    def flood(ctx: MessageContext) -> None:
        for _ in range(100):
            ctx.conn.send(LARGE)

    @server.on_message(route="/fails")
    def fails(ctx: MessageContext) -> None:
        raise LookupError("as it must")

    @server.on_message(route="/waits")
    async def waits(ctx: MessageContext) -> None:
        await asyncio.sleep(0.001)
        ctx.conn.send(ctx.message.raw)

    @server.post("/form")
    async def form(request: Any) -> dict[str, int]:
        return {"size": len(await request.body())}

    @server.get("/stream")
    async def stream(request: Any) -> Any:
        for _ in range(10):
            await asyncio.sleep(0)
            yield LARGE

    @server.put("/stream", max_body=None)
    async def upload(request: Any) -> dict[str, int]:
        return {"size": sum([len(piece) async for piece in request.stream()])}

    @server.post("/upload")
    async def uploaded(request: Any) -> dict[str, int]:
        return {"size": (await request.form()).file("f").size}

    @server.websocket("/reads")
    async def read(conn: Any) -> None:
        async for message in conn:
            conn.send(message)

    server.static("/files", STATIC)
    server.room("kept", history_size=10, client_join=True)
    server.mount("/app", application)
    return server


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers what it gets, by HTTP and by WebSockets."""
    if scope["type"] == "http":
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": body})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
    else:
        raise ValueError(scope["type"])


async def opened(url: Url, path: bytes = b"/ws", end: bytes = b"\r\n") -> Peer:
    peer = await url.peer()
    peer.write((UPGRADE % path)[:-2] + end)
    assert (await peer.head()).startswith(b"HTTP/1.1 101")
    return peer


async def closed(peer: Peer) -> None:
    """The closing handshake; whatever comes before its end is let pass."""
    peer.send(CLOSE, NORMAL)
    await peer.rest()
    await peer.close()


async def gone(peer: Peer) -> None:
    """A reset."""
    peer.reset()
    await peer.close()


async def connections(url: Url, server: Server) -> None:
    """Messages of every shape, a ping, and a close."""
    peer = await opened(url)
    peer.send(TEXT, b"hello")
    peer.send(BINARY, LARGE)
    peer.send(TEXT, b"in ", fin=False)
    peer.send(PING, b"still there?")
    peer.send(CONTINUATION, b"pieces")
    heard = [await peer.frame() for _ in range(4)]
    heard.remove((PONG, b"still there?"))  # it goes between any two messages
    assert heard == [(TEXT, b"hello"), (BINARY, LARGE), (TEXT, b"in pieces")]
    await closed(peer)


async def resets(url: Url, server: Server) -> None:
    """Gone in the middle of a frame, of a message, and of an answer nobody reads."""
    for data in (
        encode_frame(BINARY, LARGE, key=MASK)[:50_000],
        encode_frame(BINARY, LARGE, fin=False, key=MASK),
        encode_frame(BINARY, LARGE, key=MASK) * 5,
    ):
        peer = await opened(url)
        peer.write(data)
        await peer.writer.drain()
        await gone(peer)


async def rooms(url: Url, server: Server) -> None:
    """Join, hear, and leave by closing; one room is everybody's, one is new each time."""
    peer = await opened(url, b"/room")
    peer.send(TEXT, b"to all")
    for _ in range(3):
        assert await peer.frame() == (TEXT, b"to all")
    await closed(peer)


async def queues(url: Url, server: Server) -> None:
    """More than the queue holds, to a peer that reads none of it."""
    peer = await opened(url, b"/flood")
    peer.send(TEXT, b"go")
    await peer.frame()
    await gone(peer)


async def deflate(url: Url, server: Server) -> None:
    """Compressed messages both ways, a broken one and a bomb."""
    for payload in (b"a hello that is worth it, a hello that is worth it", LARGE):
        peer = await opened(url, end=DEFLATE)
        peer.write(packed(payload))
        await peer.frame()
        await closed(peer)
    for data in (encode_frame(BINARY, b"\xff\xff", rsv1=True, key=MASK), BOMB):
        peer = await opened(url, end=DEFLATE)
        peer.write(data)
        await peer.close_code()
        await peer.rest()
        await peer.close()


def packed(payload: bytes) -> bytes:
    deflater = zlib.compressobj(6, zlib.DEFLATED, -9)
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return encode_frame(BINARY, data[:-4], rsv1=True, key=MASK)


BOMB = packed(bytes(1 << 22))

REFUSED = [
    UPGRADE % b"/nowhere",
    (UPGRADE % b"/ws").replace(b": 13", b": 8"),
    (UPGRADE % b"/ws").replace(b"Key: ", b"Key: x"),
    (UPGRADE % b"/ws")[:-2] + b"Origin: http://evil.example\r\n\r\n",
    (UPGRADE % b"/ws")[:-2] + b"Sec-WebSocket-Protocol: a b\r\n\r\n",
    (UPGRADE % b"/ws")[:-2] + b"Content-Length: 5\r\n\r\nhello",
    b"GET /" + b"a" * 9000,
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000,
    b"\x16\x03\x01\x02\x00\x01 no HTTP\r\n\r\n",
    b"GET / HTTP/1.1\r\n folded\r\n\r\n",
]


async def handshakes(url: Url, server: Server) -> None:
    """Every sort of refusal, and heads whose peers lose heart."""
    for request in REFUSED:
        peer = await url.peer()
        peer.write(request)
        assert (await peer.answer())[0] >= 400
        await peer.rest()
        await peer.close()
    for request in (b"", b"GET /ws HT", (UPGRADE % b"/ws")[:-2]):
        peer = await url.peer()
        peer.write(request)
        await gone(peer)


async def requests(url: Url, server: Server) -> None:
    """Bodies by length and in chunks, pipelined, and one that stops coming."""
    head = b"POST /form HTTP/1.1\r\nHost: a\r\n"
    peer = await url.peer()
    peer.write(head + b"Content-Length: 5\r\n\r\nhello")
    peer.write(head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    peer.write(head + b"Content-Length: 50\r\n\r\nhello")
    for _ in range(2):
        assert (await peer.answer())[2] == b'{"size":5}'
    await gone(peer)


async def streams(url: Url, server: Server) -> None:
    """Answers and bodies in pieces, whole and broken off, and a file."""
    get = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
    peer = await url.peer()
    peer.write(get % b"stream" + get % b"files/uplot.js")
    assert b"chunked" in await peer.head()
    await peer.reader.readexactly(10 * len(b"186a0\r\n%b\r\n" % LARGE) + len(b"0\r\n\r\n"))
    assert (await peer.answer())[0] == 200
    put = b"PUT /stream HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    peer.write(put % len(LARGE) + LARGE)
    assert (await peer.answer())[2] == b'{"size":%d}' % len(LARGE)
    await peer.close()
    for request in (get % b"stream", get % b"files/uplot.js", put % len(LARGE) + LARGE[1:]):
        peer = await url.peer()
        peer.write(request)
        await gone(peer)


async def forms(url: Url, server: Server) -> None:
    """A file that goes to disk: whole, in a form without an end, and from one who leaves."""
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    named = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    form = named + bytes(MAX_IN_MEMORY + 1) + b"\r\n--x--\r\n"
    peer = await url.peer()
    for body, status in ((form, 200), (form[:-10], 400)):
        peer.write(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        assert (await peer.answer())[0] == status
    peer.write(head + b"Content-Length: %d\r\n\r\n" % len(form) + form[:-1])
    await peer.writer.drain()
    await gone(peer)


async def memory(url: Url, server: Server) -> None:
    """A message to a room that remembers, and one who leaves it unread."""
    for end in (closed, gone):
        peer = await opened(url)
        for request in ({"type": "join_room"}, {"type": "broadcast", "data": "x" * 1000, "id": 1}):
            peer.send(TEXT, json.dumps({**request, "room": "kept"}).encode())
            await peer.frame()
        await end(peer)


async def readers(url: Url, server: Server) -> None:
    """Messages that are read by `async for`, or by an application; one leaves, one is closed."""
    for path in (b"/reads", b"/app/ws"):
        for end in (closed, gone):
            peer = await opened(url, path)
            peer.send(TEXT, b"hello")
            assert await peer.frame() == (TEXT, b"hello")
            await end(peer)
    peer = await url.peer()
    peer.write(b"POST /app HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
    assert (await peer.answer())[2] == b"hello"
    await gone(peer)


async def handlers(url: Url, server: Server) -> None:
    """A handler that raises, one that waits, and one whose peer goes away meanwhile."""
    for path in (b"/fails", b"/waits"):
        peer = await opened(url, path)
        peer.send(TEXT, b"hello")
        if path == b"/waits":
            assert await peer.frame() == (TEXT, b"hello")
        await closed(peer)
    peer = await opened(url, b"/waits")
    peer.send(TEXT, b"hello")
    await gone(peer)


FEATURES: dict[str, Round] = {
    "connections": connections,
    "resets": resets,
    "rooms": rooms,
    "drop_oldest": queues,
    "block": queues,
    "disconnect": queues,
    "shared": deflate,
    "dedicated": deflate,
    "handshakes": handshakes,
    "requests": requests,
    "streams": streams,
    "forms": forms,
    "memory": memory,
    "readers": readers,
    "handlers": handlers,
}
