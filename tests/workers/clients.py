"""Clients of a server of several processes, each of which knows its worker."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from ssl import SSLContext
from typing import Any

from websockets.sync.client import ClientConnection, connect

APP = Path(__file__).parent / "app"
WITHIN_S = 20.0
TRIES = 64  # connections, of which two workers get both with near certainty


class Client:
    """One client, and the process that serves it."""

    def __init__(self, url: str, stack: ExitStack, tls: SSLContext | None = None) -> None:
        opening = connect(url, ssl=tls, compression=None, open_timeout=WITHIN_S, close_timeout=0.1)
        self.socket: ClientConnection = stack.enter_context(opening)
        self.ask({"event": "who", "id": "who"})
        answer = self.next()["data"]
        self.pid: int = answer["pid"]
        self.id: str = answer["id"]

    def ask(self, message: Any) -> None:
        """Send a value as JSON."""
        self.socket.send(json.dumps(message))

    def next(self) -> Any:
        """The value of the next message."""
        return json.loads(self.socket.recv(timeout=WITHIN_S))

    def join(self, room: str) -> None:
        """Become a member of a room."""
        self.ask({"type": "join_room", "room": room})
        answer = self.next()
        assert answer["data"]["status"] == "joined", answer


@contextmanager
def client_of(url: str) -> Iterator[Client]:
    """One client of whichever worker."""
    with ExitStack() as stack:
        yield Client(url, stack)


@contextmanager
def clients_of_each(
    url: str, workers: int, many: int = 1, tls: SSLContext | None = None
) -> Iterator[list[list[Client]]]:
    """`many` clients of each of the workers, those of one worker in one list."""
    with ExitStack() as stack:
        found: dict[int, list[Client]] = {}
        for _ in range(TRIES * workers * many):
            client = Client(url, stack, tls)
            found.setdefault(client.pid, []).append(client)
            if sum(len(each) >= many for each in found.values()) == workers:
                yield [each[:many] for each in found.values() if len(each) >= many][:workers]
                return
        raise AssertionError(f"{len(found)} workers answered, not {workers}")


def eventually(is_so: Callable[[], Any], within: float = WITHIN_S) -> Any:
    """What `is_so` returns once that is true."""
    end = time.monotonic() + within
    while not (value := is_so()):
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.02)
    return value


def is_running(pid: int) -> bool:
    """Whether there is a process of that id that has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def children_of(pid: int) -> list[int]:
    """The ids of a process's children."""
    tasks = Path(f"/proc/{pid}/task")
    return [
        int(child)
        for task in os.listdir(tasks)
        for child in (tasks / task / "children").read_text().split()
    ]
