"""The clients of the soak: those that behave and keep accounts, and those that do not.

What is accounted for. Every message has a number in its room and its server process; the sender's
acknowledgement says how many members it was accepted for. In a room whose members all behave, so
many copies must arrive, exactly; and on every connection of a member, in any room, numbers follow
one another without a gap from the moment of joining to the end of the connection.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import zlib
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

DEADLINE_S = 20.0  # for one answer
LEAVING = (1001, 1012)  # codes with which a server may send its clients away
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)
KEY = b"\x11\x22\x33\x44"
Number = tuple[str, str, int]  # server, room, number


class Accounts:
    """What was said, accepted and heard, and everything that was wrong."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.totals: Counter[str] = Counter()
        self.open_numbers: dict[Number, int] = defaultdict(int)  # accepted less heard

    def fail(self, text: str) -> None:
        """Note something that must not happen."""
        self.totals["failures"] += 1
        if len(self.failures) < 50:
            self.failures.append(text)

    def accepted(self, number: Number, members: int) -> None:
        """The server has acknowledged a message."""
        self.totals["acknowledged"] += 1
        self._count(number, members)

    def heard(self, number: Number) -> None:
        """A member has got a message of a room that is accounted for."""
        self._count(number, -1)

    def _count(self, number: Number, change: int) -> None:
        self.open_numbers[number] += change
        if not self.open_numbers[number]:
            del self.open_numbers[number]

    def settle(self) -> None:
        """At the end: what was acknowledged and not heard is lost.

        More copies than acknowledged are those whose acknowledgement a restart cut off.
        """
        for number, missing in self.open_numbers.items():
            if missing > 0:
                self.fail(f"lost: {missing} copies of message {number}")
            else:
                self.totals["unacknowledged"] += 1


class Member:
    """A client that behaves: it joins a room, hears everything, and says something now and then."""

    def __init__(self, accounts: Accounts, url: str, room: str, *, is_counted: bool) -> None:
        self._accounts = accounts
        self._url = url
        self._room = room
        self._is_counted = is_counted  # whether all members of the room behave
        self._said: asyncio.Future[None] | None = None
        self._socket: ClientConnection | None = None
        self.has_joined = asyncio.Event()

    async def run(self) -> None:
        """Be a member until cancelled; come back whenever a restart sends us away."""
        while True:
            try:
                async with connect(self._url, open_timeout=DEADLINE_S) as socket:
                    await self._serve(socket)
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd is not None else 1006
                if code not in LEAVING:
                    self._accounts.fail(f"a member of {self._room} was closed: {closed}")
                self._accounts.totals["sent away"] += 1
            except OSError as exc:
                self._accounts.fail(f"a member of {self._room} could not connect: {exc!r}")
                await asyncio.sleep(1)
            except Exception as exc:
                self._accounts.fail(f"a member of {self._room}: {exc!r}")
                await asyncio.sleep(1)
            finally:
                self.has_joined.clear()
                if self._said is not None and not self._said.done():
                    self._said.cancel()

    async def _serve(self, socket: ClientConnection) -> None:
        self._socket = socket
        await socket.send(json.dumps({"join": self._room}))
        latest, server = -1, ""
        async for text in socket:
            message = json.loads(text)
            if "joined" in message:
                latest, server = message["number"], message["server"]
                self.has_joined.set()
            elif "said" in message:
                number = (message["server"], self._room, message["said"])
                if self._is_counted:
                    self._accounts.accepted(number, message["accepted"])
                if self._said is not None and not self._said.done():
                    self._said.set_result(None)
            else:
                self._hear(message, latest, server)
                latest = message["number"]
        raise ConnectionClosed(socket.protocol.close_rcvd, socket.protocol.close_sent)

    def _hear(self, message: dict[str, Any], latest: int, server: str) -> None:
        number = message["number"]
        self._accounts.totals["heard"] += 1
        if message["server"] != server or number != latest + 1:
            self._accounts.fail(
                f"a gap in {self._room} of {server}: {number} of {message['server']} after {latest}"
            )
        if self._is_counted:
            self._accounts.heard((server, self._room, number))

    async def say(self, text: str) -> None:
        """Say something and wait until that is acknowledged, or we are sent away."""
        await self.has_joined.wait()
        assert self._socket is not None
        self._said = said = asyncio.get_running_loop().create_future()
        with suppress(ConnectionClosed):
            await self._socket.send(json.dumps({"say": text, "room": self._room}))
            await asyncio.wait({said}, timeout=DEADLINE_S)
            if not said.done():
                self._accounts.fail(f"no acknowledgement in {self._room} for {DEADLINE_S:g} s")


async def churn(accounts: Accounts, url: str, room: str) -> None:
    """Come, hear a little, go; in good order or not."""
    async with connect(url, open_timeout=DEADLINE_S) as client:
        await client.send(json.dumps({"join": room}))
        with suppress(ConnectionClosed, TimeoutError):
            async with asyncio.timeout(random.uniform(0, 2)):
                async for _ in client:
                    pass
        if random.random() < 0.5:
            client.transport.abort()
    accounts.totals["came and went"] += 1


async def stalled(accounts: Accounts, address: tuple[str, int], room: str) -> None:
    """Join and read nothing, until the server gives us up."""
    sock = narrow_socket()
    try:
        await open_websocket(sock, address)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, frame(1, json.dumps({"join": room}).encode()))
        while is_connected(sock):
            await asyncio.sleep(0.5)
        accounts.totals["stalled readers given up"] += 1
    except (OSError, EOFError):
        accounts.totals["stalled readers reset"] += 1
    finally:
        sock.close()


async def abuse(accounts: Accounts, address: tuple[str, int]) -> None:
    """One connection that breaks the rules in one of many ways."""
    kind = random.choice(list(ABUSES))
    sock = socket.socket()
    sock.setblocking(False)
    try:
        await asyncio.wait_for(ABUSES[kind](sock, address), DEADLINE_S)
    except (OSError, EOFError, TimeoutError):
        pass
    finally:
        sock.close()
    accounts.totals[f"abuse: {kind}"] += 1


# Sockets -----------------------------------------------------------------------------------------


def narrow_socket() -> socket.socket:
    """A socket that leaves the kernels little to buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    sock.setblocking(False)
    return sock


def is_connected(sock: socket.socket) -> bool:
    """Whether the peer has not reset the connection; unread data does not count."""
    return not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) and tcp_state(sock) == 1


def tcp_state(sock: socket.socket) -> int:
    """The kernel's word: 1 is established."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def frame(opcode: int, payload: bytes, *, first: int = 0x80, masked: bool = True) -> bytes:
    """A client's frame; `first` are the bits before the opcode."""
    mask = 0x80 if masked else 0
    size = len(payload)
    head = (
        bytes((first | opcode, mask | size))
        if size < 126
        else (bytes((first | opcode, mask | 127)) + size.to_bytes(8, "big"))
    )
    if not masked:
        return head + payload
    return head + KEY + bytes(b ^ KEY[i & 3] for i, b in enumerate(payload))


async def open_websocket(sock: socket.socket, address: tuple[str, int], extra: bytes = b"") -> None:
    """Shake hands, as little as needs be."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    await loop.sock_sendall(sock, UPGRADE + extra + b"\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = await asyncio.wait_for(loop.sock_recv(sock, 1), DEADLINE_S)
        if not byte:
            raise EOFError
        head += byte


async def until_closed(sock: socket.socket) -> None:
    """Read until the server has had enough."""
    loop = asyncio.get_running_loop()
    while await loop.sock_recv(sock, 65536):
        pass


# Abuse -------------------------------------------------------------------------------------------


def sends(*frames: bytes, offers: bytes = b"") -> Callable[..., Awaitable[None]]:
    """An abuse that opens a WebSocket, sends bytes, and waits for the end."""

    async def run(sock: socket.socket, address: tuple[str, int]) -> None:
        await open_websocket(sock, address, offers)
        for data in frames:
            await asyncio.get_running_loop().sock_sendall(sock, data)
        await until_closed(sock)

    return run


async def half_a_head(sock: socket.socket, address: tuple[str, int]) -> None:
    """Begin a request and wait to be thrown out."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    await loop.sock_sendall(sock, UPGRADE[:40])
    await until_closed(sock)


async def half_a_frame(sock: socket.socket, address: tuple[str, int]) -> None:
    """Announce a frame, send a part, and vanish with a reset."""
    await open_websocket(sock, address)
    await asyncio.get_running_loop().sock_sendall(sock, frame(2, bytes(1000))[:100])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


async def noise(sock: socket.socket, address: tuple[str, int]) -> None:
    """Bytes that are no HTTP."""
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, address)
    await loop.sock_sendall(sock, random.randbytes(500) + b"\r\n\r\n")
    await until_closed(sock)


def bomb() -> bytes:
    """64 MiB of zeros, deflated."""
    squeeze = zlib.compressobj(9, wbits=-15)
    data = squeeze.compress(bytes(64 << 20)) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    return frame(2, data.removesuffix(b"\0\0\xff\xff"), first=0xC0)


ABUSES: dict[str, Callable[..., Awaitable[None]]] = {
    "half a head": half_a_head,
    "half a frame and a reset": half_a_frame,
    "noise": noise,
    "unmasked": sends(frame(1, b"x", masked=False)),
    "reserved bits": sends(frame(1, b"x", first=0xB0)),
    "unknown opcode": sends(frame(5, b"x")),
    "not UTF-8": sends(frame(1, b"\xff\xfe")),
    "too big": sends(frame(2, b"")[:1] + b"\xff" + (1 << 40).to_bytes(8, "big") + KEY),
    "bomb": sends(bomb(), offers=b"Sec-WebSocket-Extensions: permessage-deflate\r\n"),
    "ping flood": sends(frame(9, b"p" * 100) * 2000, frame(8, b"\x03\xe8")),
    "tiny frames": sends(frame(1, b"x") * 5000, frame(8, b"\x03\xe8")),
}
