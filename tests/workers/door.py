"""Connections to a server of several processes with limits, and what became of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.serving import ServeProcess, serving
from tests.workers.clients import APP, WITHIN_S


class Door:
    """Opens connections, and counts what became of them."""

    def __init__(self, server: ServeProcess, stack: ExitStack) -> None:
        self._server = server
        self._stack = stack
        self.open: list[ClientConnection] = []
        self.pids: Counter[int] = Counter()

    def knock(self, query: str = "") -> int:
        """101, or the status of a refusal."""
        try:
            opening = connect(
                self._server.ws(f"/ws{query}"), compression=None, open_timeout=WITHIN_S,
                close_timeout=0.1,
            )  # fmt: skip
        except InvalidStatus as exc:
            return exc.response.status_code
        socket = self._stack.enter_context(opening)
        self.pids[json.loads(socket.recv(timeout=WITHIN_S))["pid"]] += 1
        self.open.append(socket)
        return 101

    def leave(self) -> None:
        """Close the connection opened last."""
        self.open.pop().close()


@contextmanager
def door(*options: str, workers: int = 2) -> Iterator[tuple[ServeProcess, Door]]:
    with (
        serving("limited:server", "--workers", str(workers), *options, cwd=APP) as server,
        ExitStack() as stack,
    ):
        yield server, Door(server, stack)
