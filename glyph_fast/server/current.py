"""The server that serves in this process, for code that was not given it."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .server import Server

_serving: list[Server] = []  # in this process, the latest last
_own: ContextVar[Server] = ContextVar("glyph_fast_server")  # of what a server's loop calls


def begin(server: Server) -> None:
    """A server begins to serve: what it calls from this context on is its own."""
    _serving.append(server)
    _own.set(server)


def end(server: Server) -> None:
    """It does not serve any more."""
    _serving.remove(server)


def current_server() -> Server:
    """The server that serves in this process; of several the one whose code asks, else the latest.

    For routes of a mounted application, its background tasks and its threads. Raises RuntimeError
    where none serves.
    """
    own = _own.get(None)
    if own is not None and own in _serving:
        return own
    if not _serving:
        raise RuntimeError("no server serves in this process")
    return _serving[-1]


__all__ = ["begin", "current_server", "end"]
