"""Clients of the program `limited:server`, of both of its workers, who ask and are answered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.serving import ServeProcess
from tests.workers.clients import WITHIN_S

JOIN = {"type": "join_room"}


class Guest:
    """One client, and the process that serves it."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        opening = connect(url, compression=None, open_timeout=WITHIN_S, close_timeout=0.1)
        self.socket: ClientConnection = stack.enter_context(opening)
        self.pid: int = json.loads(self.socket.recv(timeout=WITHIN_S))["pid"]

    def ask(self, room: str, message: dict[str, Any]) -> None:
        self.socket.send(json.dumps({**message, "room": room, "id": room}))

    def answer(self) -> Any:
        """What became of what was asked last: a word, a number, or the text of the refusal."""
        while (found := json.loads(self.socket.recv(timeout=WITHIN_S))).get("id") is None:
            pass
        data = found["data"]
        return data.get("status") or data["error"] if isinstance(data, dict) else data

    def do(self, room: str, message: dict[str, Any]) -> Any:
        self.ask(room, message)
        return self.answer()


@contextmanager
def guests(server: ServeProcess, many: int) -> Iterator[list[Guest]]:
    """So many clients, some of each of the two workers."""
    with ExitStack() as stack:
        found = [Guest(server.ws("/ws"), stack) for _ in range(many)]
        assert len({each.pid for each in found}) == 2
        yield found
