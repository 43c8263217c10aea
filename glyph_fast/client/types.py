"""Values of the client that a program sees: states, messages, members, errors."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from ..errors import GlyphFastError
from ..wire import Position

State: TypeAlias = Literal["connecting", "open", "waiting", "closed"]

Token: TypeAlias = str | None | Callable[[], str | None | Awaitable[str | None]]

Envelope: TypeAlias = dict[str, Any]  # a JSON object of the server's


class ClientError(GlyphFastError):
    """Something that was asked of the server did not succeed.

    `maybe_sent` says whether the server may have got it nevertheless.
    """

    def __init__(self, text: str, *, maybe_sent: bool = False) -> None:
        super().__init__(text)
        self.maybe_sent = maybe_sent


class Why(NamedTuple):
    """Why the latest connection ended, and when the next attempt is due.

    `code` is 0 before the first end, 1006 where no close frame came. `retry_at` is in seconds since
    1970 in the state `waiting`, else 0.
    """

    code: int
    reason: str
    retry_at: float


class Member(NamedTuple):
    """A member of a room with presence."""

    id: str
    user: str | None
    info: Any


class Crowd(NamedTuple):
    """The number of members: connections, and users. A large room tells no more."""

    clients: int
    users: int


@dataclass(frozen=True, slots=True)
class Meta:
    """The circumstances of a message; those that the server does not know are None."""

    type: str | None = None
    room: str | None = None
    event: str | None = None
    offset: int | None = None  # its place, in a room with history
    connection_id: str | None = None  # who sent it
    user: str | None = None
    timestamp: str | None = None  # RFC 3339, UTC
    history: bool = False  # it is older than the joining of the room


class RoomMessage(NamedTuple):
    """A message of a room, and what it came with."""

    data: Any
    meta: Meta


def meta_of(envelope: Mapping[str, Any], room: str | None = None, *, history: bool = False) -> Meta:
    """Return what a message came with, out of its JSON; a member of the wrong kind is like none."""
    return Meta(
        type=_text(envelope, "type"),
        room=room or _text(envelope, "room"),
        event=_text(envelope, "event"),
        offset=number_of(envelope, "offset"),
        connection_id=_text(envelope, "connection_id"),
        user=_text(envelope, "user"),
        timestamp=_text(envelope, "timestamp"),
        history=history,
    )


def _text(envelope: Mapping[str, Any], name: str) -> str | None:
    value = envelope.get(name)
    return value if isinstance(value, str) else None


def message_of(envelope: Mapping[str, Any], room: str, *, history: bool = False) -> RoomMessage:
    """A message of a room out of its JSON; binary data is base64 there."""
    data = envelope.get("data")
    if envelope.get("type") == "binary" and isinstance(data, str):
        with suppress(ValueError):  # not of the server
            data = b64decode(data, validate=True)
    return RoomMessage(data, meta_of(envelope, room, history=history))


def members_of(found: Any) -> list[Member]:
    """Members out of their JSON."""
    return [
        Member(each["id"], each.get("user"), each.get("info"))
        for each in (found if isinstance(found, list) else [])
        if isinstance(each, dict) and isinstance(each.get("id"), str)
    ]


def object_of(found: Any) -> Envelope:
    """An object out of its JSON; what is none has no members."""
    return found if isinstance(found, dict) else {}


def messages_of(found: Any) -> list[Envelope]:
    """The messages of an answer out of its JSON; what is none is left out."""
    messages = object_of(found).get("messages")
    return (
        [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []
    )


def number_of(found: Any, name: str) -> int | None:
    """A whole number out of an object's JSON; None where it has none of that name."""
    value = object_of(found).get(name)
    return value if type(value) is int else None


def position_of(found: Any) -> Position | None:
    """A place out of its JSON; None for none."""
    epoch, offset = object_of(found).get("epoch"), number_of(found, "offset")
    return (
        Position(epoch, offset) if isinstance(epoch, str) and epoch and offset is not None else None
    )
