"""A server that does everything wrong, for the tests of whatever connects to servers.

    with hostile(ANSWERS["half a head"]) as port:
        ... the tool, told to connect to 127.0.0.1:port

`ANSWERS` are answers to a request, none of which is a sound one; `FRAMES` what may follow a sound
101. A behaviour is bytes, sent before the connection is closed, or a function of the socket, which
has the request's head as `head`. Each connection runs in a thread of its own, and every one ends
with the block.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from websockets.utils import accept_key

PATIENCE_S = 30.0  # for a client that ought to leave
ESCAPES = "\x1b[2J\x1b]0;title\x07\u202e\x9b31m"


class Client:
    """One connection of whom is tested."""

    def __init__(self, sock: socket.socket, end: threading.Event) -> None:
        self.sock = sock
        self.head = b""
        self.end = end  # set when the block ends

    def read_head(self) -> None:
        """Read the request."""
        while b"\r\n\r\n" not in self.head:
            chunk = self.sock.recv(4096)
            if not chunk:
                raise ConnectionError("the client has left")
            self.head += chunk

    def send(self, data: bytes) -> None:
        """Send bytes, to a client that may be gone."""
        self.sock.sendall(data)

    def accept(self) -> None:
        """Answer the request as a sound server does."""
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", self.head)
        assert key is not None
        self.send(switching(accept_key(key[1].decode())))

    def wait(self) -> None:
        """Read, and say nothing, until the client leaves."""
        while self.sock.recv(65536):
            pass

    def reset(self) -> None:
        """Have the coming close reset the connection."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def flood(self, data: bytes) -> None:
        """Send the same again and again, until the client leaves."""
        while not self.end.is_set():
            self.send(data)

    def drip(self, data: bytes) -> None:
        """Send a byte now and then, until the client leaves."""
        while not self.end.wait(0.05):
            self.send(data)


Behaviour = bytes | Callable[[Client], object]


def switching(accept: str, *fields: str, status: str = "101 Switching Protocols") -> bytes:
    """A 101, as sound as its arguments."""
    lines = [f"HTTP/1.1 {status}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Accept: {accept}", *fields, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _after_accept(*fields: str, status: str = "101 Switching Protocols") -> Behaviour:
    """A 101 whose key is right."""

    def behave(client: Client) -> None:
        key = re.search(rb"(?i)sec-websocket-key: *(\S+)", client.head)
        accept = accept_key(key[1].decode()) if key else ""
        client.send(switching(accept, *fields, status=status))
        client.wait()

    return behave


def _http(status: str, body: bytes = b"", *fields: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *fields, "", ""]).encode() + body


def _reset(client: Client) -> None:
    client.reset()


def _then_wait(data: bytes) -> Behaviour:
    def behave(client: Client) -> None:
        client.send(data)
        client.wait()

    return behave


CHUNKED = b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n"

ANSWERS: dict[str, Behaviour] = {
    "nothing": b"",
    "a reset": _reset,
    "silence": Client.wait,
    "half a status line": b"HTTP/1.1 10",
    "half a head": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso",
    "a byte now and then": lambda client: client.drip(b"H"),
    "a field now and then": lambda client: (
        client.send(b"HTTP/1.1 101 Yes\r\n"),
        client.drip(b"a: b\r\n"),
    ),
    "a head without end": lambda client: (
        client.send(b"HTTP/1.1 101 Yes\r\n"),
        client.flood(b"a: " + b"b" * 60_000 + b"\r\n"),
    ),
    "a field without end": lambda client: (
        client.send(b"HTTP/1.1 101 Yes\r\na: "),
        client.flood(b"b" * 65536),
    ),
    "early hints without end": lambda client: client.flood(b"HTTP/1.1 103 Early\r\n\r\n"),
    "another protocol": _then_wait(b"SSH-2.0-OpenSSH_9.7\r\n"),
    "another protocol with escapes": ESCAPES.encode() + b"\r\n\r\n",
    "zeros": _then_wait(bytes(64)),
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "HTTP/2": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
    "an old HTTP": b"HTTP/0.9 200 OK\r\n\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n\r\n",
    "a status of four digits": b"HTTP/1.1 1010 OK\r\n\r\n",
    "a status nobody knows": _http("799 What"),
    "a page": _http("200 OK", b"<html>" + b"x" * 100_000),
    "a page without a length": b"HTTP/1.0 200 OK\r\n\r\n<html>hello",
    "a page without end": lambda client: (
        client.send(b"HTTP/1.1 200 OK\r\n\r\n"),
        client.flood(b"<p>" * 20_000),
    ),
    "a page that is not there": _then_wait(_http("503 Busy", b"", length=1 << 40)),
    "a refusal with escapes": _http("403 No", ESCAPES.encode() + b"\xff\xfe no"),
    "a reason with escapes": b"HTTP/1.1 403 \x1b[31mred\r\n\r\n",
    "not you": _http("401 Unauthorized", b"who?", "WWW-Authenticate: Bearer"),
    "not now": _http("503 Service Unavailable", b"", "Retry-After: 5"),
    "chunks": CHUNKED + b"4\r\nlate\r\n0\r\n\r\n",
    "chunks that are none": CHUNKED + b"zz\r\nnonsense",
    "a redirect": _http("302 Found", b"", "Location: ws://127.0.0.1:1/\x1b[31m"),
    "a redirect to itself": _http("301 Moved", b"", "Location: /"),
    "a redirect to nowhere": _http("302 Found"),
    "a wrong key": switching("bm90IHRoZSBrZXk="),
    "no key": b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "no upgrade": b"HTTP/1.1 101 Yes\r\n\r\n",
    "an extension nobody offered": _after_accept("Sec-WebSocket-Extensions: permessage-deflate"),
    "a subprotocol nobody offered": _after_accept("Sec-WebSocket-Protocol: other\x1b[31m"),
    "two subprotocols": _after_accept("Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b"),
    "a field that is none": _after_accept("no colon"),
    "a folded field": _after_accept("A: b", " c"),
    "a field with a NUL": _after_accept("A\0: b"),
}


def _frame(first: int, payload: bytes = b"", *, length: bytes | None = None) -> bytes:
    if length is None:
        size = len(payload)
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
    return bytes([first]) + length + payload


FRAMES: dict[str, Behaviour] = {
    "an end without a close": b"",
    "a reset": _reset,
    "a masked frame": _frame(0x81, b"\0\0\0\0hi", length=b"\x82"),
    "reserved bits": _frame(0xC1, b"hi"),
    "an unknown opcode": _frame(0x83, b"hi"),
    "a text that is none": _frame(0x81, b"\xff\xfe"),
    "a GiB that is announced": _then_wait(
        _frame(0x82, length=b"\x7f" + struct.pack(">Q", 1 << 30))
    ),
    "more bytes than there are": _frame(0x82, length=b"\x7f" + b"\xff" * 8),
    "fragments without end": lambda client: (
        client.send(_frame(0x01, b"a" * 60_000)),
        client.flood(_frame(0x00, b"a" * 60_000)),
    ),
    "an end without a beginning": _frame(0x80, b"hi"),
    "a beginning in the middle": _frame(0x01, b"hi") + _frame(0x81, b"hi"),
    "a long ping": _frame(0x89, b"p" * 126),
    "half a close code": _frame(0x88, b"\x03"),
    "a close code that is none": _frame(0x88, struct.pack(">H", 1006)),
    "a close reason that is no text": _frame(0x88, struct.pack(">H", 1000) + b"\xff"),
    "half a frame": b"\x81\x7e\x10",
}

# Nothing is wrong with these but what they say.
SOUND: dict[str, Behaviour] = {
    "a text with escapes": _frame(0x81, ESCAPES.encode()) + _frame(0x88, struct.pack(">H", 1000)),
    "a close with escapes": _frame(0x88, struct.pack(">H", 4000) + ESCAPES.encode()),
    "a greeting and fragments": _frame(0x01, b"gre")
    + _frame(0x89, b"ping")
    + _frame(0x80, b"eting")
    + _frame(0x88, struct.pack(">H", 1000)),
}


@contextmanager
def hostile(
    behaviour: Behaviour,
    *,
    accepts: bool = False,
    reads: bool = True,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> Iterator[int]:
    """Behave so to each client; yields the port. With `accepts`, after a sound 101."""
    end = threading.Event()
    socks: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def serve(sock: socket.socket) -> None:
        with suppress(OSError, ssl.SSLError):
            with sock if tls is None else tls.wrap_socket(sock, server_side=True) as wrapped:
                client = Client(wrapped, end)
                if reads:
                    client.read_head()
                if accepts:
                    client.accept()
                if isinstance(behaviour, bytes):
                    client.send(behaviour)
                else:
                    behaviour(client)

    def listen(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sock.settimeout(PATIENCE_S)
                socks.append(sock)
                threads.append(threading.Thread(target=serve, args=(sock,)))
                threads[-1].start()

    with socket.create_server((host, 0)) as listener:
        accepting = threading.Thread(target=listen, args=(listener,))
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            end.set()
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(PATIENCE_S)
            for sock in socks:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join(PATIENCE_S)


def assert_one_line(stderr: str, *, after: str = "") -> None:
    """Fail unless one line was said, after those that begin so, and it commands no terminal."""
    assert "Traceback" not in stderr
    lines = [line for line in stderr.splitlines() if not (after and line.startswith(after))]
    assert len(lines) == 1 and lines[0].startswith("glyph-fast: "), stderr
    assert lines[0].isprintable(), stderr
