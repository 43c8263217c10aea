"""A process that holds many connections, until it is killed.

    python crowd.py PORT COUNT

Prints `ready` once all are members of the room `all`.
"""

from __future__ import annotations

import resource
import socket
import sys

REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
JOIN = b"\x81\x88\0\0\0\0join all"
ANSWER = b"\x81\x08join all"


def main() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    socks = []
    for _ in range(int(sys.argv[2])):
        sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 30)
        sock.sendall(REQUEST + JOIN)
        socks.append(sock)
    for sock in socks:
        data = b""
        while not data.endswith(ANSWER):
            chunk = sock.recv(4096)
            if not chunk:
                sys.exit(f"closed after {data!r}")
            data += chunk
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
