"""Messages: the envelope of the wire, and what a received message is to a handler.

An envelope is a JSON object with `type` and some of the members of `ENVELOPE_MEMBERS`; `id` is its
companion, a value of the client's that comes back with the answer to its message.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from enum import EnumType, StrEnum
from functools import lru_cache
from typing import Any, TypeAlias

from . import core
from .errors import InvalidMessage
from .json import dumps, loads

ENVELOPE_MEMBERS = frozenset(
    ("type", "event", "data", "room", "target", "connection_id", "timestamp", "metadata")
)


class _Words(EnumType):
    """The metaclass of `MessageType`: its members are found as attributes of any class are."""


core.read_plainly(_Words)


class MessageType(StrEnum, metaclass=_Words):
    """The types of messages; a member is equal to its word on the wire."""

    TEXT = "text"
    BINARY = "binary"
    JSON = "json"
    CONNECT = "connect"
    DISCONNECT = "disconnect"
    ERROR = "error"
    JOIN_ROOM = "join_room"
    LEAVE_ROOM = "leave_room"
    BROADCAST = "broadcast"
    PING = "ping"
    PONG = "pong"

    @classmethod
    def _missing_(cls, value: object) -> None:
        words = ", ".join(member.value for member in cls)
        raise ValueError(f"{value!r} is no type of message; the types are {words}")


# Until Python 3.12 `MessageType.TEXT` went through a descriptor and a metaclass written in Python,
# a quarter of what an echo costs; afterwards members are plain attributes, as they are made here.
for _member in MessageType:
    type.__setattr__(MessageType, _member.name, _member)


class Message(core.Message):
    """One message with the members of its envelope.

    A member that is absent is "" (`data`: None, `metadata`: an empty dict). `timestamp` is RFC 3339
    text; of a message that came without one, it is the time at which it is first asked for. `raw`
    is the payload of a received message, str or bytes. `id` is what a client put there to recognise
    the answer; `is_envelope` whether the message was received as one. Raises ValueError for an
    unknown type.
    """

    __slots__ = ()

    def __init__(
        self,
        type: MessageType | str,
        data: Any = None,
        *,
        event: str = "",
        room: str = "",
        target: str = "",
        connection_id: str = "",
        timestamp: str = "",
        metadata: dict[str, Any] | None = None,
        id: Any = None,
        raw: str | bytes | None = None,
    ) -> None:
        self.type: MessageType = type if type.__class__ is MessageType else MessageType(type)
        self.data = data
        # The core has made the others empty.
        if event:
            self.event = event
        if room:
            self.room = room
        if target:
            self.target = target
        if connection_id:
            self.connection_id = connection_id
        if timestamp:
            self._timestamp = timestamp
        if metadata:
            self._metadata = metadata
        self.id = id
        self.raw = raw

    @classmethod
    def received(
        cls, type: MessageType, data: Any, raw: str | bytes, connection_id: str
    ) -> Message:
        """A message from outside, whose other members are still empty."""
        message = cls.__new__(cls)
        message.type = type
        message.data = data
        message.raw = raw
        message.connection_id = connection_id
        return message

    @property
    def timestamp(self) -> str:
        """When the message was made, RFC 3339 in UTC, or the sender's own text."""
        if not self._timestamp:
            self._timestamp = rfc3339_now()
        return self._timestamp

    @timestamp.setter
    def timestamp(self, text: str) -> None:
        self._timestamp = text

    @property
    def has_timestamp(self) -> bool:
        """Whether the sender, or anyone since, has given it a timestamp."""
        return bool(self._timestamp)

    @property
    def metadata(self) -> dict[str, Any]:
        """Members of the application's own."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    @metadata.setter
    def metadata(self, value: dict[str, Any]) -> None:
        self._metadata = value

    def to_json(self) -> bytes:
        """The envelope as UTF-8. Binary data becomes base64; empty members are left out.

        Raises TypeError or ValueError for data that JSON cannot hold.
        """
        envelope: dict[str, Any] = {"type": self.type._value_}
        if self.event:
            envelope["event"] = self.event
        if self.data is not None:
            envelope["data"] = envelope_data(self.data)
        if self.room:
            envelope["room"] = self.room
        if self.target:
            envelope["target"] = self.target
        if self.connection_id:
            envelope["connection_id"] = self.connection_id
        envelope["timestamp"] = self.timestamp
        if self._metadata:
            envelope["metadata"] = self._metadata
        if self.id is not None:
            envelope["id"] = self.id
        return dumps(envelope)

    @classmethod
    def from_json(cls, data: bytes | str) -> Message:
        """Read an envelope: an object with a known `type`, or with an `event` (its type is `json`).

        A member of the wrong kind is ignored. Data of type `binary` is decoded from base64. Raises
        InvalidMessage.
        """
        try:
            envelope = loads(data)
        except ValueError as exc:
            raise InvalidMessage(f"message is not JSON: {exc}") from None
        if not isinstance(envelope, dict):
            raise InvalidMessage(f"a message is a JSON object, not {_kind(envelope)}")
        type_ = _TYPES.get(_text(envelope, "type"))
        if type_ is None and _text(envelope, "event"):
            type_ = MessageType.JSON
        if type_ is None:
            raise InvalidMessage(f"unknown message type: {envelope.get('type')!r}")
        message = cls(type_)
        message.set_members(envelope)
        message.raw = data
        message.connection_id = _text(envelope, "connection_id")
        message.data = envelope.get("data")
        if message.type is MessageType.BINARY and isinstance(message.data, str):
            try:
                message.data = b64decode(message.data, validate=True)
            except ValueError:  # binascii.Error is one, and there are plainer ones
                raise InvalidMessage("data of a binary message is not base64") from None
        return message

    def set_members(self, envelope: dict[str, Any]) -> None:
        """Take from a received envelope what its sender may set, members of the right kind only."""
        self.is_envelope = True
        self.event = _text(envelope, "event")
        self.room = _text(envelope, "room")
        self.target = _text(envelope, "target")
        self._timestamp = _text(envelope, "timestamp")
        metadata = envelope.get("metadata")
        self._metadata = metadata if isinstance(metadata, dict) else None
        self.id = envelope.get("id")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._key() == other._key()

    __hash__ = None  # type: ignore[assignment]

    def _key(self) -> tuple[Any, ...]:
        return (
            self.type,
            self.event,
            self.data,
            self.room,
            self.target,
            self.connection_id,
            self._timestamp,
            self.metadata,
            self.id,
        )

    def __repr__(self) -> str:
        members = [self.type.value]
        members += [
            f"{name}={value!r}"
            for name in ("event", "data", "room", "target", "connection_id", "id")
            if (value := getattr(self, name)) not in ("", None)
        ]
        return f"<Message {' '.join(members)}>"


def envelope_data(data: Any) -> Any:
    """`data` as an envelope holds it: bytes as base64."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return b64encode(data).decode("ascii")
    return data


def json_text(value: object) -> str:
    """The bare JSON of `value`, as a message to send. Raises what `json.dumps` raises."""
    return dumps(value).decode()


class JsonText:
    """A value as a text message: its bare JSON, encoded at once.

    Raises TypeError or ValueError for a value that JSON cannot hold.
    """

    __slots__ = ("_data",)

    def __init__(self, value: object) -> None:
        self._data = dumps(value)

    def to_json(self) -> bytes:
        """The JSON as UTF-8."""
        return self._data


Sendable: TypeAlias = str | bytes | Message | JsonText  # text frame, binary frame, their JSON


def rfc3339_now() -> str:
    """The present in UTC with microseconds: `2031-05-06T07:08:09.123456Z`."""
    nanoseconds = time.time_ns()
    second = _rfc3339_second(nanoseconds // 1_000_000_000)
    return f"{second}.{nanoseconds // 1000 % 1_000_000:06d}Z"


@lru_cache(maxsize=2)
def _rfc3339_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


_TYPES = {member.value: member for member in MessageType}


def _text(envelope: dict[str, Any], name: str) -> str:
    value = envelope.get(name)
    return value if isinstance(value, str) else ""


def _kind(value: object) -> str:
    return {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}.get(
        type(value), "a number"
    )
