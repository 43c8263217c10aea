"""Permission for clients to use the built-in words of rooms, under `--client-commands auto`.

A room is covered by an `on_join` whose pattern matches its name, or by what is declared about it
(`server.room`, `[rooms]` in the file). Elsewhere a program has not thought of clients that name
rooms themselves, and they may not; but a program in Glyph may be one of its original's, which lets
clients join, leave and broadcast in any room.

A member of a room that remembers or shows who is there may always join it: it is in already, and
asks for what it missed or who is there.
"""

from __future__ import annotations

from ..hub.connection import Connection
from ..options.rooms import RoomDeclaration
from ..wire import MessageType
from .registry import Registry

_ACTS = {
    MessageType.JOIN_ROOM: ("join", "client_join"),
    MessageType.LEAVE_ROOM: ("leave", "client_join"),
    MessageType.BROADCAST: ("broadcast in", "client_publish"),
}


class Refused(Exception):
    """A client asked for what it may not have, or asked badly; its text is the answer."""


class Permission:
    """Says of a word and a room whether the sender may; the judges themselves are asked later."""

    def __init__(self, registry: Registry, *, is_auto: bool) -> None:
        self._registry = registry
        self._is_auto = is_auto

    def why_not(self, conn: Connection, word: MessageType, room: str) -> str | None:
        """Why a client may not use the word on a room; None where it may."""
        rooms = conn._manager
        if rooms._user_rooms is not None and rooms._user_rooms.covers(room) and word in _ACTS:
            if word is MessageType.JOIN_ROOM and room == rooms._own_room(conn):
                return None
            return f"clients may not {_ACTS[word][0]} this room: it is a user's own"
        if not self._is_auto or word not in _ACTS:
            return None
        declared = rooms._declared(room)
        if word is MessageType.JOIN_ROOM and _lets_ask(declared) and conn.is_in_room(room):
            return None  # the program has let it in
        is_judged = bool(self._registry.judges_of(room))
        if declared is None and not is_judged and self._registry.is_open(conn.route_pattern):
            return None
        return why_not(word, declared, is_judged=is_judged)


def _lets_ask(declared: RoomDeclaration | None) -> bool:
    return declared is not None and (declared.history_size > 0 or declared.presence)


def why_not(word: MessageType, declared: RoomDeclaration | None, *, is_judged: bool) -> str | None:
    """Why clients may not use a word on a room of which this is declared, or None."""
    may = is_judged or declared is not None and declared.client_join
    act, key = _ACTS[word]
    told = declared.client_publish if declared is not None and key == "client_publish" else None
    if may if told is None else told:
        return None
    if told is False and may:
        return f"clients may not {act} this room: server.room has client_publish=False for it"
    return f"clients may not {act} this room: that needs on_join or server.room(…, {key}=True)"
