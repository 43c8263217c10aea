"""The CPU time of server and client between two moments: who of them was busy."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .process import ServerProcess

_SATURATED = 0.9  # of one CPU; above it the process has no time left
_NS = 1_000_000_000


@dataclass(frozen=True)
class Usage:
    """The cost of a stretch of time, in nanoseconds; `server_ns` is None for a remote server."""

    wall_ns: int
    client_ns: int
    server_ns: int | None

    def __add__(self, other: Usage) -> Usage:
        both = self.server_ns is not None and other.server_ns is not None
        return Usage(
            self.wall_ns + other.wall_ns,
            self.client_ns + other.client_ns,
            (self.server_ns or 0) + (other.server_ns or 0) if both else None,
        )

    def __sub__(self, other: Usage) -> Usage:
        both = self.server_ns is not None and other.server_ns is not None
        return Usage(
            self.wall_ns - other.wall_ns,
            self.client_ns - other.client_ns,
            (self.server_ns or 0) - (other.server_ns or 0) if both else None,
        )

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.wall_ns / _NS

    @property
    def client_busy(self) -> float:
        """Share of one CPU the client used."""
        return self.client_ns / max(self.wall_ns, 1)

    @property
    def server_busy(self) -> float | None:
        """CPUs the server used; above 1 when it has several threads or processes."""
        return None if self.server_ns is None else self.server_ns / max(self.wall_ns, 1)

    @property
    def limit(self) -> str:
        """Name who set the pace: `server`, `client`, `both`, or `neither` had its CPU full."""
        server = self.server_busy is not None and self.server_busy >= _SATURATED
        client = self.client_busy >= _SATURATED
        if server and client:
            return "both"
        return "server" if server else "client" if client else "neither"


class Meter:
    """Reads the clocks; `elapsed` is the usage since the meter was made or last restarted."""

    def __init__(self, server: ServerProcess | None) -> None:
        self.server = server
        self.restart()

    def restart(self) -> None:
        """Begin again at zero."""
        self._wall = time.monotonic_ns()
        self._client = time.process_time_ns()
        self._server = self.server.cpu_ns() if self.server else None

    def elapsed(self) -> Usage:
        """Return what was used since the start."""
        used = None
        if self.server is not None and self._server is not None:
            used = self.server.cpu_ns() - self._server
        wall = time.monotonic_ns() - self._wall
        return Usage(wall, time.process_time_ns() - self._client, used)
