"""Other servers around ours: each in a process of its own, on a free port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from tests.serving import ROOT, START_S, STOP_S

PROGRAM = "tests.asgi.hosted.program:app"
COMMANDS = {
    "uvicorn": ["uvicorn", "{target}", "--port", "{port}", "--lifespan", "{lifespan}"],
    "uvicorn-sansio": [
        "uvicorn", "{target}", "--port", "{port}", "--lifespan", "{lifespan}",
        "--ws", "websockets-sansio",
    ],
    "hypercorn": ["hypercorn", "{target}", "--bind", "127.0.0.1:{port}"],
    "granian": ["granian", "{target}", "--port", "{port}", "--interface", "{interface}"],
}  # fmt: skip


class Around:
    """A server that runs ours."""

    def __init__(
        self, name: str, target: str = PROGRAM, *, lifespan: bool = True, cwd: Path = ROOT
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        words = {
            "target": target, "port": self.port, "lifespan": "on" if lifespan else "off",
            "interface": "asgi" if lifespan else "asginl",
        }  # fmt: skip
        module, *arguments = [each.format(**words) for each in COMMANDS[name]]
        self._log = TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{cwd}"},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def log(self) -> str:
        """What it wrote so far."""
        return os.pread(self._log.fileno(), 2**20, 0).decode(errors="replace")

    def wait(self) -> None:
        """Return once it listens."""
        end = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    pytest.fail(f"it does not listen\n{self.log()}", pytrace=False)
                time.sleep(0.05)

    def ws(self, path: str) -> str:
        """The URL of a WebSocket."""
        return self.url.replace("http", "ws", 1) + path

    def fetch(
        self, path: str, body: bytes | Iterator[bytes] | None = None, **fields: str
    ) -> tuple[int, bytes]:
        """Status and body of an answer."""
        names = {name.replace("_", "-"): value for name, value in fields.items()}
        try:
            with urlopen(Request(self.url + path, body, names), timeout=20) as answer:
                return answer.status, answer.read()
        except HTTPError as refusal:
            with refusal:
                return refusal.status, refusal.read()

    def stop(self) -> None:
        """End it as an operator would."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"still running\n{self.log()}", pytrace=False)


@contextmanager
def around(
    name: str, target: str = PROGRAM, *, lifespan: bool = True, cwd: Path = ROOT
) -> Iterator[Around]:
    """Another server for the length of a `with`."""
    server = Around(name, target, lifespan=lifespan, cwd=cwd)
    try:
        server.wait()
        yield server
        server.stop()
    finally:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        server._log.close()
