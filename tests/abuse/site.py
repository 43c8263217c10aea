"""A server in a process of its own, hostile clients, and one that behaves.

    with site.bystander() as bystander:
        socks = site.connect(1000)
        ...                              # the bystander's round trips go on meanwhile
    print(bystander.figures())

Clients are plain blocking sockets with a deadline, so that they do what no library would.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glyph_fast.core import encode_frame
from glyph_fast.wire import CLOSE
from tests.serving import ServeProcess

HERE = Path(__file__).parent
ATTACKER = [sys.executable, "-m", "tests.abuse.attacker"]  # in the project's folder
DEADLINE_S = 15.0  # for one answer
KEY = b"\x11\x22\x33\x44"
RESET = struct.pack("ii", 1, 0)  # of SO_LINGER: closing sends a reset
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)


def frame(opcode: int, payload: bytes | str, **options: bool) -> bytes:
    return encode_frame(opcode, payload, key=KEY, **options)


class Client:
    """One connection, byte by byte if need be.

    One that is `narrow` leaves the kernels little to buffer: a small window, and small segments,
    by which the server's side measures its buffer.
    """

    def __init__(self, port: int, *, narrow: bool = False) -> None:
        self.sock = socket.socket()
        if narrow:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(("127.0.0.1", port))
        self._data = b""

    def write(self, data: bytes) -> Client:
        self.sock.sendall(data)
        return self

    def ask(self, *, offer: str = "") -> Client:
        """Send a whole request for an upgrade."""
        extensions = f"Sec-WebSocket-Extensions: {offer}\r\n".encode() if offer else b""
        return self.write(UPGRADE + extensions + b"\r\n")

    def accepted(self) -> Client:
        """Read the answer, which must be a 101."""
        head = self.head()
        assert head.startswith(b"HTTP/1.1 101"), head
        return self

    def head(self) -> bytes:
        while b"\r\n\r\n" not in self._data:
            self._more()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        return head

    def send(self, opcode: int, payload: bytes | str, **options: bool) -> Client:
        return self.write(frame(opcode, payload, **options))

    def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        size = self._exactly(2)[1]
        first = self._data[0] & 15
        start = 2
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(self._exactly(start)[2:start], "big")
        payload = self._exactly(start + size)[start : start + size]
        self._data = self._data[start + size :]
        return first, payload

    def close_code(self) -> int:
        """The code of the close frame that must come, after whatever comes before it."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big")

    def rest(self) -> bytes:
        """Everything until the end, which may be a reset."""
        data, self._data = self._data, b""
        try:
            while chunk := self.sock.recv(65536):
                data += chunk
        except ConnectionError:
            pass
        return data

    def _exactly(self, size: int) -> bytes:
        while len(self._data) < size:
            self._more()
        return self._data

    def _more(self) -> None:
        chunk = self.sock.recv(1 << 18)
        assert chunk, f"the server closed the connection after {self._data!r}"
        self._data += chunk

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.sock.close()

    def close(self) -> None:
        self.sock.close()


class Bystander:
    """The process of `bystander.py`, from its first round trip on; `preface` is a line or none."""

    def __init__(self, port: int, *preface: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(HERE / "bystander.py"), str(port), *preface],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.times: list[float] = []  # seconds of each round trip, once it has ended
        self.count()

    def count(self) -> int:
        """How many round trips it has made."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._line()
        assert line, f"the bystander was not served: {self._errors()}"
        return int(line)

    def end(self) -> None:
        """Let it end; fails unless every message was answered, in order and in time."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self.times = json.loads(self._line() or "[]")
            status = self._process.wait(DEADLINE_S)
            assert status == 0, f"the bystander was not served: {self._errors()}"
        finally:
            self._process.kill()
            self._process.wait(DEADLINE_S)
            self._process.stdout.close()
            assert self._process.stderr is not None
            self._process.stderr.close()

    def figures(self) -> str:
        """How it fared, in a line."""
        ordered = sorted(self.times)
        half, most = (1000 * ordered[len(ordered) * share // 100] for share in (50, 99))
        return f"{len(ordered)} round trips, half within {half:.2f} ms, 99 % within {most:.2f} ms"

    def _line(self) -> str:
        # The bystander has a deadline for each answer; so this returns.
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _errors(self) -> str:
        assert self._process.stderr is not None
        return self._process.stderr.read()


class Site:
    """The server and its clients; `folder` holds its `app.py`."""

    folder = HERE

    def __init__(self, backend: Any, program: str = "app:server", **options: str) -> None:
        self.backend = backend
        arguments = [
            f"--{name.replace('_', '-')}" + (f"={value}" if value else "")  # a switch has none
            for name, value in {
                "core": backend.core,
                "engine": backend.engine,
                "loop": backend.loop,
                "log_level": "warning",
                "client_commands": "none",
                **options,
            }.items()
        ]
        self.process = ServeProcess(program, *arguments, cwd=self.folder)
        self._clients: list[Client] = []

    def client(self, **options: bool) -> Client:
        client = Client(self.process.port, **options)
        self._clients.append(client)
        return client

    def open(self, **options: Any) -> Client:
        """A client that speaks frames."""
        offer = options.pop("offer", "")
        return self.client(**options).ask(offer=offer).accepted()

    def open_many(self, count: int, **options: bool) -> list[Client]:
        """So many of them, without waiting for each."""
        clients = [self.client(**options).ask() for _ in range(count)]
        return [client.accepted() for client in clients]

    @contextmanager
    def bystander(self, *preface: str) -> Iterator[Bystander]:
        """A client that behaves, for the length of a `with`; fails unless it was served."""
        bystander = Bystander(self.process.port, *preface)
        try:
            yield bystander
        finally:
            bystander.end()

    def memory(self) -> int:
        """Bytes that the server has in memory; 0 under the sanitizers, which keep what is freed."""
        if "ASAN_OPTIONS" in os.environ:
            return 0
        fields = Path(f"/proc/{self.process.process.pid}/statm").read_text().split()
        return int(fields[1]) * 4096

    def descriptors(self) -> int:
        """How many the server has open, but for the io_uring it opens with its first batch."""
        targets = []
        for link in Path(f"/proc/{self.process.process.pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile
                targets.append(os.readlink(link))
        return sum("[io_uring]" not in target for target in targets)

    def until(self, predicate: Any) -> None:
        """Return once `predicate()` holds."""
        deadline = time.monotonic() + DEADLINE_S
        while not predicate():
            assert time.monotonic() < deadline, "it did not come to pass"
            threading.Event().wait(0.01)

    def leave(self) -> None:
        """Close every client."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def end(self) -> None:
        """Stop the server, which must have nothing to complain of."""
        self.leave()
        try:
            assert self.process.stop() == 0
            log = self.process.log()
            assert "Traceback" not in log and "internal error" not in log, log
        finally:
            self.process.release()
