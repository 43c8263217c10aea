"""`server.asgi` with a broker: each process of the server around it is a node."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.nats_servers import nats_server

APP = Path(__file__).parent / "app"
ROOT = Path(__file__).parents[3]
WITHIN_S = 30.0


@contextmanager
def uvicorn(broker: str) -> Iterator[int]:
    """The program under uvicorn; its port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "hosted:app", "--port", str(port)],
        cwd=APP, env={**os.environ, "BROKER": broker, "PYTHONPATH": f"{ROOT}{os.pathsep}{APP}"},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        end = time.monotonic() + WITHIN_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.05)
        yield port
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(WITHIN_S)


def ask(client: ClientConnection, message: Any) -> Any:
    client.send(json.dumps(message))
    return json.loads(client.recv(timeout=WITHIN_S))


def test_processes_of_another_server_are_nodes() -> None:
    with nats_server() as nats, uvicorn(nats.url) as one, uvicorn(nats.url) as other:
        with ExitStack() as stack:
            here, there = (
                stack.enter_context(
                    connect(f"ws://127.0.0.1:{port}/ws", compression=None, proxy=None)
                )
                for port in (one, other)
            )
            assert ask(there, {"type": "join_room", "room": "here:a"})["data"]["status"] == "joined"
            end = time.monotonic() + WITHIN_S
            while True:
                join = {"type": "join_room", "room": "here:a", "presence": True}
                if len(ask(here, join)["data"]["presence"]["members"]) == 2:
                    break
                assert time.monotonic() < end
                ask(here, {"type": "leave_room", "room": "here:a"})
            ask(here, {"type": "broadcast", "room": "here:a", "data": 5, "id": 1})
            assert json.loads(there.recv(timeout=WITHIN_S))["data"] == 5
