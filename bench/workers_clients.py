"""Clients of `bench/workers.py` that know their worker and check every byte, of two protocols."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from glyph_fast.load.process import ServerProcess

PAYLOAD = "x" * 64
WINDOW = 16  # messages on the way, where nothing else is said
WARM = 50  # rounds that do not count, or a quarter of those that do
MASK = (
    b"\x80\0\0\0\0"  # a client's: the length goes into its first byte, and the key changes nothing
)
UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True)
class Dialect:
    """A protocol on WebSocket: what a client says and hears."""

    member: str  # the path of a member of the room
    silent: str  # the path of one that only publishes
    said: str
    heard: str
    greet: Callable[[Client], int]  # returns the worker


class Client:
    """A raw WebSocket client on a blocking socket. Its frames are short ones of text."""

    def __init__(self, port: int, path: str, greet: Callable[[Client], int]) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.sock.sendall(UPGRADE.format(path=path).encode())
        self._data = b""
        while b"\r\n\r\n" not in self._data:
            self._data += self._receive()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(head.decode(errors="replace"))
        self.worker = greet(self)

    def _receive(self) -> bytes:
        data = self.sock.recv(1 << 16)
        if not data:
            raise ConnectionError("the server is gone")
        return data

    def text(self) -> str:
        """Receive one message."""
        while len(self._data) < 2 or len(self._data) < (end := 2 + self._data[1]):
            if len(self._data) >= 2 and (self._data[0], self._data[1] < 126) != (0x81, True):
                raise ConnectionError(f"no short text: {self._data[:8]!r}")
            self._data += self._receive()
        text, self._data = self._data[2:end].decode(), self._data[end:]
        return text

    def say(self, text: str) -> None:
        """Send one message."""
        self.sock.sendall(said(text))

    def expect(self, expected: bytes) -> None:
        """Receive so many bytes, which must be these. Raises ConnectionError."""
        got, self._data = self._data, b""
        while len(got) < len(expected):
            got += self._receive()
        if got != expected:
            raise ConnectionError(f"heard …{got[-200:]!r}, expected …{expected[-200:]!r}")


def said(text: str) -> bytes:
    """The frame of a client."""
    payload = text.encode()
    return b"\x81" + bytes([MASK[0] | len(payload)]) + MASK[1:] + payload


def heard(text: str) -> bytes:
    """The frame of a server."""
    payload = text.encode()
    return b"\x81" + bytes([len(payload)]) + payload


def _greet(client: Client) -> int:
    return int(client.text())


def _greet_socketio(client: Client) -> int:
    if not client.text().startswith("0{"):
        raise ConnectionError("no Engine.IO")
    client.say("40")
    texts = [client.text(), client.text()]  # the answer and the worker, in either order
    (worker,) = (json.loads(each[2:])[1] for each in texts if each.startswith("42"))
    return int(worker)


PLAIN = Dialect("/room/bench", "/room/bench?silent", PAYLOAD, PAYLOAD, _greet)
_SOCKETIO = "/socket.io/?EIO=4&transport=websocket"
_EVENT = json.dumps(["say", PAYLOAD], separators=(",", ":"))
SOCKETIO = Dialect(
    _SOCKETIO, f"{_SOCKETIO}&silent=1", f"42{_EVENT}", f"42{_EVENT}", _greet_socketio
)


def pair(
    port: int, stack: ExitStack, *, is_apart: bool, dialect: Dialect = PLAIN
) -> tuple[Client, Client]:
    """A publisher and a member of the room, in two workers or in one."""
    publisher = Client(port, dialect.silent, dialect.greet)
    stack.callback(publisher.sock.close)
    while True:
        member = Client(port, dialect.member, dialect.greet)
        if (member.worker != publisher.worker) is is_apart:
            stack.callback(member.sock.close)
            return publisher, member
        member.sock.close()
        time.sleep(0.01)


def rounds(
    servers: Sequence[ServerProcess],
    publishers: Sequence[Client],
    members: Sequence[Client],
    count: int,
    *,
    window: int = WINDOW,
    dialect: Dialect = PLAIN,
) -> float:
    """CPU of servers per message that one member gets, in µs, over so many rounds of a window.

    Each publisher publishes the window, and the next round begins when all members have theirs.
    """
    batch, expected = said(dialect.said) * window, heard(dialect.heard) * window

    def one() -> None:
        for publisher in publishers:
            publisher.sock.sendall(batch)
        for member in members:
            member.expect(expected)

    for _ in range(min(WARM, count // 4 + 1)):
        one()
    before = sum(each.cpu_ns() for each in servers)
    for _ in range(count):
        one()
    spent = sum(each.cpu_ns() for each in servers) - before
    return spent / 1e3 / (count * window * len(members))
