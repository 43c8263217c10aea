"""The envelope: a JSON object with `type` and some of the members of `MEMBERS`.

`id` is their companion, a value of the client's that comes back with the answer to its message.
Nothing but this module knows which members there are and when they are left out.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import InvalidMessage
from ..json import dumps, loads
from ..wire import MessageType

if TYPE_CHECKING:
    from .message import Message

Dumps: TypeAlias = Callable[[object], bytes]  # a value as JSON

MEMBERS = frozenset(
    ("type", "event", "data", "room", "target", "connection_id", "timestamp", "metadata")
)
_TYPES = {member.value: member for member in MessageType}
_KINDS = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}


# Writing.


def write(message: Message, dumps: Dumps = dumps) -> bytes:
    """The envelope of a message as UTF-8. Binary data becomes base64; empty members are left out.

    `dumps` writes the JSON. Raises TypeError or ValueError for data that JSON cannot hold.
    """
    envelope: dict[str, Any] = {"type": message.type._value_}
    if message.event:
        envelope["event"] = message.event
    if message.data is not None:
        envelope["data"] = _data(message.data)
    if message.room:
        envelope["room"] = message.room
    if message.target:
        envelope["target"] = message.target
    if message.connection_id:
        envelope["connection_id"] = message.connection_id
    envelope["timestamp"] = message.timestamp
    if message._metadata:
        envelope["metadata"] = message._metadata
    if message.id is not None:
        envelope["id"] = message.id
    return dumps(envelope)


def reply(type_: MessageType, data: Any, target: str, id: Any, dumps: Dumps = dumps) -> str:
    """The envelope of an answer: what `write` makes of a message with these members, in text."""
    envelope: dict[str, Any] = {"type": type_._value_}
    if data is not None:
        envelope["data"] = _data(data)
    envelope["target"] = target
    envelope["timestamp"] = rfc3339_now()
    if id is not None:
        envelope["id"] = id
    return dumps(envelope).decode()


def reply_parts(parts: Mapping[str, bytes], target: str, id: Any) -> str:
    """The envelope of an answer of type `json` whose data has these members, which are JSON."""
    end = b"" if id is None else b',"id":' + dumps(id)
    text = b'{"type":"json","data":%b,"target":"%b","timestamp":"%b"%b}' % (
        object_of(parts), target.encode(), rfc3339_now().encode(), end
    )  # fmt: skip
    return text.decode()


def object_of(parts: Mapping[str, bytes]) -> bytes:
    """An object with these members, which are JSON."""
    return b"{%b}" % b",".join([b'"%b":%b' % (name.encode(), text) for name, text in parts.items()])


def _data(data: Any) -> Any:
    """`data` as an envelope holds it: bytes as base64."""
    if isinstance(data, (bytes, bytearray, memoryview)):
        return b64encode(data).decode("ascii")
    return data


def rfc3339_now() -> str:
    """The present in UTC with microseconds: `2031-05-06T07:08:09.123456Z`."""
    nanoseconds = time.time_ns()
    second = _rfc3339_second(nanoseconds // 1_000_000_000)
    return f"{second}.{nanoseconds // 1000 % 1_000_000:06d}Z"


@lru_cache(maxsize=2)
def _rfc3339_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


# Reading.


def type_of(value: dict[str, Any], words: Mapping[str, MessageType]) -> MessageType | None:
    """The type of an object that came, if it is an envelope: by one of `words`, or an event."""
    type_ = words.get(_text(value, "type"))
    return MessageType.JSON if type_ is None and _text(value, "event") else type_


def read(message: Message, value: dict[str, Any]) -> None:
    """Take data and members from an envelope that a client sent."""
    if "data" in value:
        message.data = value["data"]
        if len(value) > 2 or "type" not in value:
            _read_members(message, value)
    else:
        # The whole object, if it says more than an envelope does.
        message.data = None if value.keys() <= MEMBERS else value
        _read_members(message, value)
    message.is_envelope = True


def read_all(message: Message, data: bytes | str) -> None:
    """Make `message` what `data` says, by whomever it was written. Raises InvalidMessage."""
    try:
        value = loads(data)
    except ValueError as exc:
        raise InvalidMessage(f"message is not JSON: {exc}") from None
    if not isinstance(value, dict):
        kind = _KINDS.get(type(value), "a number")
        raise InvalidMessage(f"a message is a JSON object, not {kind}")
    type_ = type_of(value, _TYPES)
    if type_ is None:
        raise InvalidMessage(f"unknown message type: {value.get('type')!r}")
    message.type, message.raw, message.is_envelope = type_, data, True
    message.connection_id = _text(value, "connection_id")
    message.data = value.get("data")
    _read_members(message, value)
    if type_ is MessageType.BINARY and isinstance(message.data, str):
        try:
            message.data = b64decode(message.data, validate=True)
        except ValueError:  # binascii.Error is one, and there are plainer ones
            raise InvalidMessage("data of a binary message is not base64") from None


def _read_members(message: Message, value: dict[str, Any]) -> None:
    """Read what its sender may set, members of the right kind only."""
    message.event = _text(value, "event")
    message.room = _text(value, "room")
    message.target = _text(value, "target")
    message._timestamp = _text(value, "timestamp")
    metadata = value.get("metadata")
    message._metadata = metadata if isinstance(metadata, dict) else None
    message.id = value.get("id")


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""
