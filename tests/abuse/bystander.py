"""A client that behaves: one message after the other, each answered before the next is sent.

    python bystander.py PORT [PREFACE]

A process of its own, so that nothing but the server can make it wait. It needs only the standard
library. `PREFACE` is a line that goes first. For every line on stdin it prints the number of round
trips so far; at the end of stdin it prints all their times, in seconds, as JSON. A wrong or late
answer ends it with status 1. The pings of a keep-alive are answered.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time

DEADLINE_S = 15.0  # for one answer
PAUSE_S = 0.001  # between two round trips
TEXT, PING, PONG = 1, 9, 10
REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        chunk = sock.recv(size - len(data))
        if not chunk:
            sys.exit(f"closed by the server after {data!r}")
        data += chunk
    return data


def open_websocket(port: int, preface: bytes = b"") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(preface + REQUEST)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(sock, 1)
    if not head.startswith(b"HTTP/1.1 101 "):
        sys.exit(f"not accepted: {head!r}")
    return sock


def send(sock: socket.socket, opcode: int, payload: bytes) -> None:
    """Send a small frame, masked with a key of 0."""
    sock.sendall(bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload)


def answer(sock: socket.socket) -> bytes:
    """The payload of the next small frame that is no ping."""
    while True:
        first, size = exactly(sock, 2)
        payload = exactly(sock, size)
        if first & 15 != PING:
            return payload
        send(sock, PONG, payload)


def round_trip(sock: socket.socket, text: bytes) -> float:
    began = time.perf_counter()
    send(sock, TEXT, text)
    if (found := answer(sock)) != text:
        sys.exit(f"expected {text!r}, got {found!r}")
    return time.perf_counter() - began


def main() -> None:
    sock = open_websocket(
        int(sys.argv[1]), b"".join(b"%b\r\n" % line.encode() for line in sys.argv[2:])
    )
    times: list[float] = []
    while True:
        times.append(round_trip(sock, b"round trip %d" % len(times)))
        if select.select([sys.stdin], [], [], PAUSE_S)[0]:
            if not sys.stdin.readline():
                break
            print(len(times), flush=True)
    print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
