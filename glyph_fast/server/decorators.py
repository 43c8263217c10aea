"""The decorators of a server for handlers of its WebSocket connections.

Each may stand bare (`@server.on_connect`) or with arguments (`@server.on_connect(route=…)`), save
those that need one. Their types refuse a handler of the wrong shape where it is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, overload

from ..handlers.registry import Registry
from ..handlers.shapes import (
    ConnectF,
    DisconnectF,
    ErrorF,
    EventF,
    JoinF,
    LeaveF,
    MessageF,
    StreamF,
)
from ..wire import MessageType


class Decorators:
    """Registers handlers with `_dispatcher`."""

    _dispatcher: Registry

    @overload
    def on_connect(self, route: str | None = None) -> Callable[[ConnectF], ConnectF]: ...
    @overload
    def on_connect(self, route: ConnectF) -> ConnectF: ...
    def on_connect(self, route: Any = None) -> Any:
        """Call `handler(conn)` after the handshake and before any message.

        `Reject` raised there closes the connection with 1008 and the body as reason.
        """
        return self._dispatcher.on_connect(route)

    @overload
    def on_close(self, route: str | None = None) -> Callable[[DisconnectF], DisconnectF]: ...
    @overload
    def on_close(self, route: DisconnectF) -> DisconnectF: ...
    def on_close(self, route: Any = None) -> Any:
        """Call `handler(conn, code, reason)` when the client asks to close, before it is answered.

        `conn.close(code, reason)` answers it. Once the handlers have returned, or the close timeout
        has passed, it is answered by what the client said. Nothing more can be sent.
        """
        return self._dispatcher.on_close(route)

    @overload
    def on_disconnect(self, route: str | None = None) -> Callable[[DisconnectF], DisconnectF]: ...
    @overload
    def on_disconnect(self, route: DisconnectF) -> DisconnectF: ...
    def on_disconnect(self, route: Any = None) -> Any:
        """Call `handler(conn, code, reason)` once, as the last call for the connection."""
        return self._dispatcher.on_disconnect(route)

    @overload
    def on_message(
        self, type: MessageType | str | None = None, route: str | None = None
    ) -> Callable[[MessageF], MessageF]: ...
    @overload
    def on_message(self, type: MessageF) -> MessageF: ...
    def on_message(self, type: Any = None, route: str | None = None) -> Any:
        """Call `handler(ctx)` for messages of a type; without one, for those nobody else takes.

        Raises ValueError for a type that no received message has.
        """
        return self._dispatcher.on_message(type, route)

    def on_event(self, name: str, route: str | None = None) -> Callable[[EventF], EventF]:
        """Call `handler(ctx)` for messages with that event, which then go nowhere else.

        A second parameter with a type, `handler(ctx, data: Move)`, is given the event's data as a
        value of that type: a msgspec Struct, a dataclass, a TypedDict, a Pydantic model or whatever
        msgspec knows. Data that does not fit is answered with an error that names the place, and
        the handler does not run. The type that a handler
        declares to return is checked before it is sent.
        Raises TypeError for a type that JSON cannot be checked against.
        """
        return self._dispatcher.on_event(name, route)

    @overload
    def on_join(self, pattern: str = "*") -> Callable[[JoinF], JoinF]: ...
    @overload
    def on_join(self, pattern: JoinF) -> JoinF: ...
    def on_join(self, pattern: Any = "*") -> Any:
        """Ask `handler(conn, room)` whether a client may join a room whose name matches.

        Patterns are those of `fnmatch`: `*`, `?`, `[ab]`. All handlers that match must return a
        true value. `conn.join_room` is not judged.
        """
        return self._dispatcher.on_join(pattern)

    @overload
    def on_leave(self) -> Callable[[LeaveF], LeaveF]: ...
    @overload
    def on_leave(self, handler: LeaveF) -> LeaveF: ...
    def on_leave(self, handler: Any = None) -> Any:
        """Call `handler(conn, room)` after a connection has left a room, in whatever way.

        At its own wish, by the program, because the room was deleted, or at its end; then before
        `on_disconnect`.
        """
        return self._dispatcher.on_leave(handler)

    @overload
    def on_error(self) -> Callable[[ErrorF], ErrorF]: ...
    @overload
    def on_error(self, handler: ErrorF) -> ErrorF: ...
    def on_error(self, handler: Any = None) -> Any:
        """Call `handler(ctx_or_conn, exc)` after another handler has raised."""
        return self._dispatcher.on_error(handler)

    def websocket(self, path: str) -> Callable[[StreamF], StreamF]:
        """Serve a route; as a decorator over `async def handler(conn)`, read it by `async for`.

        Raises ValueError when the route already has such a handler, TypeError for one that is no
        `async def`.
        """
        return self._dispatcher.websocket(path)
