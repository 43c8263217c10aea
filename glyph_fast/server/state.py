"""Attributes that a program keeps at its server: a pool, a client, a counter."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


class State(SimpleNamespace):
    """Attributes of the program's own: `server.state.db = await connect()`.

    Each process of a server with several workers has its own. AttributeError, with the name, for
    what was not set.
    """

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"server.state has no {name!r}: set it before, in on_startup say")


__all__ = ["State"]
