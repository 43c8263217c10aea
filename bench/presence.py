"""What presence costs when everybody comes back at once: `python -m bench.presence`.

A server with one room; each client opens a connection, joins the room with `presence`, and counts
what it is sent until all of them have been told that all are there. Every answer and every version
is checked, and what each client got is compared with the bound of docs/presence.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from .rivals.comparison import commit, describe_machine

RESULTS = Path(__file__).parent / "results"
PROGRAM = """
from glyph_fast import Identity, Server

server = Server()
server.room("all", client_join=True, presence=True, max_members=100_000)


@server.authenticate
def who(request):
    name = request.query["name"]
    return Identity(name, {"name": name})


server.websocket("/ws")
"""
HANDSHAKE = (
    "GET /ws?name={} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
JOIN = b'{"type":"join_room","room":"all","presence":true}'
FRAME = bytes((0x81, 0x80 | len(JOIN), 0, 0, 0, 0)) + JOIN  # masked with zeros
AT_ONCE = 500  # connections that are being opened
LISTED = 1000
PATIENCE_S = 120.0


C = TypeVar("C", bound="Client")


@dataclass
class Client:
    """One connection, and what it has been told."""

    sock: socket.socket
    joining: bytes = FRAME  # what it sends as soon as it is open
    data: bytes = b""
    is_open: bool = False
    version: int = -1
    members: int = 0  # it knows of
    ids: set[str] = field(default_factory=set)  # of those, where they are listed
    entries: int = 0  # in the answer and all changes
    messages: int = 0
    size: int = 0  # bytes of the messages

    @property
    def has_joined(self) -> bool:
        """Return whether its join was answered."""
        return self.version >= 0

    def take(self, data: bytes) -> None:
        """Read what has come. Raises AssertionError for what must not."""
        self.data += data
        if not self.is_open:
            head, end, rest = self.data.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101 "), head
            self.is_open, self.data = True, rest
            self.sock.send(self.joining)
        while (size := self._frame_size()) is not None:
            frame, self.data = self.data[: sum(size)], self.data[sum(size) :]
            if frame[0] == 0x89:  # a ping; this is over before too many are missed
                continue
            assert frame[0] == 0x81, f"no text: {frame[:60]!r}"
            self.messages += 1
            self.size += len(frame)
            self._told(json.loads(frame[size[0] :]))

    def _frame_size(self) -> tuple[int, int] | None:
        """Bytes of the head and of the payload of the next frame, once it is there."""
        if len(self.data) < 10 and (len(self.data) < 2 or self.data[1] > 125):
            return None
        head, size = 2, self.data[1]
        if size > 125:
            head = 4 if size == 126 else 10
            size = int.from_bytes(self.data[2:head], "big")
        return (head, size) if len(self.data) >= head + size else None

    def _told(self, message: dict) -> None:
        told = message["data"]
        if self.version < 0:
            assert told["status"] == "joined", told
            told = told["presence"]
        else:
            assert told["version"] == self.version + 1, "a change was lost"
        self.version = told["version"]
        self.entries += len(told.get("members", ())) + len(told.get("joined", ()))
        if "joined" in told:
            self.ids |= {each["id"] for each in told["joined"]}
        else:
            self.ids = {each["id"] for each in told.get("members", ())}
        self.members = told.get("clients", len(self.ids))


@contextmanager
def serving(folder: Path, program: str = PROGRAM) -> Iterator[tuple[int, int]]:
    """A program in a process of its own: its port, its process id."""
    (folder / "crowd.py").write_text(program)
    command = [sys.executable, "-m", "glyph_fast", "serve", "crowd:server", "--port", "0"]
    limits = ["--max-connections", "15000", "--log-level", "warning"]
    process = subprocess.Popen([*command, *limits], cwd=folder, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)$", process.stdout.readline().strip())
        assert found, "the server does not listen"
        yield int(found[1]), process.pid
    finally:
        process.terminate()
        process.wait(60)


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def crowd(
    port: int, count: int, new: Callable[[socket.socket], C], is_done: Callable[[C], bool]
) -> tuple[list[C], float]:
    """Let all come at once, and read until each is done; return them and the seconds that took."""
    selector = selectors.DefaultSelector()
    clients: list[C] = []
    started = time.perf_counter()
    done = 0
    while done < count:
        assert time.perf_counter() - started < PATIENCE_S, f"{done} of {count} are done"
        joined = sum(each.has_joined for each in clients) if len(clients) < count else count
        while len(clients) < min(count, joined + AT_ONCE):
            client = new(socket.create_connection(("127.0.0.1", port)))
            client.sock.sendall(HANDSHAKE.format(f"user{len(clients)}").encode())
            client.sock.setblocking(False)
            selector.register(client.sock, selectors.EVENT_READ, client)
            clients.append(client)
        for key, _ in selector.select(0.05):
            client = key.data
            was_done = is_done(client)
            data = client.sock.recv(1 << 20)
            assert data, "the server closed a connection"
            client.take(data)
            done += is_done(client) - was_done
    seconds = time.perf_counter() - started
    for client in clients:
        client.sock.close()
    return clients, seconds


def _knows(count: int, client: Client) -> bool:
    return client.members == count


def figures(clients: list[Client], seconds: float, cpu: float) -> dict[str, float]:
    """What is reported."""
    count = len(clients)
    return {
        "clients": count,
        "seconds": round(seconds, 2),
        "server_cpu_seconds": round(cpu, 2),
        "messages_mean": round(sum(each.messages for each in clients) / count, 1),
        "messages_most": max(each.messages for each in clients),
        "bytes_mean": round(sum(each.size for each in clients) / count),
        "bytes_most": max(each.size for each in clients),
        "entries_most": max(each.entries for each in clients),
        # One answer, and ten messages a second.
        "messages_bound": 1 + int(seconds * 10) + 1,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--name", help="keep the figures as bench/results/NAME.json and .md")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rows = []
    for count in args.clients:
        with TemporaryDirectory() as folder, serving(Path(folder)) as (port, pid):
            before = cpu_seconds(pid)
            clients, seconds = crowd(port, count, Client, partial(_knows, count))
            row = figures(clients, seconds, cpu_seconds(pid) - before)
        assert row["messages_most"] <= row["messages_bound"], row
        print(json.dumps(row))
        rows.append(row)
    if args.name:
        keep(args.name, rows)
    return 0


def keep(name: str, rows: list[dict[str, float]]) -> None:
    """Write the results as data and as a page."""
    machine = describe_machine()
    (RESULTS / f"{name}.json").write_text(
        json.dumps({"machine": machine, "commit": commit(), "rows": rows}, indent=1) + "\n"
    )
    on = f"{machine['processor']}, {machine['cpus']} CPUs, Linux, load {machine['load_average']}"
    lines = [
        "# Everybody joins a room with presence at once",
        "",
        f"{on}; Python {machine['python']}; commit {commit()}.",
        "",
        "Each client waits until it was told that all are there; its answer and every version are",
        "checked. Client and server share the machine. Bytes are those of one client's messages.",
        "",
        "| clients | until all know | server CPU | messages, mean | most | bound | bytes, mean "
        "| most |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row['clients']:,} | {row['seconds']} s | {row['server_cpu_seconds']} s | "
            f"{row['messages_mean']} | {row['messages_most']} | {row['messages_bound']} | "
            f"{row['bytes_mean']:,} | {row['bytes_most']:,} |"
        )
    (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
