"""Very many idle clients in one thread: raw sockets that were upgraded, and how each ends."""

from __future__ import annotations

import selectors
import socket
from collections import Counter
from types import TracebackType

_UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_CLOSE = 0x88
REFUSED = 0  # what is counted for one that got no 101, or no close frame


class Crowd:
    """`size` clients of the server on a port, connected one after the other."""

    def __init__(self, port: int, size: int) -> None:
        self._ends: Counter[int] = Counter()
        self._selector = selectors.DefaultSelector()
        for _ in range(size):
            sock = socket.create_connection(("127.0.0.1", port), timeout=20)
            sock.sendall(_UPGRADE)
            head = b""
            while b"\r\n\r\n" not in head and (data := sock.recv(1024)):
                head += data
            if head.startswith(b"HTTP/1.1 101"):
                sock.setblocking(False)
                self._selector.register(sock, selectors.EVENT_READ)
            else:
                self._ends[REFUSED] += 1
                sock.close()

    def closed(self) -> dict[int, int]:
        """How many have ended until now, by close code; each answers its close frame."""
        for key, _ in self._selector.select(0):
            sock = key.fileobj
            assert isinstance(sock, socket.socket)
            try:
                data = sock.recv(4096)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            code = REFUSED
            if data[:1] == bytes([_CLOSE]):
                code = int.from_bytes(data[2:4], "big")
                sock.sendall(b"\x88\x82\0\0\0\0" + data[2:4])
            elif data:
                continue
            self._ends[code] += 1
            self._selector.unregister(sock)
            sock.close()
        return dict(self._ends)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None
    ) -> None:
        for key in list(self._selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
        self._selector.close()
