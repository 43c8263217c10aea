"""A loaded program: what a server serves of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..runtime.failures import ProgramFailure, located
from ..runtime.values import Value
from ..runtime.web import Endpoint
from ..syntax.diagnostics import Diagnostic


@dataclass(slots=True)
class SocketEndpoint:
    """One WebSocket route: its path and the code of its events, by their names.

    The code takes a `SocketEvent`, the connection's id and the parameters of the path.
    """

    pattern: str
    parameters: list[str]
    events: dict[str, Callable[..., Value]]


@dataclass(slots=True)
class StaticEndpoint:
    """Files to be served below a prefix."""

    prefix: str
    directory: Path


@dataclass(slots=True)
class Unsupported:
    """A route that is left out, and why. `method` is `ws` for a WebSocket route."""

    method: str
    pattern: str
    reason: str


@dataclass(slots=True)
class Program:
    """All that the main file of a program declares for a server.

    `files` are what it was read from, `sources` their names in the places of its failures.
    """

    name: str
    files: list[Path] = field(default_factory=list)
    sources: frozenset[str] = frozenset()
    warnings: list[Diagnostic] = field(default_factory=list)
    http: list[Endpoint] = field(default_factory=list)
    sockets: list[SocketEndpoint] = field(default_factory=list)
    statics: list[StaticEndpoint] = field(default_factory=list)
    unsupported: list[Unsupported] = field(default_factory=list)

    def failure(self, error: BaseException) -> ProgramFailure:
        """The failure that a handler's exception stands for."""
        return located(error, self.sources)
