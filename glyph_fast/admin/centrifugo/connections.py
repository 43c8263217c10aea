"""Calls of Centrifugo's HTTP API to the connections of one process."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

from ... import __version__, json
from ...errors import ConnectionClosed, GlyphFastError
from ...hub.connection import Connection
from ...hub.hub import Hub
from ...hub.users import user_of
from .publications import Outgoing

EXPIRED = 3005  # the code of a connection that has expired
ORDER = "centrifugo"  # what nodes tell each other
ON_ALL = frozenset({"subscribe", "unsubscribe", "disconnect", "refresh"})  # methods of `Here`


class Who(NamedTuple):
    """The connections of a user: all, or the one of an id or a session. "" is nobody in particular.

    Nobody's connections are those without a user, or with one that is no text.
    """

    user: str
    client: str
    session: str


def told(call: str, args: Sequence[Any]) -> list[Any] | None:
    """Return what other nodes are told of a call, as JSON knows it; None for what is not theirs."""
    if call not in ON_ALL:
        return None
    return [call, *(each.decode() if isinstance(each, bytes) else each for each in args)]


class Here:
    """The connections of this process. For the hub's loop; nothing waits."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def do(self, call: str, *args: Any) -> Any:
        """Return what the method of that name returns."""
        return getattr(self, call)(*args)

    def obey(self, call: str, who: Sequence[str], *args: Any) -> None:
        """Do what another node was asked for. Raises ValueError and TypeError for nonsense."""
        if call not in ON_ALL:
            raise ValueError(f"no such call: {call!r}")
        self.do(call, Who(*who), *args)

    def publish(self, room: str, what: Outgoing) -> None:
        """Give to the members here what has no place in its room."""
        self._hub._deliver(what.publication(room))

    def subscribe(self, who: Who, room: str) -> str:
        """Make them members of a room; return why one could not be, or ""."""
        failed = ""
        for conn in self._find(who):
            try:
                conn.join_room(room)
            except ConnectionClosed:
                continue
            except (GlyphFastError, ValueError) as exc:
                failed = str(exc)
        return failed

    def unsubscribe(self, who: Who, room: str) -> str:
        """End their membership in a room, or in all where it has no name."""
        for conn in self._find(who):
            for name in [room] if room else conn.get_rooms():
                conn.leave_room(name)
        return ""

    def disconnect(self, who: Who, but: list[str], code: int, reason: str) -> str:
        """Close them, all but those of some ids."""
        for conn in self._find(who):
            if conn.id not in but:
                conn.close(code, reason)
        return ""

    def refresh(self, who: Who, is_expired: bool, expire_at: int, info: bytes) -> str:
        """End them, or set when they end (0: never) and what others see of them (b"": the same)."""
        for conn in self._find(who):
            if is_expired:
                conn.close(EXPIRED, "connection expired")
                continue
            if info:
                conn.info = json.loads(info)
            self._hub.expire(conn, expire_at or None)
            if (told := self._hub._rooms._told) is not None:
                told.refreshed(conn, expire_at or None)
        return ""

    def node(self) -> dict[str, Any]:
        """Return what runs here, and how much there is of it."""
        connections = self._hub.get_connections()
        rooms = self._hub.get_room_manager()
        sizes = [len(room) for room in rooms]
        host = socket.gethostname()
        return {
            "uid": f"{host}:{os.getpid()}",
            "name": f"{host} worker {rooms._worker}" if rooms._worker else host,
            "version": __version__,
            "uptime": int(self._hub.metrics.uptime),
            "num_clients": len(connections),
            "num_users": len({user_of(conn.identity) for conn in connections}),
            "num_channels": sum(size > 0 for size in sizes),
            "num_subs": sum(sizes),
        }

    def _find(self, who: Who) -> list[Connection]:
        if who.client:
            conn = self._hub.get_connection(who.client)
            found = [] if conn is None else [conn]
        elif who.user:
            found = self._hub.get_user_connections(who.user)
        else:
            found = self._hub.get_connections()
        return [conn for conn in found if conn.is_open and self._is_meant(conn, who)]

    def _is_meant(self, conn: Connection, who: Who) -> bool:
        user = user_of(conn.identity)
        if (user if isinstance(user, str) else "") != who.user:
            return False
        return not who.session or self._hub._sessions.of(conn) == who.session
