"""glyph-fast: a real-time WebSocket server with rooms, broadcast, handlers and a compiled core.

The names below are the whole public surface. Each is loaded when first asked for, so that
`import glyph_fast` costs next to nothing and a program that reads only the version, or a tool that
only needs the errors, never pays for asyncio or the core.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .config import Config
    from .connection import Connection
    from .errors import (
        ConfigError,
        ConnectionClosed,
        ConnectionNotFound,
        GlyphFastError,
        GlyphSyntaxError,
        InvalidMessage,
        Reject,
        RoomFull,
        RoomNotFound,
    )
    from .glyph_server import GlyphServer
    from .handlers.context import MessageContext
    from .http.request import Request
    from .http.response import Response
    from .hub import Hub
    from .message import Message, MessageType
    from .room import Room, RoomManager
    from .server import Server
    from .wire import SendResult

__version__ = "0.1.0"

__all__ = [
    "Config",
    "ConfigError",
    "Connection",
    "ConnectionClosed",
    "ConnectionNotFound",
    "GlyphFastError",
    "GlyphServer",
    "GlyphSyntaxError",
    "Hub",
    "InvalidMessage",
    "Message",
    "MessageContext",
    "MessageType",
    "Reject",
    "Request",
    "Response",
    "Room",
    "RoomFull",
    "RoomManager",
    "RoomNotFound",
    "SendResult",
    "Server",
    "__version__",
]

_MODULES = {
    "Config": "config",
    "ConfigError": "errors",
    "Connection": "connection",
    "ConnectionClosed": "errors",
    "ConnectionNotFound": "errors",
    "GlyphFastError": "errors",
    "GlyphServer": "glyph_server",
    "GlyphSyntaxError": "errors",
    "Hub": "hub",
    "InvalidMessage": "errors",
    "Message": "message",
    "MessageContext": "handlers.context",
    "MessageType": "message",
    "Reject": "errors",
    "Request": "http.request",
    "Response": "http.response",
    "Room": "room",
    "RoomFull": "errors",
    "RoomManager": "room",
    "RoomNotFound": "errors",
    "SendResult": "wire",
    "Server": "server",
}


if not TYPE_CHECKING:  # a type checker that sees `__getattr__` would accept any name

    def __getattr__(name: str) -> object:
        try:
            module = _MODULES[name]
        except KeyError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
        value = getattr(import_module(f".{module}", __name__), name)
        globals()[name] = value  # found directly from now on
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
