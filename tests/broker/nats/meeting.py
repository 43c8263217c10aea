"""A node that shares a NATS server with others, and the operators' port of it."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.serving import ServeProcess, serving

APP = Path(__file__).parent / "app"
TOKEN = "operators"


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Node(NamedTuple):
    server: ServeProcess
    admin: str

    def ready(self) -> tuple[int, Any]:
        return get(f"{self.admin}/readyz")

    def metric(self, name: str) -> float:
        asked = urllib.request.Request(
            f"{self.admin}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        text = urllib.request.urlopen(asked, timeout=10).read().decode()
        return float(next(line for line in text.splitlines() if line.startswith(name)).split()[1])

    def call(self, name: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"{self.admin}/api/{name}", json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"},
        )  # fmt: skip
        return json.load(urllib.request.urlopen(request, timeout=10))

    def command(self, name: str, body: Any) -> Any:
        """The result of a command of Centrifugo's HTTP API."""
        request = urllib.request.Request(
            f"{self.admin}/api/{name}", json.dumps(body).encode(),
            {"Content-Type": "application/json", "X-API-Key": TOKEN},
        )  # fmt: skip
        return json.load(urllib.request.urlopen(request, timeout=10))["result"]

    def pids(self) -> list[int]:
        """Of its processes, the main one last."""
        pid = self.server.process.pid
        tasks = Path(f"/proc/{pid}/task")
        found = [(tasks / task / "children").read_text().split() for task in os.listdir(tasks)]
        return [*(int(child) for each in found for child in each), pid]


def get(url: str) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        return exc.code, json.load(exc)


@contextmanager
def node(url: str, *options: str) -> Iterator[Node]:
    admin = f"127.0.0.1:{free_port()}"
    env = {"GLYPH_FAST_BROKER": url, "GLYPH_FAST_ADMIN_TOKEN": TOKEN}
    with serving("program:server", "--admin", admin, *options, cwd=APP, env=env) as server:
        yield Node(server, f"http://{admin}")
