"""glyph-fast: a real-time WebSocket server with rooms, broadcast, handlers and a compiled core.

The names below are the whole public surface. Each is loaded when first asked for, so that
`import glyph_fast` costs next to nothing and a program that reads only the version, or a tool that
only needs the errors, never pays for asyncio or the core.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dialects.message import Message
    from .errors import (
        BrokerUnavailable,
        CallFailed,
        CallTimeout,
        ConfigError,
        ConnectionClosed,
        ConnectionNotFound,
        GlyphFastError,
        GlyphSyntaxError,
        HistoryLost,
        InvalidMessage,
        Reject,
        RoomFull,
        RoomNotFound,
    )
    from .glyph.serving.server import GlyphServer
    from .handlers.context import MessageContext
    from .http.forms import FormData, UploadFile
    from .http.request import Request
    from .http.response import Response
    from .hub.connection import Connection
    from .hub.hub import Hub
    from .hub.identity import Identity
    from .hub.joining import Joined
    from .hub.room import Room
    from .hub.room_presence import PresenceStats, Present
    from .hub.rooms import RoomManager
    from .hub.streams import History
    from .options.config import Config
    from .server.current import current_server
    from .server.router import Router
    from .server.server import Server
    from .websocket.handshake import Accept
    from .wire import MessageType, Position, SendResult

__version__ = "0.1.0"

__all__ = [
    "Accept",
    "CallFailed",
    "CallTimeout",
    "BrokerUnavailable",
    "Config",
    "ConfigError",
    "Connection",
    "ConnectionClosed",
    "ConnectionNotFound",
    "FormData",
    "GlyphFastError",
    "GlyphServer",
    "GlyphSyntaxError",
    "History",
    "HistoryLost",
    "Hub",
    "Identity",
    "InvalidMessage",
    "Joined",
    "Message",
    "MessageContext",
    "MessageType",
    "Position",
    "PresenceStats",
    "Present",
    "Reject",
    "Request",
    "Response",
    "Room",
    "RoomFull",
    "RoomManager",
    "RoomNotFound",
    "SendResult",
    "Router",
    "Server",
    "UploadFile",
    "__version__",
    "current_server",
]

_MODULES = {
    "Accept": "websocket.handshake",
    "CallFailed": "errors",
    "CallTimeout": "errors",
    "BrokerUnavailable": "errors",
    "Config": "options.config",
    "ConfigError": "errors",
    "Connection": "hub.connection",
    "ConnectionClosed": "errors",
    "ConnectionNotFound": "errors",
    "FormData": "http.forms",
    "GlyphFastError": "errors",
    "GlyphServer": "glyph.serving.server",
    "GlyphSyntaxError": "errors",
    "History": "hub.streams",
    "HistoryLost": "errors",
    "Hub": "hub.hub",
    "Identity": "hub.identity",
    "InvalidMessage": "errors",
    "Joined": "hub.joining",
    "Message": "dialects.message",
    "MessageContext": "handlers.context",
    "MessageType": "wire",
    "Position": "wire",
    "PresenceStats": "hub.room_presence",
    "Present": "hub.room_presence",
    "Reject": "errors",
    "Request": "http.request",
    "Response": "http.response",
    "Room": "hub.room",
    "RoomFull": "errors",
    "RoomManager": "hub.rooms",
    "RoomNotFound": "errors",
    "SendResult": "wire",
    "Router": "server.router",
    "Server": "server.server",
    "UploadFile": "http.forms",
    "current_server": "server.current",
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
