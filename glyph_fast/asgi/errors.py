"""Errors between an ASGI application and its client."""

from __future__ import annotations


class ClientDisconnected(OSError):
    """Raised by `send` once the client is gone (ASGI HTTP and WebSocket 2.4)."""


def comes_of_disconnect(exc: BaseException | None) -> bool:
    """Return whether it is, or came of, a client that has left, and so is nobody's failure."""
    seen: set[int] = set()
    while exc is not None and id(exc) not in seen:
        if isinstance(exc, ClientDisconnected):
            return True
        if isinstance(exc, BaseExceptionGroup):
            return all(comes_of_disconnect(each) for each in exc.exceptions)
        seen.add(id(exc))
        exc = exc.__cause__ or exc.__context__
    return False


__all__ = ["ClientDisconnected", "comes_of_disconnect"]
