"""Other servers of several processes, for `bench/workers.py`: they run in turn with ours.

Each is started by the program of `rivals/servers`, with what `bench/rivals/install` installed. Its
CPU is that of all its processes: of the first, of Node's primary, of the Redis between them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from glyph_fast.load.process import ServerProcess

from .rivals.catalogue import CACHE, SERVERS
from .rivals.process import free_port

STOP_S = 10.0


@dataclass(frozen=True)
class Peer:
    """One of them."""

    title: str
    command: tuple[str, ...]  # without the number of processes
    after: tuple[str, ...] = ()  # the number
    needs: tuple[Path, ...] = ()

    @property
    def missing(self) -> str:
        """What of it is not there; nothing where all is."""
        if shutil.which(self.command[0]) is None:
            return self.command[0]
        return next((str(each) for each in self.needs if not each.exists()), "")

    @contextmanager
    def serving(self, workers: int) -> Iterator[tuple[int, ServerProcess]]:
        """A server of so many processes: its port and its processes."""
        modules = str(CACHE / "node" / "node_modules")
        process = subprocess.Popen(
            [*self.command, str(workers), *self.after],
            cwd=SERVERS, stdout=subprocess.PIPE, start_new_session=True,
            env={**os.environ, "PORT": str(free_port()), "NODE_PATH": modules},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline()), ServerProcess(process.pid)
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, number)
                    process.wait(STOP_S)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
            process.wait(STOP_S)


PEERS = (
    Peer(
        "Socket.IO on Node, cluster adapter",
        ("node", str(SERVERS / "cluster_server.js")),
        needs=(CACHE / "node" / "node_modules" / "@socket.io" / "cluster-adapter",),
    ),
    Peer(
        "python-socketio, Redis between",
        (str(CACHE / "python" / "bin" / "python"), str(SERVERS / "socketio_server.py")),
        after=(shutil.which("redis-server") or "redis-server",),
        needs=(CACHE / "python" / "bin" / "python",),
    ),
)
