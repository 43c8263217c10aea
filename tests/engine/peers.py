"""The two ends of a test of an engine: a handler that keeps what it hears, and a bare client.

    async with serving(backend, Recorder()) as server:
        peer = await server.upgraded()
        peer.send(TEXT, b"hello")
        assert await peer.frame() == (TEXT, b"hello")

Nothing here has a deadline of its own; `run` gives one to the whole test.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from glyph_fast.core import Connection, Limits, Turn, encode_frame
from glyph_fast.engine.asyncio import AsyncioEngine
from glyph_fast.engine.base import BACKLOG, new_turn
from glyph_fast.engine.native import NativeEngine
from glyph_fast.engine.tls import server_context
from glyph_fast.interfaces import Engine
from glyph_fast.wire import ACCEPT_GUID, CLOSE
from tests.engine.certificates import shared_certificate
from tests.engine.secured import SecuredSocket

if TYPE_CHECKING:
    from tests.backend import Backend

KEY = base64.b64encode(bytes(16))
UPGRADE = (
    b"GET %s HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: " + KEY + b"\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
MASK = b"\x11\x22\x33\x44"


def accept_answer(head: bytes) -> bytes:
    """The 101 for an upgrade request."""
    line = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-k"))
    digest = hashlib.sha1(line.split(b":", 1)[1].strip() + ACCEPT_GUID).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


async def eventually(predicate: Callable[[], object]) -> None:
    """Return once `predicate()` holds; it is asked again and again."""
    while not predicate():
        await asyncio.sleep(0.001)


class Recorder:
    """A handler that upgrades every request, echoes every message and remembers what it heard."""

    def __init__(self, *, echoes: bool = True) -> None:
        self.echoes = echoes
        self.conns: list[Connection] = []
        self.heads: list[bytes] = []
        self.refused: list[int] = []
        self.messages: list[str | bytes] = []
        self.fulls: list[Connection] = []
        self.drains: list[Connection] = []
        self.closes: list[tuple[int, str]] = []
        self.errors: list[BaseException] = []
        self._waiting: list[tuple[Callable[[Recorder], object], asyncio.Future[None]]] = []

    async def until(self, predicate: Callable[[Recorder], object]) -> None:
        """Return once `predicate(self)` holds; it is asked after each call."""
        if not predicate(self):
            future = asyncio.get_running_loop().create_future()
            self._waiting.append((predicate, future))
            await future

    def _heard(self) -> None:
        for entry in self._waiting[:]:
            if entry[0](self):
                self._waiting.remove(entry)
                if not entry[1].done():
                    entry[1].set_result(None)

    def request(self, conn: Any, head: bytes) -> None:
        self.heads.append(head)
        self.conns.append(conn)
        conn.id = f"{len(self.conns):032x}"
        conn._write(accept_answer(head))
        conn._upgrade()
        self._heard()

    def refuse(self, conn: Any, status: int) -> None:
        self.refused.append(status)
        conn._write(b"HTTP/1.1 %d no\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % status)
        self._heard()

    def data(self, conn: Any, chunk: bytes) -> int:
        return len(chunk)

    def ended(self, conn: Any) -> None:
        self._heard()

    def message(self, conn: Any, opcode: int, payload: str | bytes) -> None:
        self.messages.append(payload)
        try:
            self.on_message(conn, payload)
        finally:
            self._heard()

    def on_message(self, conn: Any, payload: str | bytes) -> None:
        """What a message does; tests replace it."""
        if self.echoes:
            conn.send(payload)

    def full(self, conn: Any) -> None:
        self.fulls.append(conn)
        self._heard()

    def drain(self, conn: Any) -> None:
        self.drains.append(conn)
        self._heard()

    def close(self, conn: Any, code: int, reason: str) -> None:
        self.closes.append((code, reason))
        self._heard()

    def failed(self, conn: Any, exc: BaseException) -> None:
        self.errors.append(exc)
        self._heard()


class Served:
    """An engine that listens, and the clients of one test, which end with it."""

    def __init__(
        self,
        engine: Engine,
        turn: Turn,
        handler: Any,
        address: Any,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.engine = engine
        self.context = context  # of clients, where all of them speak TLS
        self.turn = turn
        self.handler = handler
        self.address = address  # (host, port), or the path of a Unix socket
        self._peers: list[Peer] = []
        self._socks: list[socket.socket] = []

    async def connect(self, **options: Any) -> Peer:
        """A peer that has sent nothing yet."""
        if self.context is not None:
            options = {"ssl": self.context, "server_hostname": "localhost"} | options
        peer = await Peer.connect(self.address, **options)
        self._peers.append(peer)
        return peer

    async def upgraded(self) -> Peer:
        """A peer that speaks frames."""
        peer = await self.connect()
        await peer.upgrade()
        return peer

    def socket(self, sends: bytes = b"", *, receive_buffer: int = 0) -> socket.socket:
        """A blocking socket, connected without giving the loop a chance to run."""
        sock = socket.socket(socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET)
        self._socks.append(sock)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(10)
        sock.connect(self.address)
        sock.sendall(sends)
        return sock

    async def idle(
        self,
        sends: bytes = b"",
        *,
        receive_buffer: int = 0,
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> Any:
        """A socket that reads only when it is told to, or what is one over TLS."""
        context = context or self.context
        if context is None:
            return self.socket(sends, receive_buffer=receive_buffer)
        sock = SecuredSocket(self.socket(receive_buffer=receive_buffer), context, session)
        await sock.shake_hands()
        sock.sendall(sends)
        return sock

    async def adopt(self, sock: Any) -> Peer:
        """The peer that goes on with `sock`."""
        if isinstance(sock, SecuredSocket):
            return Peer(sock, sock)  # type: ignore[arg-type]
        peer = Peer(*await asyncio.open_connection(sock=sock))
        self._peers.append(peer)
        return peer

    async def end(self) -> None:
        """Close the clients, then the engine."""
        try:
            for sock in self._socks:
                sock.close()
            for peer in self._peers:
                await peer.close()
        finally:
            await self.engine.close()


def new_engine(
    backend: Backend,
    handler: Any,
    *,
    limits: Limits | None = None,
    tls: ssl.SSLContext | None = None,
    clock: Callable[[], float] | None = None,
) -> tuple[Engine, Turn]:
    """The backend's engine and its turn, on the running loop."""
    loop = asyncio.get_running_loop()
    extra = {"clock": clock} if clock else {}
    turn = new_turn(loop, limits or Limits(), handler, **extra)
    if backend.engine == "native":
        return NativeEngine(turn, loop, tls=tls), turn
    return AsyncioEngine(turn, loop, tls=tls), turn


def listening_socket(path: str | None = None) -> socket.socket:
    """A listening socket on a free port of 127.0.0.1, or at `path`."""
    sock = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
    sock.bind(path or ("127.0.0.1", 0))
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


@asynccontextmanager
async def serving(
    backend: Backend, handler: Any, *, path: str | None = None, **options: Any
) -> AsyncIterator[Served]:
    """The backend's engine, listening; closed afterwards."""
    context = None
    if backend.tls:
        files = shared_certificate()
        options.setdefault("tls", server_context(*files))
        context = ssl.create_default_context(cafile=files.cert)
    engine, turn = new_engine(backend, handler, **options)
    sock = listening_socket(path)
    address = sock.getsockname()
    await engine.listen(sock)
    served = Served(engine, turn, handler, address, context)
    try:
        yield served
    finally:
        await served.end()


class Peer:
    """A client without opinions: it sends any bytes, and reads frames one by one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, address: Any, **options: Any) -> Peer:
        if isinstance(address, str):
            return cls(*await asyncio.open_unix_connection(address, **options))
        return cls(*await asyncio.open_connection(*address[:2], **options))

    async def upgrade(self, target: bytes = b"/") -> bytes:
        """Ask for WebSocket and return the head of the answer."""
        self.writer.write(UPGRADE % target)
        return await self.head()

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of one HTTP answer."""
        first, *lines = (await self.head()).decode("latin-1").split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines if line)}
        size = int(headers.get("content-length", "0"))
        return int(first.split()[1]), headers, await self.reader.readexactly(size)

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def send(self, opcode: int, payload: bytes, *, fin: bool = True) -> None:
        self.writer.write(encode_frame(opcode, payload, fin=fin, key=MASK))

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        first, second = await self.reader.readexactly(2)
        size = second & 127
        if size >= 126:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return first & 15, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        """The code of the close frame, which must come next; it is answered."""
        opcode, payload = await self.frame()
        assert opcode == CLOSE, (opcode, payload)
        self.send(CLOSE, payload[:2])
        return int.from_bytes(payload[:2], "big")

    async def rest(self) -> bytes:
        """Everything until the end, which may be a reset."""
        data = b""
        try:
            while chunk := await self.reader.read(65536):
                data += chunk
        except ConnectionError:
            pass
        return data

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass

    def reset(self) -> None:
        """End with a reset instead of a FIN."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
