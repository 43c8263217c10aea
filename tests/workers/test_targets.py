"""Every kind of target is served by several processes, and every kind of socket."""

from __future__ import annotations

import json
import os
import socket
import sys
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect, unix_connect

from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, WITHIN_S, children_of

GLYPH = """
@ ws /chat/:room {
    on connect {
        ws.join(room)
    }
    on message {
        ws.broadcast_to_room(room, input)
    }
}
"""


def server_of(client: ClientConnection, workers: list[int]) -> int | None:
    """The worker that holds the other end of a client's socket."""
    port = f":{client.local_address[1]:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[2].endswith(port):  # the remote address
            end = f"socket:[{fields[9]}]"
            for pid in workers:
                if any(os.readlink(each) == end for each in Path(f"/proc/{pid}/fd").iterdir()):
                    return pid
    return None


def of_each_worker(server: ServeProcess, stack: ExitStack, path: str) -> list[ClientConnection]:
    """A client of each of two workers."""
    workers = children_of(server.process.pid)
    found: dict[int, ClientConnection] = {}
    while len(found) < 2:
        client = stack.enter_context(connect(server.ws(path), open_timeout=WITHIN_S))
        pid = server_of(client, workers)
        assert pid is not None
        found.setdefault(pid, client)
    return list(found.values())


def message(client: ClientConnection) -> Any:
    return json.loads(client.recv(timeout=WITHIN_S))


def test_a_glyph_program_has_rooms_over_all_workers(tmp_path: Path) -> None:
    (tmp_path / "chat.glyph").write_text(GLYPH)
    with serving("chat.glyph", "--workers", "2", cwd=tmp_path) as server, ExitStack() as stack:
        here, there = of_each_worker(server, stack, "/chat/blue")
        here.send(json.dumps({"text": "hello"}))
        assert message(there) == {"text": "hello"}


def test_the_bundled_chat_is_served_by_workers() -> None:
    with serving("--workers", "2") as server, ExitStack() as stack:
        assert urllib.request.urlopen(server.url).status == 200
        assert len(of_each_worker(server, stack, "/rooms/tea/ann")) == 2


def test_a_unix_socket_is_shared(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with serving("program:server", "--workers", "2", "--uds", str(path), cwd=APP) as server:
        assert server.url == f"unix:{path}"
        with unix_connect(str(path), uri="ws://localhost/ws") as client:
            client.send("hello")
            assert client.recv(timeout=WITHIN_S) == "hello"
    assert not path.exists()


def test_sockets_of_a_service_manager_are_served_by_workers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        # As systemd does it: the descriptor is 3, and the variables name this process.
        activate = (
            "import os, sys; fd = int(sys.argv[1]); os.dup2(fd, 3); os.set_inheritable(3, True);"
            "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()));"
            "os.execvp(sys.argv[2], sys.argv[2:])"
        )
        server = ServeProcess(
            "program:server", "--workers", "2", cwd=APP,
            prefix=[sys.executable, "-c", activate, str(listening.fileno())],
            fds=[listening.fileno()],
        )  # fmt: skip
        try:
            assert server.port == port
            with urllib.request.urlopen(f"{server.url}/pid") as answer:
                assert json.load(answer)["pid"] in children_of(server.process.pid)
            assert server.stop() == 0
        finally:
            if server.process.poll() is None:
                server.kill()
            server.release()
