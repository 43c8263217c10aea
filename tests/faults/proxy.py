"""A TCP proxy that can stop delivering, as a network does whose cable was pulled."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK = 4096


class Proxy:
    """Passes bytes both ways between clients of `port` and a server, except while `is_stalled`.

    While it stalls it reads nothing and closes nothing: neither side hears of the other.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._is_stalled = False
        self._wake, self._woken = socket.socketpair()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="proxy")
        self._thread.start()

    def stall(self) -> None:
        """Deliver nothing from now on."""
        self._set(True)

    def resume(self) -> None:
        """Deliver again, first what has waited."""
        self._set(False)

    def _set(self, is_stalled: bool) -> None:
        self._is_stalled = is_stalled
        self._wake.send(b"x")

    def close(self) -> None:
        """End the thread and every connection."""
        self._is_over = True
        self._wake.send(b"x")
        self._thread.join()
        for sock in (*self._pairs, self._listener, self._wake, self._woken):
            sock.close()

    def _run(self) -> None:
        while not self._is_over:
            socks = [] if self._is_stalled else [self._listener, *self._pairs]
            for sock in select.select([self._woken, *socks], [], [])[0]:
                if sock is self._woken:
                    sock.recv(CHUNK)
                elif sock is self._listener:
                    self._accept()
                elif sock in self._pairs:
                    self._pass_on(sock)

    def _accept(self) -> None:
        client = self._listener.accept()[0]
        server = socket.create_connection(("127.0.0.1", self._target), 10)
        self._pairs[client], self._pairs[server] = server, client

    def _pass_on(self, sock: socket.socket) -> None:
        other = self._pairs[sock]
        try:
            data = sock.recv(CHUNK)
            other.sendall(data)
        except OSError:
            data = b""
        if not data:
            del self._pairs[sock], self._pairs[other]
            sock.close()
            other.close()


@contextmanager
def stalling_proxy(target: int) -> Iterator[Proxy]:
    """A proxy for the length of a `with`."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
