"""The client: few connections, each with one request or message on its way, all answers checked."""

from __future__ import annotations

import selectors
import socket
import struct
from collections.abc import Callable

PATIENCE_S = 120.0
HANDSHAKE = (
    "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


class WrongAnswer(Exception):
    """A server answered what it must not."""


def connected(port: int) -> socket.socket:
    """A connection, with patience."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def request(path: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request on a connection that stays."""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{length}\r\n".encode() + body


def answer_of(sock: socket.socket) -> bytes:
    """The body of one answer with a length."""
    return whole_answer(sock)[1]


def whole_answer(sock: socket.socket) -> tuple[int, bytes]:
    """How many bytes an answer with a length has in all, and its body."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _some(sock)
    if not data.startswith(b"HTTP/1.1 200"):
        raise WrongAnswer(repr(data[:200]))
    head = data[:end].lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
    size = end + 4 + length
    while len(data) < size:
        data += _some(sock)
    if len(data) > size:
        raise WrongAnswer("more came than an answer")
    return size, data[end + 4 :]


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(262144)
    if not data:
        raise WrongAnswer("the connection has ended")
    return data


def websocket(port: int, path: str) -> socket.socket:
    """An open WebSocket."""
    sock = connected(port)
    sock.sendall(HANDSHAKE.format(path=path).encode())
    data = b""
    while not data.endswith(b"\r\n\r\n"):
        data += sock.recv(1)
        if not data:
            raise WrongAnswer("no handshake")
    if not data.startswith(b"HTTP/1.1 101"):
        raise WrongAnswer(repr(data))
    return sock


def frame(payload: bytes, *, masked: bool) -> bytes:
    """A text message of less than 64 KiB; the mask is zero."""
    flag = 0x80 if masked else 0
    size = len(payload)
    head = bytes((0x81, flag | size)) if size < 126 else struct.pack("!BBH", 0x81, flag | 126, size)
    return head + (bytes(4) if masked else b"") + payload


def ping_pong(
    port: int,
    open_one: Callable[[int], socket.socket],
    question: bytes,
    is_right: Callable[[bytes], bool],
    size: int,
    connections: int,
    count: int,
) -> None:
    """Ask `count` questions in all; each answer has `size` bytes. Raises WrongAnswer."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        sock = open_one(port)
        selector.register(sock, selectors.EVENT_READ, bytearray())
        sock.sendall(question)
    asked, done = connections, 0
    while done < count:
        events = selector.select(PATIENCE_S)
        if not events:
            raise WrongAnswer("no answer came")
        for key, _ in events:
            sock, data = key.fileobj, key.data
            assert isinstance(sock, socket.socket)
            data += _some(sock)
            if len(data) < size:
                continue
            if len(data) > size or not is_right(bytes(data)):
                raise WrongAnswer(repr(bytes(data[:300])))
            data.clear()
            done += 1
            if asked < count:
                asked += 1
                sock.sendall(question)
    for key in list(selector.get_map().values()):
        key.fileobj.close()  # type: ignore[union-attr]
    selector.close()
