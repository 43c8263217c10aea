"""The `ws` object, and what a WebSocket handler is given.

The server's hub and connections are known here only by what they can do (`Hub`, `Peer`); messages
go out as the bare JSON of the value, one frame each, in the order of the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import monotonic
from typing import Protocol

from ...errors import ConnectionClosed, GlyphFastError
from ...wire import MAX_CLOSE_REASON, NORMAL
from .frames import read_input, relay
from .jsontext import read_exactly, write_text
from .limits import account, walked
from .queries import BadQuery, read_query
from .values import Failure, Headers, Value, kind


class HeaderItems(Protocol):
    """The headers of a request."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Names and first values."""


class Handshake(Protocol):
    """The request a connection began with."""

    @property
    def query_string(self) -> str:
        """The query string, without its `?`."""

    @property
    def headers(self) -> HeaderItems:
        """Its headers."""


class Member(Protocol):
    """One connection in a room."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""


class Peer(Member, Protocol):
    """One connection, as far as `ws` uses it."""

    @property
    def is_open(self) -> bool:
        """Return whether it can be sent to."""

    def send(self, message: str) -> object:
        """Send a text frame. Raises ConnectionClosed."""

    def join_room(self, name: str) -> object:
        """Become a member of a room."""

    def leave_room(self, name: str) -> object:
        """End a membership."""

    def get_rooms(self) -> list[str]:
        """The rooms it is in; after the end, was in."""

    def close(self, code: int, reason: str) -> object:
        """Begin the closing handshake."""

    @property
    def request(self) -> Handshake:
        """The request the connection began with."""

    def _show_json(self, text: str) -> None:
        """Show others what is JSON. Raises ValueError when it is too large."""


class RoomMembers(Protocol):
    """One room."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Member]: ...


class Rooms(Protocol):
    """All rooms."""

    def get_room(self, name: str) -> RoomMembers | None:
        """A room by its name."""

    def get_room_names(self) -> Iterable[str]:
        """The names of all rooms."""


class Hub(Protocol):
    """All connections and rooms of the server."""

    def broadcast(self, message: str, exclude: str | None = None) -> object:
        """Send to every connection."""

    def _broadcast_json_text_to_room(self, room: str, text: str) -> object:
        """Send JSON to the members of a room."""

    def get_connection_count(self) -> int:
        """Return the number of connections."""

    def get_room_manager(self) -> Rooms:
        """The rooms."""


class Site:
    """The server a program runs on; `started` is a reading of the monotonic clock."""

    __slots__ = ("hub", "started")

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.begin()

    def begin(self) -> None:
        """The server starts now."""
        self.started = monotonic()


class Event:
    """The event that a handler's code gets first and hands on: the server, perhaps a connection."""

    __slots__ = ("conn", "site")

    def __init__(self, site: Site | None, conn: Peer | None = None) -> None:
        self.site = site
        self.conn = conn
        account.deadline = 0.0  # a new run begins


class SocketEvent(Event):
    """One event of a connection: `received` is the frame of a message, or a failure's text."""

    __slots__ = ("conn", "received")

    conn: Peer

    def __init__(self, site: Site, conn: Peer, received: str = "") -> None:
        self.site = site
        self.conn = conn
        self.received = received
        account.deadline = 0.0  # a new run begins


# --- what handlers are given ---------------------------------------------------------------------


def received_value(event: SocketEvent) -> Value:
    """`input` of `on message`."""
    return read_input(event.received)


def received_exactly(event: SocketEvent) -> Value:
    """The same where the handler cannot tell integers from floats."""
    return read_input(event.received, read_exactly)


def failure_text(event: SocketEvent) -> Value:
    """`input` of `on error`."""
    return event.received


def handshake_query(event: SocketEvent) -> Value:
    """`query`: the parameters of the request, by what they look like."""
    try:
        return read_query(event.conn.request.query_string, [])
    except BadQuery as error:
        raise Failure(str(error)) from None


def handshake_headers(event: SocketEvent) -> Value:
    """`headers` of the request."""
    return Headers.of(event.conn.request.headers.items())


# --- sending -------------------------------------------------------------------------------------


def _connection(event: Event, function: str) -> Peer:
    if event.conn is None:
        raise Failure(f"`ws.{function}` needs a connection, and there is none here")
    return event.conn


def _hub(event: Event, function: str) -> Hub:
    if event.site is None:
        raise Failure(f"`ws.{function}` needs a server, and there is none yet")
    return event.site.hub


def _room(value: Value) -> str:
    if type(value) is not str:
        raise Failure(f"a room's name must be a string, not {kind(value)}")
    return value


def _send(conn: Peer, message: str) -> None:
    if conn.is_open:
        try:
            conn.send(message)
        except ConnectionClosed:
            pass  # it is closing: what is sent to it now is ignored


def ws_send(event: Event, value: Value) -> None:
    """`ws.send(v)`"""
    _send(_connection(event, "send"), write_text(value))


def ws_send_input(event: SocketEvent) -> None:
    """`ws.send(input)`, the message as it came."""
    _send(_connection(event, "send"), relay(event.received))


def ws_broadcast(event: Event, value: Value, excluded: Value = None) -> None:
    """`ws.broadcast(v[, except])`"""
    _broadcast(event, write_text(value), excluded)


def ws_broadcast_input(event: SocketEvent, excluded: Value = None) -> None:
    """`ws.broadcast(input[, except])`"""
    _broadcast(event, relay(event.received), excluded)


def _broadcast(event: Event, message: str, excluded: Value) -> None:
    if excluded is not None and type(excluded) is not str:
        raise Failure(f"`ws.broadcast` excludes a connection by its id, not by {kind(excluded)}")
    _hub(event, "broadcast").broadcast(message, excluded or None)


def ws_broadcast_to_room(event: Event, room: Value, value: Value) -> None:
    """`ws.broadcast_to_room(room, v)`"""
    hub = _hub(event, "broadcast_to_room")
    hub._broadcast_json_text_to_room(_room(room), write_text(value))


def ws_broadcast_to_room_input(event: SocketEvent, room: Value) -> None:
    """`ws.broadcast_to_room(room, input)`"""
    hub = _hub(event, "broadcast_to_room")
    hub._broadcast_json_text_to_room(_room(room), relay(event.received))


# --- membership and closing ----------------------------------------------------------------------


def ws_join(event: Event, room: Value) -> None:
    """`ws.join(room)`"""
    conn, name = _connection(event, "join"), _room(room)
    try:
        conn.join_room(name)
    except ConnectionClosed:
        pass
    except (GlyphFastError, ValueError) as error:
        raise Failure(str(error)) from None


def ws_leave(event: Event, room: Value) -> None:
    """`ws.leave(room)`"""
    _connection(event, "leave").leave_room(_room(room))


def ws_close(event: Event, reason: Value = None) -> None:
    """`ws.close([reason])`: a message with the reason, then the close frame."""
    conn = _connection(event, "close")
    text = "" if reason is None else reason
    if type(text) is not str:
        raise Failure(f"the reason of `ws.close` must be a string, not {kind(reason)}")
    if text:
        _send(conn, write_text({"type": "close", "reason": text}))
    if conn.is_open:
        short = text.encode()[:MAX_CLOSE_REASON].decode(errors="ignore")
        conn.close(NORMAL, short)


def ws_set_info(event: Event, value: Value) -> None:
    """`ws.set_info(v)`: what others see of the connection in rooms with presence."""
    try:
        _connection(event, "set_info")._show_json(write_text(value))
    except ValueError as error:
        raise Failure(str(error)) from None


# --- looking -------------------------------------------------------------------------------------


def ws_get_rooms(event: Event) -> list[Value]:
    """`ws.get_rooms()`: the rooms of the connection, or all that have members; sorted."""
    if event.conn is not None:
        return sorted(event.conn.get_rooms())
    rooms = _hub(event, "get_rooms").get_room_manager()
    names = [name for name in rooms.get_room_names() if rooms.get_room(name)]
    walked(64 * len(names))
    return sorted(names)


def ws_get_room_count(event: Event) -> int:
    """`ws.get_room_count()`"""
    return len(ws_get_rooms(event))


def ws_get_room_clients(event: Event, room: Value) -> list[Value]:
    """`ws.get_room_clients(room)`: ids of the members."""
    found = _hub(event, "get_room_clients").get_room_manager().get_room(_room(room))
    walked(0 if found is None else 64 * len(found))
    return [] if found is None else [conn.id for conn in found]


def ws_get_room_user_count(event: Event, room: Value) -> int:
    """`ws.get_room_user_count(room)`"""
    found = _hub(event, "get_room_user_count").get_room_manager().get_room(_room(room))
    return 0 if found is None else len(found)


def ws_get_connection_count(event: Event) -> int:
    """`ws.get_connection_count()`"""
    return _hub(event, "get_connection_count").get_connection_count()


def ws_get_uptime(event: Event) -> int:
    """`ws.get_uptime()`: seconds since the server started."""
    _hub(event, "get_uptime")
    assert event.site is not None
    return int(monotonic() - event.site.started)


FUNCTIONS = {
    "ws_send": ws_send,
    "ws_send_input": ws_send_input,
    "ws_broadcast": ws_broadcast,
    "ws_broadcast_input": ws_broadcast_input,
    "ws_broadcast_to_room": ws_broadcast_to_room,
    "ws_broadcast_to_room_input": ws_broadcast_to_room_input,
    "ws_join": ws_join,
    "ws_leave": ws_leave,
    "ws_close": ws_close,
    "ws_set_info": ws_set_info,
    "ws_get_rooms": ws_get_rooms,
    "ws_get_room_count": ws_get_room_count,
    "ws_get_room_clients": ws_get_room_clients,
    "ws_get_room_users": ws_get_room_clients,
    "ws_get_room_user_count": ws_get_room_user_count,
    "ws_get_connection_count": ws_get_connection_count,
    "ws_get_uptime": ws_get_uptime,
    "received_value": received_value,
    "received_exactly": received_exactly,
    "failure_text": failure_text,
    "handshake_query": handshake_query,
    "handshake_headers": handshake_headers,
}
