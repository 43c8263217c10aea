"""A hub and a dispatcher with connections that have no socket: bytes in, bytes out, no loop needed.

site = Site()
site.dispatcher.on_message("text")(lambda ctx: ctx.reply("text", ctx.message.data))
ada = site.connect()
ada.send("hello")
assert ada.texts() == ["hello"]
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

from glyph_fast import core
from glyph_fast.handlers import Dispatcher
from glyph_fast.hub.connection import Connection
from glyph_fast.hub.hub import Hub
from glyph_fast.interfaces import Broker
from glyph_fast.options.config import Config
from glyph_fast.wire import BINARY, CLOSE, POLICIES, TEXT

KEY = b"\x01\x02\x03\x04"
HEAD = b"GET /chat/blue?x=1 HTTP/1.1\r\nHost: example.com\r\nCookie: a=b\r\n\r\n"


class Pipe:
    """A sink that takes everything, or `room` bytes; what it took is in `data`."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.room: int | None = None  # bytes it still takes; None: all
        self.is_paused = False
        self.is_closed = False

    def writev(self, buffers: Sequence[bytes | memoryview]) -> int:
        data = b"".join(buffers)
        if self.room is not None:
            data = data[: self.room]
            self.room -= len(data)
        self.data += data
        return len(data)

    def unsent(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def shutdown(self) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


class Peer:
    """The client's end of a connection."""

    def __init__(self, site: Site, conn: Connection, pipe: Pipe) -> None:
        self.site = site
        self.conn = conn
        self.pipe = pipe
        self.close_code: int | None = None
        self.close_reason = ""

    @property
    def id(self) -> str:
        return self.conn.id

    def feed(self, *messages: str | bytes | dict[str, Any] | list[Any]) -> None:
        """Messages that reach the server in one piece; a dict or list goes as JSON."""
        self.conn._feed(b"".join(map(masked, messages)))

    def send(self, *messages: str | bytes | dict[str, Any] | list[Any]) -> None:
        """As `feed`, and then the end of the turn."""
        self.feed(*messages)
        self.site.flush()

    def close(self, code: int = 1000) -> None:
        """Send a close frame."""
        self.conn._feed(core.encode_frame(CLOSE, code.to_bytes(2, "big"), key=KEY))
        self.site.flush()

    def vanish(self) -> None:
        """Be gone, without a close frame."""
        self.conn._lost()
        self.site.flush()

    def received(self) -> list[str | bytes]:
        """The messages that have come since last asked."""
        self.site.flush()
        found: list[str | bytes] = []
        data, self.pipe.data = bytes(self.pipe.data), bytearray()
        while data:
            opcode, size, head = data[0] & 15, data[1], 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(data[2:head], "big")
            payload, data = data[head : head + size], data[head + size :]
            if opcode == TEXT:
                found.append(payload.decode())
            elif opcode == BINARY:
                found.append(payload)
            elif opcode == CLOSE:
                self.close_code = int.from_bytes(payload[:2], "big")
                self.close_reason = payload[2:].decode()
        return found

    def json(self) -> list[Any]:
        """The text messages that have come since last asked, read as JSON."""
        return [json.loads(text) for text in self.received()]

    def answers(self) -> list[Any]:
        """As `json`, without the timestamps, which every envelope must have."""
        found = self.json()
        for envelope in found:
            assert envelope.pop("timestamp").endswith("Z")
        return found


class Site:
    """A server without sockets. On a loop, its turns end as soon as the loop is free."""

    def __init__(
        self,
        config: Config | None = None,
        clock: Callable[[], float] | None = None,
        broker: Broker | None = None,
    ) -> None:
        self.config = config or Config()
        self.hub = Hub(self.config, broker)
        self.dispatcher = Dispatcher(self.hub)
        limits = core.Limits(
            max_message_size=self.config.max_message_size,
            queue_messages=self.config.queue_messages,
            queue_bytes=self.config.queue_bytes,
            queue_policy=POLICIES.index(self.config.queue_policy),
            ping_interval=self.config.ping_interval,
            max_missed_pongs=self.config.max_missed_pongs,
        )
        more: dict[str, Any] = {} if clock is None else {"clock": clock}
        self.turn = core.Turn(
            limits,
            self.dispatcher,  # type: ignore[arg-type]
            connection_type=Connection,
            wake=self._wake,
            wake_threadsafe=self._wake_threadsafe,
            **more,
        )
        self.hub._attach(self.turn)
        self.loop: asyncio.AbstractEventLoop | None = None

    def on_loop(self) -> Site:
        """End turns by the running loop from now on."""
        self.loop = asyncio.get_running_loop()
        return self

    def _wake(self) -> None:
        if self.loop is not None:
            self.loop.call_soon(self.turn.flush)

    def _wake_threadsafe(self) -> None:
        if self.loop is not None:
            self.loop.call_soon_threadsafe(self.turn.flush)

    def flush(self) -> None:
        self.turn.flush()

    def connect(self, route: str = "", *, identity: Any = None, **path_params: str) -> Peer:
        """A new connection, upgraded."""
        pipe = Pipe()
        conn = Connection(self.turn, pipe)
        conn._kept = HEAD
        conn.route_pattern = route
        conn.path_params = path_params
        conn.remote = "203.0.113.5"
        conn.identity = identity
        conn._upgrade()
        self.dispatcher.opened(conn)
        self.flush()
        return Peer(self, conn, pipe)


def masked(message: str | bytes | dict[str, Any] | list[Any]) -> bytes:
    """The frame in which a client sends `message`."""
    if isinstance(message, bytes):
        return core.encode_frame(BINARY, message, key=KEY)
    text = message if isinstance(message, str) else json.dumps(message)
    return core.encode_frame(TEXT, text, key=KEY)


class Gate:
    """Something a handler can wait for, which the test opens."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    async def passed(self) -> None:
        await self._event.wait()

    def open(self) -> None:
        self._event.set()


async def settled(*peers: Peer) -> None:
    """Until no handler of these connections runs or waits."""
    while any(peer.conn._inbox is not None for peer in peers):
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def spin(n: int = 5) -> None:
    """Some iterations of the loop, enough for whatever could happen by itself."""
    for _ in range(n):
        await asyncio.sleep(0)
